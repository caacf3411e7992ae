package main

import (
	"time"

	"datadirect.dev/e2e/grpc-go/manager"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// Kubelet is waited for: each wait has a limit, behind which there is nil.
type Kubelet struct {
	*manager.Manager
	registered chan *manager.Plugin
}

func NewKubelet(directory string) *Kubelet {
	registered := make(chan *manager.Plugin, 64)
	return &Kubelet{manager.New(directory, func(plugin *manager.Plugin) { registered <- plugin }), registered}
}

// Restart is what a plug-in sees of a kubelet that restarts: connections break, the directory is emptied, the socket is new.
func (k *Kubelet) Restart() error {
	k.Stop()
	return k.Start()
}

// awaitRegister waits for the next Register.
func (k *Kubelet) awaitRegister(limit time.Duration) *manager.Plugin {
	select {
	case plugin := <-k.registered:
		return plugin
	case <-time.After(limit):
		return nil
	}
}

// awaitList waits for a list that holds.
func awaitList(plugin *manager.Plugin, limit time.Duration, holds func([]*api.Device) bool) *manager.List {
	end := time.After(limit)
	for {
		select {
		case list, more := <-plugin.Lists:
			if !more {
				return nil
			}
			if holds(list.Devices) {
				return &list
			}
		case <-end:
			return nil
		}
	}
}

func healthy(devices []*api.Device) int {
	count := 0
	for _, device := range devices {
		if device.Health == api.Healthy {
			count++
		}
	}
	return count
}

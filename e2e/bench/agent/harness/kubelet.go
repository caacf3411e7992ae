package main

import (
	"context"
	"time"

	"datadirect.dev/e2e/grpc-go/manager"
	"google.golang.org/grpc"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
	resources "k8s.io/kubelet/pkg/apis/podresources/v1"
)

// Kubelet is waited for: each wait has a limit, behind which there is nil. No container holds anything on it.
type Kubelet struct {
	resources.UnimplementedPodResourcesListerServer
	manager    *manager.Manager
	pods       *grpc.Server
	directory  string
	registered chan *manager.Plugin
}

func NewKubelet(directory string) *Kubelet {
	registered := make(chan *manager.Plugin, 64)
	told := func(plugin *manager.Plugin) { registered <- plugin }
	return &Kubelet{manager: manager.New(directory, told), directory: directory, registered: registered}
}

func (k *Kubelet) Start() (err error) {
	if k.pods, err = manager.ServePods(k.directory, k); err != nil {
		return err
	}
	return k.manager.Start()
}

func (k *Kubelet) Stop() {
	k.pods.Stop()
	k.manager.Stop()
}

func (k *Kubelet) List(context.Context, *resources.ListPodResourcesRequest) (*resources.ListPodResourcesResponse, error) {
	return &resources.ListPodResourcesResponse{}, nil
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

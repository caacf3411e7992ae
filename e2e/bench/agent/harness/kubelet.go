package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// Kubelet is the device manager's side: as the real one it asks for options from within Register, opens ListAndWatch after it, sends
// "localhost" as authority, and never dials again by itself.
type Kubelet struct {
	api.UnimplementedRegistrationServer
	directory  string
	server     *grpc.Server
	registered chan Registered
	mutex      sync.Mutex
	current    *Endpoint
}

// Registered is one accepted Register.
type Registered struct {
	at       time.Time
	endpoint *Endpoint
}

// Endpoint is a plug-in that has registered.
type Endpoint struct {
	client      api.DevicePluginClient
	connection  *grpc.ClientConn
	breakStream context.CancelFunc
	lists       chan List
}

// List is one answer of ListAndWatch.
type List struct {
	at      time.Time
	devices []*api.Device
}

func NewKubelet(directory string) *Kubelet {
	return &Kubelet{directory: filepath.Join(directory, "device-plugins"), registered: make(chan Registered, 64)}
}

// Start empties the directory and listens.
func (k *Kubelet) Start() error {
	if err := os.RemoveAll(k.directory); err != nil {
		return err
	}
	if err := os.MkdirAll(k.directory, 0o750); err != nil {
		return err
	}
	return k.listen()
}

// Restart is what a plug-in sees of a kubelet that restarts: connections break, the directory is emptied, the socket is new.
func (k *Kubelet) Restart() error {
	k.Stop()
	entries, err := os.ReadDir(k.directory)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		os.Remove(filepath.Join(k.directory, entry.Name()))
	}
	return k.listen()
}

func (k *Kubelet) listen() error {
	listener, err := net.Listen("unix", filepath.Join(k.directory, "kubelet.sock"))
	if err != nil {
		return err
	}
	k.server = grpc.NewServer()
	api.RegisterRegistrationServer(k.server, k)
	go k.server.Serve(listener)
	return nil
}

func (k *Kubelet) Stop() {
	if k.server != nil {
		k.server.Stop()
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.current != nil {
		k.current.breakStream()
		k.current.connection.Close()
		k.current = nil
	}
}

func (k *Kubelet) Register(ctx context.Context, request *api.RegisterRequest) (*api.Empty, error) {
	at := time.Now()
	socket := filepath.Join(k.directory, request.Endpoint)
	connection, err := grpc.NewClient("unix:"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"))
	if err != nil {
		return nil, err
	}
	client := api.NewDevicePluginClient(connection)
	if _, err := client.GetDevicePluginOptions(ctx, &api.Empty{}); err != nil {
		connection.Close()
		return nil, fmt.Errorf("options of %s: %w", request.ResourceName, err)
	}
	streaming, cancel := context.WithCancel(context.Background())
	endpoint := &Endpoint{client: client, connection: connection, breakStream: cancel, lists: make(chan List, 64)}
	k.mutex.Lock()
	k.current = endpoint
	k.mutex.Unlock()
	go endpoint.follow(streaming)
	k.registered <- Registered{at, endpoint}
	return &api.Empty{}, nil
}

func (e *Endpoint) follow(ctx context.Context) {
	stream, err := e.client.ListAndWatch(ctx, &api.Empty{})
	for err == nil {
		var answer *api.ListAndWatchResponse
		if answer, err = stream.Recv(); err == nil {
			e.lists <- List{time.Now(), answer.Devices}
		}
	}
}

// awaitRegister waits for the next Register; nil when none comes in time.
func (k *Kubelet) awaitRegister(limit time.Duration) *Registered {
	select {
	case registered := <-k.registered:
		return &registered
	case <-time.After(limit):
		return nil
	}
}

// awaitList waits for a list that holds; nil when none comes in time.
func (e *Endpoint) awaitList(limit time.Duration, holds func([]*api.Device) bool) *List {
	end := time.After(limit)
	for {
		select {
		case list := <-e.lists:
			if holds(list.devices) {
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

// A kubelet's side of the device plugin and pod-resources protocols in grpc-go and k8s.io/kubelet's own package, so that nothing of ours is
// believed. It is told what to do, and tells what it saw, one JSON object a line. The argument is the kubelet's directory.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
	resources "k8s.io/kubelet/pkg/apis/podresources/v1"
)

const callTimeout = 30 * time.Second

// Order is one line of standard input.
type Order struct {
	Do   string   `json:"do"`
	IDs  []string `json:"ids"`
	Must []string `json:"must"`
	Size int32    `json:"size"`
	// What pod-resources says from now on, by resource.
	Held map[string][]string `json:"held"`
}

// Word is one line of standard output.
type Word struct {
	Saw      string                         `json:"saw"`
	Resource string                         `json:"resource,omitempty"`
	Options  *api.DevicePluginOptions       `json:"options,omitempty"`
	Devices  []*api.Device                  `json:"devices,omitempty"`
	Answer   *api.ContainerAllocateResponse `json:"answer,omitempty"`
	IDs      []string                       `json:"ids,omitempty"`
	Code     string                         `json:"code,omitempty"`
	Message  string                         `json:"message,omitempty"`
}

type kubelet struct {
	api.UnimplementedRegistrationServer
	resources.UnimplementedPodResourcesListerServer
	directory string
	mutex     sync.Mutex
	servers   []*grpc.Server
	client    api.DevicePluginClient
	cut       context.CancelFunc
	held      map[string][]string
}

func main() {
	k := &kubelet{directory: os.Args[1]}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var order Order
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			fail(err)
		}
		k.obey(order)
	}
}

func (k *kubelet) obey(order Order) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	switch order.Do {
	case "start":
		k.start()
		tell(Word{Saw: "started"}, nil)
	case "stop":
		k.stop()
	case "cut":
		k.mutex.Lock()
		defer k.mutex.Unlock()
		k.cut()
	case "hold":
		k.mutex.Lock()
		defer k.mutex.Unlock()
		k.held = order.Held
	case "allocate":
		request := &api.AllocateRequest{ContainerRequests: []*api.ContainerAllocateRequest{{DevicesIds: order.IDs}}}
		answer, err := k.plugin().Allocate(ctx, request)
		word := Word{Saw: "allocated"}
		if err == nil {
			word.Answer = answer.ContainerResponses[0]
		}
		tell(word, err)
	case "prefer":
		request := &api.PreferredAllocationRequest{ContainerRequests: []*api.ContainerPreferredAllocationRequest{{
			AvailableDeviceIDs: order.IDs, MustIncludeDeviceIDs: order.Must, AllocationSize: order.Size,
		}}}
		answer, err := k.plugin().GetPreferredAllocation(ctx, request)
		word := Word{Saw: "preferred"}
		if err == nil {
			word.IDs = answer.ContainerResponses[0].DeviceIDs
		}
		tell(word, err)
	case "prestart":
		_, err := k.plugin().PreStartContainer(ctx, &api.PreStartContainerRequest{DevicesIds: order.IDs})
		tell(Word{Saw: "prestarted"}, err)
	default:
		fail(fmt.Errorf("no such order: %s", order.Do))
	}
}

// start empties the directory, as the real one does, and listens.
func (k *kubelet) start() {
	plugins := filepath.Join(k.directory, "device-plugins")
	if err := os.MkdirAll(plugins, 0o750); err != nil {
		fail(err)
	}
	entries, err := os.ReadDir(plugins)
	if err != nil {
		fail(err)
	}
	for _, entry := range entries {
		os.RemoveAll(filepath.Join(plugins, entry.Name()))
	}
	pods := filepath.Join(k.directory, "pod-resources")
	if err := os.MkdirAll(pods, 0o750); err != nil {
		fail(err)
	}
	k.serve(filepath.Join(pods, "kubelet.sock"), func(server *grpc.Server) { resources.RegisterPodResourcesListerServer(server, k) })
	k.serve(filepath.Join(plugins, "kubelet.sock"), func(server *grpc.Server) { api.RegisterRegistrationServer(server, k) })
}

func (k *kubelet) serve(socket string, register func(*grpc.Server)) {
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		fail(err)
	}
	server := grpc.NewServer()
	register(server)
	k.servers = append(k.servers, server)
	go server.Serve(listener)
}

// stop breaks every connection, as the end of the process would.
func (k *kubelet) stop() {
	for _, server := range k.servers {
		server.Stop()
	}
	k.servers = nil
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.cut != nil {
		k.cut()
	}
}

// Register dials the plug-in from within, as the real one does, and sends "localhost" as authority.
func (k *kubelet) Register(ctx context.Context, request *api.RegisterRequest) (*api.Empty, error) {
	if request.Version != api.Version {
		return nil, fmt.Errorf("version %s", request.Version)
	}
	socket := filepath.Join(k.directory, "device-plugins", request.Endpoint)
	connection, err := grpc.NewClient("unix:"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"))
	if err != nil {
		return nil, err
	}
	client := api.NewDevicePluginClient(connection)
	options, err := client.GetDevicePluginOptions(ctx, &api.Empty{})
	if err != nil {
		connection.Close()
		return nil, err
	}
	following, cut := context.WithCancel(context.Background())
	k.mutex.Lock()
	k.client, k.cut = client, cut
	k.mutex.Unlock()
	tell(Word{Saw: "registered", Resource: request.ResourceName, Options: options}, nil)
	go func() {
		defer connection.Close()
		stream, err := client.ListAndWatch(following, &api.Empty{})
		for err == nil {
			var list *api.ListAndWatchResponse
			if list, err = stream.Recv(); err == nil {
				tell(Word{Saw: "list", Resource: request.ResourceName, Devices: list.Devices}, nil)
			}
		}
		tell(Word{Saw: "end", Resource: request.ResourceName}, err)
	}()
	return &api.Empty{}, nil
}

// List says that one container holds what it was told to say.
func (k *kubelet) List(context.Context, *resources.ListPodResourcesRequest) (*resources.ListPodResourcesResponse, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	container := &resources.ContainerResources{Name: "main"}
	for resource, ids := range k.held {
		for _, id := range ids { // the real one lists each device on its own
			container.Devices = append(container.Devices, &resources.ContainerDevices{ResourceName: resource, DeviceIds: []string{id}})
		}
	}
	pod := &resources.PodResources{Name: "trainer", Namespace: "default", Containers: []*resources.ContainerResources{container}}
	return &resources.ListPodResourcesResponse{PodResources: []*resources.PodResources{pod}}, nil
}

func (k *kubelet) plugin() api.DevicePluginClient {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return k.client
}

var output sync.Mutex

func tell(word Word, err error) {
	if err != nil {
		word.Code, word.Message = status.Code(err).String(), status.Convert(err).Message()
	}
	output.Lock()
	defer output.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(word); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// A kubelet's side of the device plugin and pod-resources protocols in grpc-go and k8s.io/kubelet's own package, so that nothing of ours is
// believed. It is told what to do, and tells what it saw, one JSON object a line. The argument is the kubelet's directory.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"datadirect.dev/e2e/grpc-go/manager"
	"google.golang.org/grpc"
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
	resources.UnimplementedPodResourcesListerServer
	directory string
	manager   *manager.Manager
	pods      *grpc.Server
	mutex     sync.Mutex
	held      map[string][]string
}

func main() {
	k := &kubelet{directory: os.Args[1], manager: manager.New(os.Args[1], follow)}
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
		k.manager.Current().Cut()
	case "hold":
		k.mutex.Lock()
		defer k.mutex.Unlock()
		k.held = order.Held
	case "allocate":
		request := &api.AllocateRequest{ContainerRequests: []*api.ContainerAllocateRequest{{DevicesIds: order.IDs}}}
		answer, err := k.manager.Current().Allocate(ctx, request)
		word := Word{Saw: "allocated"}
		if err == nil {
			word.Answer = answer.ContainerResponses[0]
		}
		tell(word, err)
	case "prefer":
		request := &api.PreferredAllocationRequest{ContainerRequests: []*api.ContainerPreferredAllocationRequest{{
			AvailableDeviceIDs: order.IDs, MustIncludeDeviceIDs: order.Must, AllocationSize: order.Size,
		}}}
		answer, err := k.manager.Current().GetPreferredAllocation(ctx, request)
		word := Word{Saw: "preferred"}
		if err == nil {
			word.IDs = answer.ContainerResponses[0].DeviceIDs
		}
		tell(word, err)
	case "prestart":
		_, err := k.manager.Current().PreStartContainer(ctx, &api.PreStartContainerRequest{DevicesIds: order.IDs})
		tell(Word{Saw: "prestarted"}, err)
	default:
		fail(fmt.Errorf("no such order: %s", order.Do))
	}
}

func (k *kubelet) start() {
	var err error
	if k.pods, err = manager.ServePods(k.directory, k); err != nil {
		fail(err)
	}
	if err := k.manager.Start(); err != nil {
		fail(err)
	}
}

func (k *kubelet) stop() {
	k.pods.Stop()
	k.manager.Stop()
}

// follow tells of a plug-in and of all that it lists.
func follow(plugin *manager.Plugin) {
	tell(Word{Saw: "registered", Resource: plugin.Resource, Options: plugin.Options}, nil)
	go func() {
		for list := range plugin.Lists {
			tell(Word{Saw: "list", Resource: plugin.Resource, Devices: list.Devices}, nil)
		}
		tell(Word{Saw: "end", Resource: plugin.Resource}, plugin.Err)
	}()
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

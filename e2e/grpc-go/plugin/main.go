// A device plug-in in grpc-go and k8s.io/kubelet's own package, to hold our virtual kubelet against. It tells what it was asked, one JSON object
// a line; each line of standard input makes one more of its devices unhealthy. The argument is the kubelet's directory.
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

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	endpoint = "go.sock"
	resource = "example.com/go"
)

var ids = []string{"a", "b", "c"}

type plugin struct {
	api.UnimplementedDevicePluginServer
	changed chan struct{}
	mutex   sync.Mutex
	broken  int
}

func (*plugin) GetDevicePluginOptions(ctx context.Context, _ *api.Empty) (*api.DevicePluginOptions, error) {
	asked, _ := metadata.FromIncomingContext(ctx)
	tell("options", asked.Get(":authority"))
	return &api.DevicePluginOptions{PreStartRequired: true, GetPreferredAllocationAvailable: true}, nil
}

func (p *plugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	tell("list", nil)
	for {
		if err := stream.Send(&api.ListAndWatchResponse{Devices: p.devices()}); err != nil {
			return err
		}
		select {
		case <-p.changed:
		case <-stream.Context().Done():
			tell("end", nil)
			return nil
		}
	}
}

func (p *plugin) devices() []*api.Device {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	devices := []*api.Device{}
	for index, id := range ids {
		health := api.Healthy
		if index < p.broken {
			health = api.Unhealthy
		}
		topology := &api.TopologyInfo{Nodes: []*api.NUMANode{{ID: int64(index)}}}
		devices = append(devices, &api.Device{ID: id, Health: health, Topology: topology})
	}
	return devices
}

func (*plugin) GetPreferredAllocation(_ context.Context, request *api.PreferredAllocationRequest) (*api.PreferredAllocationResponse, error) {
	asked := request.ContainerRequests[0]
	tell("prefer", append(asked.AvailableDeviceIDs, fmt.Sprint(asked.AllocationSize)))
	chosen := asked.AvailableDeviceIDs[len(asked.AvailableDeviceIDs)-int(asked.AllocationSize):]
	return &api.PreferredAllocationResponse{ContainerResponses: []*api.ContainerPreferredAllocationResponse{{DeviceIDs: chosen}}}, nil
}

func (*plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	asked := request.ContainerRequests[0].DevicesIds
	tell("allocate", asked)
	if asked[0] == "nobody" {
		return nil, status.Error(codes.InvalidArgument, "nobody is not here")
	}
	return &api.AllocateResponse{ContainerResponses: []*api.ContainerAllocateResponse{{
		Envs:       map[string]string{"GO": "1", "LIST": "a,b"},
		Devices:    []*api.DeviceSpec{{ContainerPath: "/dev/in", HostPath: "/dev/out", Permissions: "rw"}},
		CdiDevices: []*api.CDIDevice{{Name: "example.com/go=a"}},
	}}}, nil
}

func (*plugin) PreStartContainer(_ context.Context, request *api.PreStartContainerRequest) (*api.PreStartContainerResponse, error) {
	tell("prestart", request.DevicesIds)
	return &api.PreStartContainerResponse{}, nil
}

func main() {
	directory := filepath.Join(os.Args[1], "device-plugins")
	listener, err := net.Listen("unix", filepath.Join(directory, endpoint))
	if err != nil {
		fail(err)
	}
	server := grpc.NewServer()
	p := &plugin{changed: make(chan struct{}, 1)}
	api.RegisterDevicePluginServer(server, p)
	go register(directory)
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			p.mutex.Lock()
			p.broken++
			p.mutex.Unlock()
			p.changed <- struct{}{}
		}
		os.Exit(0)
	}()
	if err := server.Serve(listener); err != nil {
		fail(err)
	}
}

func register(directory string) {
	connection, err := grpc.NewClient("unix:"+filepath.Join(directory, "kubelet.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fail(err)
	}
	defer connection.Close()
	request := &api.RegisterRequest{
		Version: api.Version, Endpoint: endpoint, ResourceName: resource,
		Options: &api.DevicePluginOptions{PreStartRequired: true, GetPreferredAllocationAvailable: true},
	}
	if _, err := api.NewRegistrationClient(connection).Register(context.Background(), request); err != nil {
		fail(err)
	}
}

var output sync.Mutex

func tell(asked string, with []string) {
	output.Lock()
	defer output.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"asked": asked, "with": with}); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// The least possible device plug-in in Go: four devices, one answer. What any Go plug-in costs at least.
package main

import (
	"context"
	"net"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const endpoint = "floor-go.sock"

type plugin struct {
	api.UnimplementedDevicePluginServer
}

func (plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (plugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	devices := []*api.Device{}
	for _, id := range []string{"0", "1", "2", "3"} {
		devices = append(devices, &api.Device{ID: id, Health: api.Healthy})
	}
	if err := stream.Send(&api.ListAndWatchResponse{Devices: devices}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func (plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	answer := &api.AllocateResponse{}
	for range request.ContainerRequests {
		answer.ContainerResponses = append(answer.ContainerResponses, &api.ContainerAllocateResponse{
			Envs:    map[string]string{"FLOOR": "1"},
			Devices: []*api.DeviceSpec{{ContainerPath: "/dev/null", HostPath: "/dev/null", Permissions: "rw"}},
		})
	}
	return answer, nil
}

func main() {
	directory := filepath.Join(os.Getenv("KUBELET_DIR"), "device-plugins")
	listener, err := net.Listen("unix", filepath.Join(directory, endpoint))
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, plugin{})
	go register(directory)
	if err := server.Serve(listener); err != nil {
		panic(err)
	}
}

func register(directory string) {
	connection, err := grpc.NewClient("unix:"+filepath.Join(directory, "kubelet.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	request := &api.RegisterRequest{Version: api.Version, Endpoint: endpoint, ResourceName: "floor.example/go"}
	if _, err := api.NewRegistrationClient(connection).Register(context.Background(), request); err != nil {
		panic(err)
	}
}

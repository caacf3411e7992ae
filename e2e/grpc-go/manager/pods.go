package manager

import (
	"net"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	resources "k8s.io/kubelet/pkg/apis/podresources/v1"
)

// ServePods listens where a kubelet tells which containers hold which devices; Stop of what it returns ends that.
func ServePods(kubeletDirectory string, lister resources.PodResourcesListerServer) (*grpc.Server, error) {
	directory := filepath.Join(kubeletDirectory, "pod-resources")
	if err := os.MkdirAll(directory, 0o750); err != nil {
		return nil, err
	}
	socket := filepath.Join(directory, "kubelet.sock")
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer()
	resources.RegisterPodResourcesListerServer(server, lister)
	go server.Serve(listener)
	return server, nil
}

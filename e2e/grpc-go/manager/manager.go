// Package manager is a kubelet's device manager as a plug-in meets it, in grpc-go and k8s.io/kubelet's own protocol package: as the real one it asks
// for options from within Register, opens ListAndWatch after it, sends "localhost" as authority, and never dials again by itself.
package manager

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

// More lists than a plug-in sends while nobody looks.
const mostUnread = 64

// Manager knows the plug-in that registered last.
type Manager struct {
	api.UnimplementedRegistrationServer
	directory  string
	registered func(*Plugin)
	server     *grpc.Server
	mutex      sync.Mutex
	current    *Plugin
}

// Plugin is one that has registered.
type Plugin struct {
	api.DevicePluginClient
	At       time.Time
	Resource string
	Options  *api.DevicePluginOptions
	// Lists ends with the stream, and Err says why from then on.
	Lists chan List
	Err   error
	// Cut breaks the stream of lists, and nothing else.
	Cut        context.CancelFunc
	connection *grpc.ClientConn
}

// List is one answer of ListAndWatch.
type List struct {
	At      time.Time
	Devices []*api.Device
}

// New tells of each plug-in before its Register is answered.
func New(kubeletDirectory string, registered func(*Plugin)) *Manager {
	return &Manager{directory: filepath.Join(kubeletDirectory, "device-plugins"), registered: registered}
}

// Start empties the directory, as the real one does, and listens.
func (m *Manager) Start() error {
	if err := os.MkdirAll(m.directory, 0o750); err != nil {
		return err
	}
	entries, err := os.ReadDir(m.directory)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(m.directory, entry.Name())); err != nil {
			return err
		}
	}
	listener, err := net.Listen("unix", filepath.Join(m.directory, "kubelet.sock"))
	if err != nil {
		return err
	}
	m.server = grpc.NewServer()
	api.RegisterRegistrationServer(m.server, m)
	go m.server.Serve(listener)
	return nil
}

// Stop breaks every connection, as the end of the process would.
func (m *Manager) Stop() {
	if m.server != nil {
		m.server.Stop()
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.current != nil {
		m.current.Cut()
		m.current.connection.Close()
		m.current = nil
	}
}

// Current is the plug-in that registered last; nil where none has, since Start.
func (m *Manager) Current() *Plugin {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.current
}

func (m *Manager) Register(ctx context.Context, request *api.RegisterRequest) (*api.Empty, error) {
	at := time.Now()
	if request.Version != api.Version {
		return nil, fmt.Errorf("version %s", request.Version)
	}
	connection, err := grpc.NewClient("unix:"+filepath.Join(m.directory, request.Endpoint),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"))
	if err != nil {
		return nil, err
	}
	client := api.NewDevicePluginClient(connection)
	options, err := client.GetDevicePluginOptions(ctx, &api.Empty{})
	if err != nil {
		connection.Close()
		return nil, fmt.Errorf("options of %s: %w", request.ResourceName, err)
	}
	following, cut := context.WithCancel(context.Background())
	plugin := &Plugin{
		DevicePluginClient: client, At: at, Resource: request.ResourceName, Options: options,
		Lists: make(chan List, mostUnread), Cut: cut, connection: connection,
	}
	m.mutex.Lock()
	m.current = plugin
	m.mutex.Unlock()
	m.registered(plugin)
	go plugin.follow(following)
	return &api.Empty{}, nil
}

func (p *Plugin) follow(ctx context.Context) {
	defer close(p.Lists)
	stream, err := p.ListAndWatch(ctx, &api.Empty{})
	for err == nil {
		var answer *api.ListAndWatchResponse
		if answer, err = stream.Recv(); err == nil {
			p.Lists <- List{time.Now(), answer.Devices}
		}
	}
	p.Err = err
}

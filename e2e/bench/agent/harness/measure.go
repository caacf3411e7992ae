package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"datadirect.dev/e2e/grpc-go/manager"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	patience      = 10 * time.Second
	settle        = 20 * time.Second
	idle          = 60 * time.Second // what the agent does every minute is in it
	burst         = 20_000
	afterBurst    = 30 * time.Second
	warmUp        = 300
	alone         = 2000
	together      = 8000
	callers       = 32
	restarts      = 5
	never         = -1
	devicesWanted = 4
)

// Findings of one run of one plug-in, by the table's rows; absent where a row does not apply.
type Findings struct {
	figures map[string]float64
	words   map[string]string
}

func measure(plugin Plugin) (Findings, error) {
	found := Findings{map[string]float64{}, map[string]string{}}
	kubelet := NewKubelet(plugin.Directory)
	if err := kubelet.Start(); err != nil {
		return found, err
	}
	defer kubelet.Stop()
	group, err := newCgroup("data-direct-bench")
	if err != nil {
		return found, err
	}
	defer group.remove()
	process, started, err := start(plugin, group)
	if err != nil {
		return found, err
	}
	defer process.Process.Kill()
	endpoint := kubelet.awaitRegister(patience)
	if endpoint == nil {
		return found, errors.New("did not register")
	}
	first := awaitList(endpoint, patience, func(devices []*api.Device) bool { return healthy(devices) >= devicesWanted })
	if first == nil {
		return found, errors.New("sent no list with every device")
	}
	found.figures["start → Register, ms"] = milliseconds(endpoint.At.Sub(started))
	found.figures["Register → first list, ms"] = milliseconds(first.At.Sub(endpoint.At))
	ids := []string{}
	for _, device := range first.Devices {
		ids = append(ids, device.ID)
	}

	time.Sleep(settle)
	found.figures["idle working set, MiB"] = group.workingSet()
	before := group.cpu()
	time.Sleep(idle)
	found.figures["CPU idle, ms a minute"] = milliseconds(group.cpu()-before) * float64(time.Minute) / float64(idle)

	allocate := func() error {
		request := &api.AllocateRequest{ContainerRequests: []*api.ContainerAllocateRequest{{DevicesIds: ids[:1]}}}
		_, err := endpoint.Allocate(context.Background(), request)
		return err
	}
	if _, err := times(warmUp, 1, allocate); err != nil {
		return found, err
	}
	// One caller first, for all alike: what comes second finds code that V8 has optimised.
	for _, load := range []struct {
		name           string
		calls, callers int
	}{
		{"Allocate, 1 caller", alone, 1},
		{"Allocate, 32 callers", together, callers},
	} {
		before := group.cpu()
		taken, err := times(load.calls, load.callers, allocate)
		if err != nil {
			return found, err
		}
		found.figures[load.name+", p50 µs"] = microseconds(taken[len(taken)/2])
		found.figures[load.name+", p99 µs"] = microseconds(taken[len(taken)*99/100])
		found.figures[load.name+", processor µs a call"] = microseconds(group.cpu()-before) / float64(load.calls)
	}
	if _, err := times(burst, callers, allocate); err != nil {
		return found, err
	}
	time.Sleep(afterBurst)
	found.figures["working set after 30 000 Allocates, MiB"] = group.workingSet()

	ask := func(ids ...string) string {
		request := &api.AllocateRequest{ContainerRequests: []*api.ContainerAllocateRequest{{DevicesIds: ids}}}
		if _, err := endpoint.Allocate(context.Background(), request); err != nil {
			return "refused"
		}
		return "given"
	}
	found.words["an unknown id"] = ask("nobody-knows-me")
	found.words["the same id twice"] = ask(ids[0], ids[0])
	found.words["id ../../../../etc/passwd"] = ask("../../../../etc/passwd")
	found.words["an id of 1 MiB"] = ask(strings.Repeat("x", 1<<20))
	found.words["an id with NUL and a line end"] = ask("0000:03:00.0\x00\n")
	found.words["afterwards a good id"] = ask(ids[0])

	if plugin.Break != "" {
		down, err := change(plugin.Control, plugin.Break, endpoint, func(devices []*api.Device) bool { return healthy(devices) < devicesWanted })
		if err != nil {
			return found, err
		}
		up, err := change(plugin.Control, plugin.Mend, endpoint, func(devices []*api.Device) bool { return healthy(devices) >= devicesWanted })
		if err != nil {
			return found, err
		}
		found.figures["a device breaks → kubelet told, ms"] = down
		found.figures["it is mended → kubelet told, ms"] = up
	}

	cut := time.Now()
	endpoint.Cut()
	if back := kubelet.awaitRegister(patience); back != nil {
		found.figures["stream cut → Register, ms"] = milliseconds(back.At.Sub(cut))
		endpoint = back
		awaitList(back, patience, func([]*api.Device) bool { return true })
	} else {
		found.figures["stream cut → Register, ms"] = never
	}

	var again []float64
	for range restarts {
		if err := kubelet.Restart(); err != nil {
			return found, err
		}
		bound := time.Now()
		back := kubelet.awaitRegister(patience)
		if back == nil {
			again = []float64{never}
			break
		}
		again = append(again, milliseconds(back.At.Sub(bound)))
		if awaitList(back, patience, func([]*api.Device) bool { return true }) == nil {
			return found, errors.New("sent no list after the kubelet's restart")
		}
	}
	found.figures["kubelet restarts → Register, ms"] = median(again)

	asked := time.Now()
	process.Process.Signal(syscall.SIGTERM)
	process.Wait()
	found.figures["SIGTERM → ended, ms"] = milliseconds(time.Since(asked))
	return found, nil
}

// start runs the command within the group from its first instruction on.
func start(plugin Plugin, group *cgroup) (*exec.Cmd, time.Time, error) {
	// The shell moves itself and then becomes the plug-in.
	move := `for each in $0; do echo $$ > "$each"; done; exec "$@"`
	arguments := append([]string{"-c", move, group.procs()}, plugin.Command...)
	process := exec.Command("/bin/sh", arguments...)
	process.Stderr = os.Stderr
	process.Env = append(os.Environ(), "KUBELET_DIR="+plugin.Directory)
	started := time.Now()
	return process, started, process.Start()
}

// times makes so many calls from so many callers and returns how long each took, sorted.
func times(calls, callers int, call func() error) ([]time.Duration, error) {
	taken := make([]time.Duration, calls)
	var next atomic.Int64
	var wait sync.WaitGroup
	var failure atomic.Value
	for range callers {
		wait.Go(func() {
			for {
				index := next.Add(1) - 1
				if index >= int64(calls) {
					return
				}
				began := time.Now()
				if err := call(); err != nil {
					failure.Store(err)
					return
				}
				taken[index] = time.Since(began)
			}
		})
	}
	wait.Wait()
	if err, failed := failure.Load().(error); failed {
		return nil, err
	}
	slices.Sort(taken)
	return taken, nil
}

// change tells the plug-in's surroundings to change and returns the milliseconds until a list shows it.
func change(control, line string, endpoint *manager.Plugin, shows func([]*api.Device) bool) (float64, error) {
	connection, err := net.Dial("unix", control)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	began := time.Now()
	if _, err := fmt.Fprintln(connection, line); err != nil {
		return 0, err
	}
	list := awaitList(endpoint, patience, shows)
	if list == nil {
		answer, _ := io.ReadAll(connection)
		return 0, fmt.Errorf("no list showed %s; it was answered with %s", line, answer)
	}
	return milliseconds(list.At.Sub(began)), nil
}

func milliseconds(duration time.Duration) float64 {
	return float64(duration) / float64(time.Millisecond)
}
func microseconds(duration time.Duration) float64 {
	return float64(duration) / float64(time.Microsecond)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

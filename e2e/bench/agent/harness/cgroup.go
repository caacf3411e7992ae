package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// cgroup counts what one process uses as the kubelet counts a container: the working set is usage without inactive file pages.
type cgroup struct {
	// One on version 2; memory and cpuacct on version 1.
	directories []string
	version2    bool
}

const root = "/sys/fs/cgroup"

func newCgroup(name string) (*cgroup, error) {
	group := &cgroup{}
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		group.version2 = true
		group.directories = []string{filepath.Join(root, name)}
	} else {
		group.directories = []string{filepath.Join(root, "memory", name), filepath.Join(root, "cpuacct", name)}
	}
	for _, directory := range group.directories {
		os.Remove(directory) // of a run that was killed
		if err := os.Mkdir(directory, 0o755); err != nil {
			return nil, fmt.Errorf("a cgroup of its own: %w", err)
		}
	}
	return group, nil
}

func (g *cgroup) procs() string {
	files := make([]string, len(g.directories))
	for index, directory := range g.directories {
		files[index] = filepath.Join(directory, "cgroup.procs")
	}
	return strings.Join(files, " ")
}

func (g *cgroup) remove() {
	for _, directory := range g.directories {
		for range 50 { // a process that was just killed still counts for a moment
			if os.Remove(directory) == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func (g *cgroup) workingSet() float64 {
	usage, inactive := "memory.usage_in_bytes", "total_inactive_file"
	if g.version2 {
		usage, inactive = "memory.current", "inactive_file"
	}
	return (number(g.directories[0], usage) - field(g.directories[0], "memory.stat", inactive)) / (1 << 20)
}

func (g *cgroup) cpu() time.Duration {
	if g.version2 {
		return time.Duration(field(g.directories[0], "cpu.stat", "usage_usec")) * time.Microsecond
	}
	return time.Duration(number(g.directories[1], "cpuacct.usage"))
}

func number(directory, file string) float64 {
	text, err := os.ReadFile(filepath.Join(directory, file))
	if err != nil {
		fail("the cgroup cannot be read", err)
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil {
		fail(file, err)
	}
	return value
}

func field(directory, file, name string) float64 {
	text, err := os.ReadFile(filepath.Join(directory, file))
	if err != nil {
		fail("the cgroup cannot be read", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if words := strings.Fields(line); len(words) == 2 && words[0] == name {
			value, _ := strconv.ParseFloat(words[1], 64)
			return value
		}
	}
	fail(file, fmt.Errorf("has no %s", name))
	return 0
}

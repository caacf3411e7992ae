// Plays the kubelet for plug-in commands and prints what it saw as one table. Which commands is said by a plan on standard input;
// bench.ts writes it. The protocol is k8s.io/kubelet's own package, so that nothing of the measured project is believed.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// Plan says whom to measure. All of them go through each repetition in turn: load on the machine meets all alike.
type Plan struct {
	Repetitions int      `json:"repetitions"`
	Plugins     []Plugin `json:"plugins"`
}

// Plugin is a command that serves the device plug-in protocol in Directory/device-plugins.
type Plugin struct {
	Name      string   `json:"name"`
	Directory string   `json:"directory"`
	Command   []string `json:"command"`
	// Break and Mend are lines for a unix socket; they make one device unhealthy and healthy again.
	Control string `json:"control,omitempty"`
	Break   string `json:"break,omitempty"`
	Mend    string `json:"mend,omitempty"`
}

func main() {
	var plan Plan
	if err := json.NewDecoder(os.Stdin).Decode(&plan); err != nil {
		fail("the plan cannot be read", err)
	}
	results := make([][]Findings, len(plan.Plugins))
	for repetition := range plan.Repetitions {
		for index, plugin := range plan.Plugins {
			fmt.Fprintf(os.Stderr, "%s, %d of %d\n", plugin.Name, repetition+1, plan.Repetitions)
			findings, err := measure(plugin)
			if err != nil {
				fail(plugin.Name, err)
			}
			results[index] = append(results[index], findings)
		}
	}
	printTable(os.Stdout, plan.Plugins, results)
}

func fail(what string, err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
	os.Exit(1)
}

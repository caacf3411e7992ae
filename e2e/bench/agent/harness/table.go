package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

var rows = []string{
	"start → Register, ms",
	"Register → first list, ms",
	"Allocate, 1 caller, p50 µs",
	"Allocate, 1 caller, p99 µs",
	"Allocate, 1 caller, processor µs a call",
	"Allocate, 32 callers, p50 µs",
	"Allocate, 32 callers, p99 µs",
	"Allocate, 32 callers, processor µs a call",
	"kubelet restarts → Register, ms",
	"stream cut → Register, ms",
	"a device breaks → kubelet told, ms",
	"it is mended → kubelet told, ms",
	"idle working set, MiB",
	"working set after 30 000 Allocates, MiB",
	"CPU idle, ms a minute",
	"SIGTERM → ended, ms",
	"an unknown id",
	"the same id twice",
	"id ../../../../etc/passwd",
	"an id of 1 MiB",
	"an id with NUL and a line end",
	"afterwards a good id",
}

// printTable writes Markdown: the median over the repetitions, with the extremes where they differ.
func printTable(out io.Writer, plugins []Plugin, results [][]Findings) {
	names := []string{}
	for _, plugin := range plugins {
		names = append(names, plugin.Name)
	}
	fmt.Fprintf(out, "| | %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for _, row := range rows {
		cells := []string{}
		for _, runs := range results {
			cells = append(cells, cell(row, runs))
		}
		fmt.Fprintf(out, "| %s | %s |\n", row, strings.Join(cells, " | "))
	}
}

func cell(row string, runs []Findings) string {
	values := []float64{}
	for _, run := range runs {
		if word, found := run.words[row]; found {
			return word
		}
		if value, found := run.figures[row]; found {
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		return "–"
	}
	slices.Sort(values)
	if values[0] == never {
		return "never"
	}
	if len(values) == 1 {
		return figure(values[0])
	}
	return fmt.Sprintf("%s (%s–%s)", figure(values[len(values)/2]), figure(values[0]), figure(values[len(values)-1]))
}

func figure(value float64) string {
	if value < 100 {
		return fmt.Sprintf("%.1f", value)
	}
	return fmt.Sprintf("%.0f", value)
}

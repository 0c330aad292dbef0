# Everything a contributor runs. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# Tools are pinned in tools/go.mod; the Go build cache keeps their binaries.
TOOL := go tool -modfile=tools/go.mod
TOOL_API := go tool -modfile=../tools/go.mod

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT := $(shell git rev-parse HEAD 2>/dev/null)
DATE := $(shell git log -1 --format=%cI 2>/dev/null)
LDFLAGS := -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)

# make test TESTFLAGS='-run TestX -v' PACKAGES=./internal/store/...
PACKAGES ?= ./...
TESTFLAGS ?=
TEST_TIMEOUT ?= 20m

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build bin/aftertouch.
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/aftertouch ./cmd/aftertouch

.PHONY: engine
engine: ## Bring the ClickHouse engine library into the user's cache, verified.
	@bash scripts/engine.sh

.PHONY: test
test: engine ## Run all tests.
	go test -timeout $(TEST_TIMEOUT) $(TESTFLAGS) $(PACKAGES)

.PHONY: demo
demo: engine build ## Start everything on embedded engines and drive a campaign with known effects through it.
	bin/aftertouch demo

.PHONY: bench
bench: engine ## Measure throughput, latency and freshness on this machine; BENCH=name picks, micro=1 adds single packages.
	@bash scripts/bench.sh

.PHONY: lint
lint: lint-go lint-api ## Run all linters.

.PHONY: lint-go
lint-go: ## Lint the Go code.
	$(TOOL) golangci-lint run --allow-parallel-runners ./...

.PHONY: lint-api
lint-api: ## Lint the protobuf files.
	cd api && $(TOOL_API) buf lint

.PHONY: format
format: ## Format Go and protobuf files.
	$(TOOL) golangci-lint fmt ./...
	cd api && $(TOOL_API) buf format -w

.PHONY: generate
generate: ## Generate Go code and the OpenAPI page from the protobuf files.
	cd api && $(TOOL_API) buf generate

.PHONY: check-generated
check-generated: ## Prove that generated code is what the protobuf files say.
	@bash scripts/check-generated.sh

.PHONY: compose-check
compose-check: ## Validate docker-compose.yml.
	@bash scripts/compose-check.sh

.PHONY: clean
clean: ## Remove what was built here.
	rm -rf bin

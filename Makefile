# Everything a contributor runs. CI (.ci/run) calls the same targets.
#
#   make build        bin/cxrelay, static
#   make release      static binaries for linux and darwin with checksums, in dist/
#   make test race    the test suite, without and with the race detector
#   make lint         golangci-lint with the rules of .golangci.yml
#   make fuzz         every fuzz target for FUZZTIME each (20s, or 2000x: inputs)
#   make test-real    against Apache Kafka and Apicurio (Java 17 JDK, Maven, kcat, gcc); CXRELAY_REAL=skip skips on a laptop
#   make storm        the relay under load, attack and faults for DURATION, judged; SEED=n repeats a schedule
#   make storm-tests  the storm's targets, and relays with a fault that it must convict
#   make storm-real   the storm on three brokers of Apache Kafka
#   make soak         half an hour of it and more, until 200 kills of the relay and ten million events
#   make soak-calm    an hour without faults: ten million events through one relay, whose memory must not grow
#   make bench        Go benchmarks per package, with allocations
#   make bench-layouts  one package's benchmarks in several builds, medians
#   make bench-relay  CPU per event and peak memory of the whole binary against a bare floor
#   make dev          the relay with an in-process broker and registry
#   make docs         regenerate the reference pages
#   make vuln         known vulnerabilities in dependencies (needs the network)

GO       ?= go
BIN      ?= bin
FUZZTIME ?= 20s
BENCH    ?= .
COUNT    ?= 1

# Of bench-layouts, with BENCH: the package, and how many builds.
PKG     ?= ./internal/schema/jsonschema
LAYOUTS ?= 7

# Of bench-relay: interleaved rounds, seconds per window, cases ("" = all), events
# per second (0: as many as are answered).
ROUNDS   ?= 5
SECONDS  ?= 4
CASES    ?=
ARRIVALS ?= 0

GOLANGCI_VERSION    := v2.15.0
GOVULNCHECK_VERSION := v1.9.0
GOBIN_DIR := $(or $(shell $(GO) env GOBIN),$(shell $(GO) env GOPATH)/bin)
GOLANGCI  ?= $(GOBIN_DIR)/golangci-lint

# Of storm and soak.
DURATION ?= 60s
SEED     ?= 0
RATE     ?= 500
STORM    := $(BIN)/storm

# What "cxrelay version" says; empty: what the Go tool has recorded.
VERSION ?=
COMMIT  ?=
DATE    ?=
STAMP   := $(if $(VERSION),-X main.version=$(VERSION)) $(if $(COMMIT),-X main.commit=$(COMMIT)) $(if $(DATE),-X main.date=$(DATE))

DIST      ?= dist
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

.DEFAULT_GOAL := build
.PHONY: build release test race test-real storm storm-tests storm-real soak soak-calm lint fmt tools fuzz bench bench-layouts bench-relay dev docs vuln clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w $(STAMP)' -o $(BIN)/cxrelay ./cmd/cxrelay

# Reproducible: the same commit and Go version give the same bytes.
release:
	@test -n "$(VERSION)" || { echo "make release VERSION=v1.2.3"; exit 1; }
	rm -rf $(DIST) && mkdir -p $(DIST)
	@commit=$$(git rev-parse HEAD) && date=$$(git log -1 --format=%cI) || exit 1; \
	for platform in $(PLATFORMS); do \
		out=$(DIST)/cxrelay_$(VERSION)_$${platform%/*}_$${platform#*/}; \
		echo "$$out"; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO) build -trimpath \
			-ldflags "-s -w -X main.version=$(VERSION) -X main.commit=$$commit -X main.date=$$date" \
			-o "$$out" ./cmd/cxrelay || exit 1; \
	done
	cd $(DIST) && sha256sum cxrelay_* > SHA256SUMS && cat SHA256SUMS

test:
	$(GO) test ./...

race:
	$(GO) test -race ./...

# Fetches its artefacts once, into .cache/real. CXRELAY_REAL=keep keeps the logs.
# Those that mostly wait, for a registry's next version or a minute of scrapes,
# run beside the others.
WAITING := '^(TestRegistry|TestPrometheus|TestPrometheusConvicts|TestOperationsPage)$$'
REAL    := $(GO) test -tags real -count=1 -timeout 20m -v
test-real:
	$(GO) vet -tags real ./test/real/...
	CGO_ENABLED=1 $(GO) vet -C test/real/serde ./...
	@mkdir -p $(BIN)
	@$(REAL) -run $(WAITING) ./test/real >$(BIN)/waiting.log 2>&1 & waiting=$$!; failed=0; \
	$(REAL) -skip $(WAITING) ./test/real/... || failed=1; \
	wait $$waiting || failed=1; \
	cat $(BIN)/waiting.log; exit $$failed

# Leaves journal, logs, report (text, JSON, picture) in bin/storm/last.
storm: build
	CGO_ENABLED=0 $(GO) build -trimpath -o $(STORM)/ ./test/storm/broker ./test/storm/cmd
	CGO_ENABLED=0 $(GO) build -trimpath -o $(STORM)/judge ./test/storm/judge/cmd
	rm -rf $(STORM)/last && mkdir -p $(STORM)/last
	$(STORM)/cmd -relay $(BIN)/cxrelay -broker $(STORM)/broker -dir $(STORM)/last -length $(DURATION) -seed $(SEED) -rate $(RATE) $(STORM_FLAGS)
	cd test/storm/plot && $(GO) run . "$(CURDIR)/$(STORM)/last/report.json" "$(CURDIR)/$(STORM)/last/storm.png"

# Half an hour, and on until ten million events were sent and the relay was killed
# 200 times, but no longer than 45 minutes. Two faults of five kill the relay. The
# senders have as many connections as keep them sending while a broker hangs.
soak:
	$(MAKE) storm DURATION=$(if $(filter 60s,$(DURATION)),30m,$(DURATION)) RATE=$(if $(filter 500,$(RATE)),6000,$(RATE)) \
		STORM_FLAGS='-often "the relay is killed=16" -events 10000000 -kills 200 -most 45m -contacts 2000 -connections 1000 $(STORM_FLAGS)'

# Ten million events through one relay, without a fault: does its memory grow?
soak-calm:
	$(MAKE) storm DURATION=$(if $(filter 60s,$(DURATION)),57m,$(DURATION)) RATE=$(if $(filter 500,$(RATE)),3000,$(RATE)) \
		STORM_FLAGS='-calm -events 10000000 -most 90m -contacts 2000 $(STORM_FLAGS)'

storm-tests:
	$(GO) vet -tags storm ./test/storm/...
	cd test/storm/plot && $(GO) vet ./...
	$(GO) test -tags storm -count=1 -timeout 20m -v ./test/storm ./test/storm/mutants ./test/storm/judge/cmd

storm-real:
	$(GO) test -tags 'real storm' -count=1 -timeout 15m -v -run TestOnKafka ./test/storm

# The version is part of the target: an older binary is replaced.
tools:
	@$(GOLANGCI) version 2>/dev/null | grep -q 'version $(GOLANGCI_VERSION:v%=%) ' || \
		$(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

lint: tools
	$(GOLANGCI) config verify
	$(GOLANGCI) run ./...

fmt: tools
	$(GOLANGCI) fmt ./...

# "go test -fuzz" takes one target of one package, so they are listed first.
# One worker each: FUZZTIME is then comparable between machines.
LIST_TESTS := '{{range .TestGoFiles}}{{$$.ImportPath}} {{$$.Dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$.ImportPath}} {{$$.Dir}}/{{.}}{{"\n"}}{{end}}'
fuzz:
	@$(GO) list -f $(LIST_TESTS) ./... | while read -r pkg file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "fuzz $$pkg $$target"; \
			$(GO) test "$$pkg" -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x -parallel 1 || exit 1; \
		done; \
	done

bench:
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./...

bench-layouts:
	$(GO) run ./test/bench/layouts -package $(PKG) -bench '$(BENCH)' -layouts $(LAYOUTS)

bench-relay: build
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/bench/ ./test/bench/...
	$(BIN)/bench/run -bin $(BIN)/bench -relay $(BIN)/cxrelay -rounds $(ROUNDS) -seconds $(SECONDS) -cases '$(CASES)' -rate $(ARRIVALS)

dev:
	$(GO) run ./cmd/cxrelay dev

# Generators are named by go:generate lines beside what they describe.
docs:
	$(GO) generate ./...

# Not part of CI: the database of vulnerabilities is fetched from the network.
vuln:
	$(GO) run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

clean:
	rm -rf $(BIN) $(DIST)
	$(GO) clean -testcache

# make help lists the targets. All of them use LIBTORCH=/path if it is set.

# The go command, with the flags that let cgo find libtorch.
GO := sh third_party/env.sh go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
PYTHON := /usr/bin/python3

PKG ?= ./...
# The packages to test, those with the longest tests first, so that all cores are busy to the end.
TESTED = $(if $(filter ./...,$(PKG)),./train ./cmd/liebm ./study) $(PKG)
TAGS ?=
TIMEOUT ?= 30m
comma := ,
TAGGED := $(if $(TAGS),-tags $(TAGS))
# The checks read the files of the long tests too.
CHECKED := -tags long$(if $(TAGS),$(comma)$(TAGS))
BENCH ?= .
FUZZTIME ?= 10s
RELEASE ?= trixie

ifdef LIBTORCH
export LIBTORCH
endif

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { gsub(/\$$\$$/, "$$"); printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Set LIBTORCH=/path to use the libtorch in that folder, which has include/ and lib/."

.PHONY: demo
demo: build ## train on Fashion-MNIST for ten minutes; leaves runs/demo/
	@mkdir -p runs
	@if [ -e runs/demo ]; then \
		old=runs/demo-$$(date -r runs/demo +%Y%m%d-%H%M%S); \
		while [ -e "$$old" ]; do old=$$old.1; done; \
		mv runs/demo "$$old" && echo "moved the earlier demo to $$old"; \
	fi
	bin/liebm demo --out runs/demo

.PHONY: build
build: setup ## make bin/liebm
	$(GO) build -ldflags '-X main.makeVersion=$(VERSION)' -o bin/liebm ./cmd/liebm

.PHONY: release
release: build ## make bin/liebm, its parts as SPDX in bin/liebm.spdx.json, and bin/SHA256SUMS
	sh third_party/sbom.sh bin/liebm > bin/liebm.spdx.json
	cd bin && sha256sum liebm liebm.spdx.json > SHA256SUMS

.PHONY: test
test: setup ## the tests, in 6 minutes the first time; PKG=./torch for one package
	$(GO) test -vet=off -timeout $(TIMEOUT) $(TAGGED) $(TESTED)

.PHONY: short
short: setup ## the quick tests only, in 90 seconds; PKG=./torch for one package
	$(GO) test -short -timeout $(TIMEOUT) $(TAGGED) $(TESTED)

.PHONY: long
long: setup ## all tests, also those that start several processes or train for longer (build tag long)
	$(GO) test -timeout 60m -tags long $(TESTED)

.PHONY: ci
ci: ## everything that a change must pass: lint, test, long, gotorch, vuln and a sample of faults
	.ci/run

.PHONY: gotorch
gotorch: ## build gotorch's C library, then test the packages that use it (build tag gotorch)
	@$(MAKE) --no-print-directory setup TAGS=gotorch
	@[ ! -e third_party/gotorch/libcgotorch.so ] || $(MAKE) --no-print-directory test PKG='./torch/gotorch ./torch/optim' TAGS=gotorch

.PHONY: lint
lint: setup ## gofmt, go vet, staticcheck
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "not gofmt-ed (make tidy does it):" $$bad; exit 1; }
	$(GO) vet $(CHECKED) $(PKG)
	@if go run $(STATICCHECK) -version >/dev/null 2>&1; then \
		echo "staticcheck $(PKG)"; $(GO) run $(STATICCHECK) $(CHECKED) $(PKG); \
	else \
		echo "staticcheck skipped: 'go run $(STATICCHECK)' could not fetch or build it"; \
	fi

.PHONY: vuln
vuln: setup ## look for known vulnerabilities in the code that is called, where govulncheck finds its database
	@if curl -fsS -m 10 -o /dev/null https://vuln.go.dev/index/db.json && go run $(GOVULNCHECK) -version >/dev/null; then \
		$(GO) run $(GOVULNCHECK) ./...; \
	else \
		echo "govulncheck skipped: 'go run $(GOVULNCHECK)' or its database could not be fetched"; \
	fi

.PHONY: race
race: setup ## run the tests with the race detector
	$(GO) test -race $(PKG)

.PHONY: asan
asan: setup ## run the tests of package torch with the address sanitizer
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 $(GO) test -asan -short ./torch

.PHONY: image
image: ## build the CPU target of Dockerfile.cuda and try it, without a Docker engine, as root
	third_party/image.sh

.PHONY: bench
bench: setup ## run the benchmarks; BENCH=pattern for some of them
	$(GO) test -timeout $(TIMEOUT) $(TAGGED) -run '^$$' -bench '$(BENCH)' -benchmem $(PKG)

.PHONY: fuzz
fuzz: setup ## run each fuzz target for FUZZTIME=10s
	@grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | while IFS=: read -r file func; do \
		echo "$${file%/*} $${func#func }"; \
		$(GO) test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "$${file%/*}" </dev/null || exit 1; \
	done

# FAULTS_EVERY=60 FAULTS_KILLS=10 take a sample. FAULTS chooses tests by a pattern.
FAULTS ?= Faults|NumericFlag
export FAULTS_EVERY ?= 2
FAULTS_REPORT ?= $(CURDIR)/docs/reliability.md
.PHONY: faults
faults: setup ## kill, starve, cut off and damage small commands; writes the table of docs/reliability.md
	FAULTS_REPORT=$(FAULTS_REPORT) $(GO) test -tags faults -timeout 8h -count 1 -v -run '$(FAULTS)' ./cmd/liebm
	$(GO) test -count 1 -v -run Extreme ./train

.PHONY: pretrained
pretrained: build ## train the model that comes with liebm again, in runs/pretrained/: an hour on two cores
	bin/liebm pretrain --preset fmnist-simclr --steps 8000 --set warm_up=500 --set 'drops=[2000,1000]' \
		--out runs/pretrained/h --resume auto
	bin/liebm train --preset fmnist-em --encoder runs/pretrained/h --steps 8000 --set 'emas=[0.999]' --out runs/pretrained/em --resume auto
	bin/liebm pack --run runs/pretrained/em --checkpoint last@0.999 --license apache-2.0 --out runs/pretrained/fmnist
	bin/liebm metrics probe --run runs/pretrained/fmnist --out runs/pretrained/fmnist/results.jsonl
	bin/liebm eval --run runs/pretrained/fmnist

.PHONY: golden
golden: ## write the files in testdata again, with Debian's python3 and the scripts beside them
	@find . -path '*/testdata/*.py' ! -name '_*' | LC_ALL=C sort | while read -r script; do \
		echo "$$script"; \
		(cd "$${script%/*}" && $(PYTHON) "$${script##*/}" </dev/null) || exit 1; \
	done

.PHONY: setup
setup: ## install missing packages; does nothing the second time
	@sh third_party/setup.sh
	@$(if $(filter gotorch,$(TAGS)),sh third_party/gotorch.sh)

.PHONY: env
env: ## print the settings with which go build finds LIBTORCH; use: eval "$$(make -s env)"
	@sh third_party/env.sh

.PHONY: fresh
fresh: ## run make test on a new Debian RELEASE=trixie, as root; CMD='make demo' for another command
	third_party/fresh.sh $(RELEASE) $(if $(CMD),'$(CMD)')

.PHONY: matrix
matrix: ## run the tests with the libtorch of Debian 12, 13 and forky, in new roots, as root
	third_party/matrix.sh

.PHONY: cuda
cuda: ## run the GPU tests with a CUDA build of libtorch and simulated GPUs, in a new Debian 13, as root
	third_party/cuda.sh

.PHONY: tidy
tidy: ## run gofmt and go mod tidy
	gofmt -w .
	go mod tidy

.PHONY: clean
clean: ## remove bin/; runs/ and third_party/libtorch stay
	rm -rf bin

# make help lists the targets. Every one of them honours LIBTORCH=/path.

# go, run so that cgo finds libtorch.
GO := sh third_party/env.sh go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PYTHON := /usr/bin/python3

PKG ?= ./...
TAGS ?=
TAGGED := $(if $(TAGS),-tags $(TAGS))
BENCH ?= .
FUZZTIME ?= 10s
RELEASE ?= trixie

ifdef LIBTORCH
export LIBTORCH
endif

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { gsub(/\$$\$$/, "$$"); printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "with LIBTORCH=/path (a folder with libtorch's include/ and lib/) to use that libtorch"

.PHONY: demo
demo: build ## train on Fashion-MNIST for ten minutes; leaves runs/demo/
	@mkdir -p runs
	@if [ -e runs/demo ]; then \
		old=runs/demo-$$(date -r runs/demo +%Y%m%d-%H%M%S); \
		while [ -e "$$old" ]; do old=$$old.1; done; \
		mv runs/demo "$$old" && echo "the demo of before is now $$old"; \
	fi
	bin/liebm demo --out runs/demo

.PHONY: build
build: setup ## make bin/liebm
	$(GO) build -ldflags '-X main.version=$(VERSION)' -o bin/liebm ./cmd/liebm

.PHONY: test
test: setup lint ## the checks, then the tests; PKG=./torch for one package
	$(GO) test -timeout 30m $(TAGGED) $(PKG)

.PHONY: gotorch
gotorch: ## build gotorch's C library, then check and test what has TAGS=gotorch
	@$(MAKE) --no-print-directory setup TAGS=gotorch
	@[ ! -e third_party/gotorch/libcgotorch.so ] || $(MAKE) --no-print-directory test PKG='./torch/gotorch ./torch/optim' TAGS=gotorch

.PHONY: lint
lint: setup ## gofmt, go vet, staticcheck
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "not gofmt-ed (make tidy does it):" $$bad; exit 1; }
	$(GO) vet $(TAGGED) $(PKG)
	@if go run $(STATICCHECK) -version >/dev/null 2>&1; then \
		echo "staticcheck $(PKG)"; $(GO) run $(STATICCHECK) $(TAGGED) $(PKG); \
	else \
		echo "staticcheck skipped: 'go run $(STATICCHECK)' cannot fetch or build it here"; \
	fi

.PHONY: race
race: setup ## the tests under the race detector
	$(GO) test -race $(PKG)

.PHONY: asan
asan: setup ## the tests of the C boundary under the address sanitizer
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 $(GO) test -asan -short ./torch

.PHONY: dockerfile
dockerfile: ## run the RUN steps of Dockerfile.cuda's CPU target in bare Debian roots, as root
	third_party/dockerfile.sh cpu

.PHONY: bench
bench: setup ## the benchmarks; BENCH=pattern for some
	$(GO) test $(TAGGED) -run '^$$' -bench '$(BENCH)' -benchmem $(PKG)

.PHONY: fuzz
fuzz: setup ## each fuzz target for FUZZTIME=10s
	@grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | while IFS=: read -r file func; do \
		echo "$${file%/*} $${func#func }"; \
		$(GO) test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "$${file%/*}" </dev/null || exit 1; \
	done

.PHONY: golden
golden: ## write testdata again with Debian's python3 and the testdata/*.py scripts
	@find . -path '*/testdata/*.py' ! -name '_*' | LC_ALL=C sort | while read -r script; do \
		echo "$$script"; \
		(cd "$${script%/*}" && $(PYTHON) "$${script##*/}" </dev/null) || exit 1; \
	done

.PHONY: setup
setup: ## install what is missing; does nothing the second time
	@sh third_party/setup.sh
	@$(if $(filter gotorch,$(TAGS)),sh third_party/gotorch.sh)

.PHONY: env
env: ## print the lines that let a plain go build find LIBTORCH: eval "$$(make -s env)"
	@sh third_party/env.sh

.PHONY: fresh
fresh: ## make test on a bare Debian RELEASE=trixie, as root; CMD='make demo' for another command
	third_party/fresh.sh $(RELEASE) $(if $(CMD),'$(CMD)')

.PHONY: matrix
matrix: ## go test ./... on the libtorch of Debian 12, 13 and forky, in bare roots, as root
	third_party/matrix.sh

.PHONY: cuda
cuda: ## tests of a CUDA build of libtorch whose GPUs are idle, in a bare Debian 13, as root
	third_party/cuda.sh

.PHONY: tidy
tidy: ## gofmt and go mod tidy
	gofmt -w .
	go mod tidy

.PHONY: clean
clean: ## remove what make built; runs/ and third_party/libtorch stay
	rm -rf bin

# Argosy: `make demo` and `make test` do all the set-up; the second time they skip what is already done.
#
# Needs Python >= 3.11, make, a C compiler and the package registries. With cargo the native front is built and used.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
RUST   := 1.85
# 'native' where a Rust that is new enough is here; FRONT=portable does without.
FRONT  ?= $(if $(shell printf '$(RUST)\n%s\n' "$$(rustc --version 2>/dev/null | cut -d' ' -f2)" | sort -CV && command -v cargo),native,portable)
BUILT  := $(VENV)/.front-$(FRONT)
# cargo in the crate $(1): the front, or the benchmark's load.
cargo   = cd $(1) && CARGO_TARGET_DIR=$(CURDIR)/.cache/$(notdir $(1))-target cargo
# In that crate a part of cargo that not every Rust comes with, and its arguments.
cargo_tool = @cargo $(2) --version >/dev/null 2>&1 || { echo "cargo $(2) is not here: left out"; exit 0; }; $(call cargo,$(1)) $(2) $(3)
# One run of each fuzz target, in seconds; and the memory that ends it, of which the sanitizer would keep what is freed.
FUZZ_S  ?= 60
FUZZ_MB := 256

.PHONY: demo test lint types unit e2e models matrix matrix-fast k8s-test front rust-lint rust-test fuzz protos \
  released-protos bench bench-gpu soak clients-test clean help

demo: $(READY) $(BUILT)  ## train what is missing, start the fleet, show real answers
	@$(BIN)/argosy demo

test: lint types rust-test unit matrix-fast e2e  ## everything that must hold before a change lands

lint: $(READY) rust-lint  ## style, import rules and protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	cd protos && ../$(BIN)/buf lint

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

unit: $(READY) $(BUILT)  ## unit and contract tests, the latter against every front that is here
	$(BIN)/pytest tests/unit tests/contract

e2e: models $(BUILT)  ## real processes, real models, real gRPC
	$(BIN)/pytest tests/e2e tests/gpu

models: $(READY)  ## train and export the reference models into models/
	@$(BIN)/argosy train

matrix: $(READY)  ## export every source model of tests/matrix, judge it on unseen rows, write docs/matrix.md
	$(BIN)/python -m tests.matrix --page docs/matrix.md

matrix-fast: $(READY)  ## the part of the matrix that has every framework and every known trap
	$(BIN)/pytest tests/matrix
	$(BIN)/python -m tests.matrix --fast

k8s-test: $(READY) models  ## the manifests on a real Kubernetes control plane, the fleet's processes in its pods
	@$(BIN)/python -m k8s.testing.tools
	@$(BIN)/python -m k8s.testing.images
	unshare $(if $(filter-out 0,$(shell id -u)),--map-root-user) --net --mount --pid --fork --kill-child --mount-proc \
	  $(BIN)/pytest tests/k8s

front: $(READY) $(BUILT)  ## the native front where cargo is; `make demo` and `make test` do it too

rust-lint:  ## rustfmt and clippy, where they are
ifeq ($(FRONT),native)
	$(call cargo_tool,front,fmt,--check)
	$(call cargo_tool,front,clippy,--quiet --all-targets -- -D warnings)
	$(call cargo_tool,bench/load,fmt,--check)
	$(call cargo_tool,bench/load,clippy,--quiet --all-targets -- -D warnings)
endif

rust-test:  ## the native front's own tests, a short seeded fuzz run among them, and the load generator's
ifeq ($(FRONT),native)
	$(call cargo,front) test --quiet --no-default-features
	$(call cargo,bench/load) test --quiet
endif

fuzz:  ## each fuzz target for FUZZ_S seconds (needs cargo-fuzz and a nightly Rust)
	@cargo +nightly fuzz --version >/dev/null 2>&1 || { echo "not fuzzed: it wants a nightly Rust and cargo install cargo-fuzz --version 0.13.1 --locked"; exit 0; }; \
	  for target in $$(ls front/fuzz/fuzz_targets | cut -d. -f1); do \
	    (cd front && ASAN_OPTIONS=quarantine_size_mb=1 cargo +nightly fuzz run --target-dir $(CURDIR)/.cache/fuzz-target \
	      $$target -- -max_total_time=$(FUZZ_S) -rss_limit_mb=$(FUZZ_MB)) || exit 1; done

protos: $(READY)  ## generate the Python of protos/ anew
	$(BIN)/python protos/generate.py

released-protos: $(READY)  ## with a release: what later changes of protos/ must not break
	cd protos && ../$(BIN)/buf build --as-file-descriptor-set --exclude-source-info -o released.binpb

bench: models $(BUILT)  ## beside Triton, MLServer, grpcio and raw ONNX Runtime (BENCH=--quick: three minutes instead of fifteen)
	$(BIN)/python -m bench $(BENCH)

bench-gpu: models $(BUILT)  ## the service beside its session alone on a card (GPU="--provider cpu": only shows that it runs)
	$(BIN)/python -m bench.gpu $(GPU)

soak: models $(BUILT)  ## ten minutes of good and bad requests: memory, descriptors and threads must stay flat
	$(BIN)/python -m bench.soak

clients-test: models $(BUILT)  ## build the clients of every language, run them against one fleet, compare their lines
	@$(BIN)/python -m tests.clients.compare

clean:  ## remove what was built; downloads under .cache/ stay
	rm -rf $(VENV) models .mypy_cache .ruff_cache .pytest_cache

help:  ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1\t/p' Makefile | expand -t 17

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Argosy needs Python 3.11 or newer; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned packages into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu,router,export,dev]'
	@touch $@

$(VENV)/.front-native: $(wildcard front/*.toml front/src/*.rs) | $(READY)
	@echo "building the native front (a minute the first time)"
	@touch $@.begun  # what is edited while it builds is newer than this
	@CARGO_TARGET_DIR=$(CURDIR)/.cache/front-target $(BIN)/python -m pip install --quiet --disable-pip-version-check ./front
	@mv $@.begun $@

# Made every time, so that it is said every time.
.PHONY: $(VENV)/.front-portable
$(VENV)/.front-portable: | $(READY)
	@if [ -e $(VENV)/.front-native ]; then $(BIN)/python -m pip uninstall --quiet --yes argosy-front && rm $(VENV)/.front-native; fi
	@echo "the portable front serves: no cargo with Rust $(RUST) or newer is here, or FRONT=portable was asked for"

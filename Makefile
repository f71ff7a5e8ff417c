# Argosy: `make demo` and `make test` do all the set-up; the second time they skip what is already done.
#
# Needs Python >= 3.11, make, a C compiler and the package registries.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test lint types unit e2e models k8s-test front protos released-protos bench soak clients-test clean help

demo: $(READY)  ## train what is missing, start the fleet, show real answers
	@$(BIN)/argosy demo

test: lint types unit e2e  ## everything that must hold before a change lands

lint: $(READY)  ## style, import rules and protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	cd protos && ../$(BIN)/buf lint

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

unit: $(READY)  ## unit and contract tests
	$(BIN)/pytest tests/unit tests/contract

e2e: models  ## real processes, real models, real gRPC
	$(BIN)/pytest tests/e2e tests/gpu

models: $(READY)  ## train and export the reference models into models/
	@$(BIN)/argosy train

k8s-test: $(READY) models  ## the manifests on a real Kubernetes control plane, the fleet's processes in its pods
	@$(BIN)/python -m k8s.testing.tools
	unshare $(if $(filter-out 0,$(shell id -u)),--map-root-user) --net --mount --pid --fork --kill-child --mount-proc \
	  $(BIN)/pytest tests/k8s

front: $(READY)  ## build and install the native front (needs cargo); services then use it
	CARGO_TARGET_DIR=$(CURDIR)/.cache/front-target $(BIN)/python -m pip install --quiet --disable-pip-version-check ./front

protos: $(READY)  ## generate the Python of protos/ anew
	$(BIN)/python protos/generate.py

released-protos: $(READY)  ## with a release: what later changes of protos/ must not break
	cd protos && ../$(BIN)/buf build --as-file-descriptor-set --exclude-source-info -o released.binpb

bench: models  ## requests/s and latency, straight and routed, beside raw ONNX Runtime
	$(BIN)/python -m bench.serving

soak: models  ## ten minutes of good and bad requests: memory, descriptors and threads must stay flat
	$(BIN)/python -m bench.soak

clients-test: models  ## build the clients of every language, run them against one fleet, compare their lines
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

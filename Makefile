# Everything that is done with this repository. `make help` lists it.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PROTO_VENV := .venv-proto
LOWEST_VENV := .venv-lowest
DATA ?= certmint-data
TRUST_DOMAIN ?= example.org
PROTOS := $(sort $(wildcard protos/certmint/ca/v1/*.proto))
STUBS := client/src
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet
PIP_LOWEST := PIP_DISABLE_PIP_VERSION_CHECK=1 $(LOWEST_VENV)/bin/python -m pip install --quiet
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet

.DEFAULT_GOAL := help
.PHONY: help install demo run test client-lowest interop soak check format lint types arrows proto proto-check bench lock clean

help: ## List what there is
	@awk -F ':.*## ' '/^[A-Za-z0-9_.-]+:.*## / { printf "  \033[36m%-13s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml client/pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed: install it, or name it: make PYTHON=..." >&2; exit 1; }
	@echo "Making $(VENV) with $(PYTHON) from the locked requirements ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@$(PIP) --no-deps --no-build-isolation -e client -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@echo "Adding what tests and checks need ..."
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

install: $(VENV)/.dev ## Make the virtual environment from the locked requirements

demo: $(VENV)/.runtime ## Walk through a service's whole life, on a CA made for it
	@$(BIN)/python demo/run.py

run: $(VENV)/.runtime ## Serve, with data in ./certmint-data (DATA=..., TRUST_DOMAIN=...)
	@test -f $(DATA)/certmint.toml || $(BIN)/certmint-server init --dir $(DATA) --trust-domain $(TRUST_DOMAIN)
	@$(BIN)/certmint-server serve --config $(DATA) --log-format console

test: $(VENV)/.dev ## Run the tests, on SQLite and on a PostgreSQL that they bring up
	@$(BIN)/python -m pytest -q -n 2 $(PYTEST)

$(LOWEST_VENV)/.ready: requirements/client-lowest.txt requirements/client-lowest-test.txt requirements/build.txt \
		client/pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed" >&2; exit 1; }
	@echo "Making $(LOWEST_VENV) from the client's lowest requirements ..."
	@$(PYTHON) -m venv --clear $(LOWEST_VENV)
	@$(PIP_LOWEST) --require-hashes -r requirements/client-lowest.txt -r requirements/client-lowest-test.txt \
		-r requirements/build.txt
	@$(PIP_LOWEST) --no-deps --no-build-isolation -e client
	@touch $@

# The server is not installed there, so tests/conftest.py, which imports it, stays out: no client test uses it.
client-lowest: $(LOWEST_VENV)/.ready ## Run the client's tests on its lowest dependencies
	@$(LOWEST_VENV)/bin/python -m pytest -q -n 2 --confcutdir=tests/unit/client tests/unit/client

interop: $(VENV)/.dev ## Let the openssl command judge what is issued, if it is installed
	@command -v openssl >/dev/null || { echo "interop: there is no openssl command here, so nothing was run"; exit 0; }; \
		$(BIN)/python -m pytest -q -n 2 tests/interop

soak: $(VENV)/.dev ## Kill a server 20 times amid 2,000 calls, on each engine
	@$(BIN)/python -m bench.kill --rounds 20 --calls 2000

check: format-check lint types arrows proto-check test client-lowest interop ## All that CI checks

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

.PHONY: format-check
format-check: $(VENV)/.dev
	@$(BIN)/ruff format --check

lint: $(VENV)/.dev ## Lint Python and protos
	@$(BIN)/ruff check
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code
	@$(BIN)/buf breaking protos --against protos/released.binpb

types: $(VENV)/.dev ## Check the types, tests included
	@$(BIN)/mypy

arrows: $(VENV)/.dev ## Check which way imports point
	@$(BIN)/lint-imports --no-cache

$(PROTO_VENV)/.ready: requirements/proto.txt
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed" >&2; exit 1; }
	@$(PYTHON) -m venv $(PROTO_VENV)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(PROTO_VENV)/bin/python -m pip install --quiet --require-hashes -r requirements/proto.txt
	@touch $@

proto: $(PROTO_VENV)/.ready ## Regenerate the client's stubs from protos/
	@rm -rf $(STUBS)/certmint/ca && mkdir -p $(STUBS)
	@PATH="$(CURDIR)/$(PROTO_VENV)/bin:$$PATH" $(PROTO_VENV)/bin/python -W ignore -m grpc_tools.protoc -I protos \
		--python_out=$(STUBS) --mypy_out=quiet:$(STUBS) \
		--grpc_python_out=$(STUBS) --mypy_grpc_out=quiet:$(STUBS) $(PROTOS)
	@touch $(STUBS)/certmint/ca/__init__.py $(STUBS)/certmint/ca/v1/__init__.py

proto-check: $(PROTO_VENV)/.ready ## Fail if the committed stubs are not those of protos/
	@rm -rf $(PROTO_VENV)/fresh && $(MAKE) --no-print-directory proto STUBS=$(PROTO_VENV)/fresh
	@diff -r -x __pycache__ $(PROTO_VENV)/fresh/certmint/ca client/src/certmint/ca \
		|| { echo "error: the stubs are not those of protos/: run make proto" >&2; exit 1; }

bench: $(VENV)/.dev ## Measure CPU per SignCSR on both engines
	@$(BIN)/python -m bench.issuance

lock: $(VENV)/.dev ## Resolve the locked requirements anew
	@$(PIP) uv
	@$(COMPILE) --upgrade --no-emit-package certmint -o requirements/runtime.txt pyproject.toml client/pyproject.toml
	@$(COMPILE) --upgrade --no-emit-package certmint -c requirements/runtime.txt -o requirements/dev.txt \
		pyproject.toml client/pyproject.toml requirements/dev.in
	@$(COMPILE) --upgrade -o requirements/build.txt requirements/build.in
	@$(COMPILE) --upgrade -o requirements/proto.txt requirements/proto.in
	@$(COMPILE) --resolution lowest-direct -o requirements/client-lowest.txt client/pyproject.toml
	@$(COMPILE) --upgrade -c requirements/client-lowest.txt -c requirements/build.txt \
		-o requirements/client-lowest-test.txt requirements/client-lowest-test.in

clean: ## Remove the virtual environments and caches
	@rm -rf $(VENV) $(PROTO_VENV) $(LOWEST_VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

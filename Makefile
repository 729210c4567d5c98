# The same targets that CI runs. Needs Python 3.11 or later and make; everything else is set up here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
.DEFAULT_GOAL := help

.PHONY: help setup demo test lint format gen check-gen bench soak clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: $(VENV)/runtime ## Install the command at .venv/bin/ciosidecar

demo: $(VENV)/runtime ## Deliver a hundred events through the sidecar to a sandbox; KEEP=1 to look at them
	$(BIN)/python examples/demo.py

test: $(VENV)/dev ## Run every test
	$(BIN)/pytest

lint: $(VENV)/dev ## Check style, types and the contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd protos && ../$(BIN)/buf lint
	cd protos && ../$(BIN)/buf breaking --against baseline.binpb

format: $(VENV)/dev ## Put the code into its usual form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

gen: $(VENV)/dev ## Write the stubs anew from protos/
	$(BIN)/python protos/generate.py

check-gen: $(VENV)/dev ## Fail if the stubs are not those of protos/
	$(BIN)/python protos/generate.py --check

bench: $(VENV)/dev ## Measure, on this machine, beside an echo of the same bytes
	$(BIN)/python -m tests.bench

soak: $(VENV)/dev ## Callers and servers that come and go, and 100,000 events to a Customer.io that fails
	$(BIN)/python -m tests.soak.delivery
	$(BIN)/python -m tests.soak.delivery --kill
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10)

clean: ## Remove what was set up
	rm -rf $(VENV)

$(VENV)/runtime: constraints.txt client/python/pyproject.toml server/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ciosidecar needs Python 3.11 or later; name one with make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable client/python --editable server
	@touch $@

$(VENV)/dev: $(VENV)/runtime requirements-dev.txt
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	@touch $@

# `make run` and `make test` need only Python 3.11 or newer and make. Dependencies are installed into .venv.

SHELL := /bin/sh
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command 'make requirements' $(UPGRADE)

# Use the first Python that is new enough, or the one given: make PYTHON=python3.13 run
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; \
	then echo $$python; break; fi; done)
endif

.PHONY: help run test chaos fuzz bench bench-growth bench-live lint format migration requirements schema release-contract clean

help: ## List all targets
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

run: $(VENV)/.installed ## Serve with demo data from ./data on port 8000, or make run PORT=8001
	@$(BIN)/gateway serve --demo $(if $(PORT),--port $(PORT))

test: $(VENV)/.installed-for-tests ## Run all tests, or make test ARGS=tests/api
	@$(BIN)/python -m pytest --numprocesses auto $(ARGS)

chaos: $(VENV)/.installed-for-tests ## Break databases, disks and servers under load, and report the effects
	@CHAOS=1 $(BIN)/python -m pytest tests/chaos $(ARGS)

fuzz: $(VENV)/.installed-for-tests ## Compare both engines on generated queries: make fuzz MINUTES=30
	@$(BIN)/python -m tests.gateway.graphql.fuzz --minutes $(or $(MINUTES),30) $(ARGS)

bench: $(VENV)/.installed-for-tests ## Compare with other servers; ARGS=--write updates the README and docs/benchmarks.md
	@$(BIN)/python -m tests.benchmarks $(ARGS)

bench-growth: $(VENV)/.installed-for-tests ## Measure the cost of a list as the data grows
	@$(BIN)/python -m tests.benchmarks.growth $(ARGS)

bench-live: $(VENV)/.installed-for-tests ## Measure how fast 5,000 subscribers receive an event
	@$(BIN)/python -m tests.benchmarks.fanout $(ARGS)

lint: $(VENV)/.installed-for-tests ## Check style and import contracts
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/lint-imports

format: $(VENV)/.installed-for-tests ## Format the code
	@$(BIN)/ruff check --fix && $(BIN)/ruff format

migration: $(VENV)/.installed-for-tests ## Create a migration from changes in the models: make migration m="Add a table"
	@$(BIN)/python -m models.migrations "$(m)" && $(BIN)/ruff check --fix --quiet models && $(BIN)/ruff format --quiet models

requirements: $(VENV)/.installed ## Pin the dependencies of pyproject.toml; UPGRADE=--upgrade takes the newest
	@$(PIP) install uv
	@$(LOCK) --output-file requirements.txt pyproject.toml
	@$(LOCK) --output-file requirements-test.txt --constraint requirements.txt --extra test pyproject.toml
	@$(LOCK) --output-file requirements-chat.txt --constraint requirements-test.txt --extra chat pyproject.toml
	@$(LOCK) --output-file requirements-build.txt --constraint requirements-test.txt --group build

schema: $(VENV)/.installed ## Update schema/schema.graphql from the types
	@$(BIN)/gateway schema > schema/schema.graphql

release-contract: $(VENV)/.installed ## Store the schema and the OpenAPI document of a release in docs/released
	@$(BIN)/gateway schema > docs/released/schema.graphql
	@$(BIN)/gateway openapi > docs/released/openapi.json

clean: ## Delete what make created, except ./data
	@rm -rf $(VENV) dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12, 3.13 or 3.14 is required, but none is on the PATH."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot create virtual environments: the modules venv and ensurepip are missing."; \
		echo "On Debian and Ubuntu, run: apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The build tool is pinned too, so that pip installs only what these files list.
$(VENV)/.installed: requirements.txt requirements-build.txt pyproject.toml | $(BIN)/python
	@echo "Installing the gateway's dependencies into $(VENV)"
	@$(PIP) install --require-hashes -r requirements.txt -r requirements-build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-for-tests: requirements-test.txt $(VENV)/.installed
	@echo "Installing the tests' dependencies"
	@$(PIP) install --require-hashes -r requirements-test.txt
	@touch $@

# `make run` and `make test` need Python 3.11 or newer and make, and nothing else: what they use goes into .venv.

SHELL := /bin/sh
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command 'make requirements' $(UPGRADE)

# The first of these that is new enough, unless it is said: make PYTHON=python3.13 run
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; \
	then echo $$python; break; fi; done)
endif

.PHONY: help run test chaos fuzz bench bench-growth bench-live lint format migration requirements schema release-contract clean

help: ## Say what there is to make
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

run: $(VENV)/.installed ## Serve with demo data on port 8000, or make run PORT=8001, keeping them in ./data
	@$(BIN)/gateway serve --demo $(if $(PORT),--port $(PORT))

test: $(VENV)/.installed-for-tests ## Run every test
	@$(BIN)/python -m pytest --numprocesses auto $(ARGS)

chaos: $(VENV)/.installed-for-tests ## Break stores, disks and servers under load, and say what came of it
	@CHAOS=1 $(BIN)/python -m pytest tests/chaos $(ARGS)

fuzz: $(VENV)/.installed-for-tests ## Look for a query that the engine answers wrongly: make fuzz MINUTES=30
	@$(BIN)/python -m tests.engine.fuzz --minutes $(or $(MINUTES),30) $(ARGS)

bench: $(VENV)/.installed-for-tests ## Measure the gateway beside others, and draw it; ARGS=--write puts it into the README
	@$(BIN)/python -m tests.benchmarks $(ARGS)

bench-growth: $(VENV)/.installed-for-tests ## Measure what a list costs as there is more of everything
	@$(BIN)/python -m tests.benchmarks.growth $(ARGS)

bench-live: $(VENV)/.installed-for-tests ## Measure how soon 5,000 followers hear of a write
	@$(BIN)/python -m tests.benchmarks.fanout $(ARGS)

lint: $(VENV)/.installed-for-tests ## Check the code's style and the order of its rooms
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/lint-imports

format: $(VENV)/.installed-for-tests ## Put the code in style
	@$(BIN)/ruff check --fix && $(BIN)/ruff format

migration: $(VENV)/.installed-for-tests ## Write a migration from what changed in the models: make migration m="Add a table"
	@$(BIN)/python -m models.migrations "$(m)" && $(BIN)/ruff check --fix --quiet models && $(BIN)/ruff format --quiet models

requirements: $(VENV)/.installed ## Pin what pyproject.toml asks for; UPGRADE=--upgrade takes the newest
	@$(PIP) install uv
	@$(LOCK) --output-file requirements.txt pyproject.toml
	@$(LOCK) --output-file requirements-test.txt --constraint requirements.txt --extra test pyproject.toml
	@$(LOCK) --output-file requirements-chat.txt --constraint requirements-test.txt --extra chat pyproject.toml
	@$(LOCK) --output-file requirements-build.txt --constraint requirements-test.txt --group build

schema: $(VENV)/.installed ## Write schema.graphql from the types
	@$(BIN)/gateway schema > schema/schema.graphql

release-contract: $(VENV)/.installed ## At a release: what later versions must not break without saying so
	@$(BIN)/gateway schema > docs/released/schema.graphql
	@$(BIN)/gateway openapi > docs/released/openapi.json

clean: ## Remove what make made, and leave ./data
	@rm -rf $(VENV) dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12, 3.13 or 3.14 is needed, and none is on the PATH."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: its modules venv and ensurepip are missing."; \
		echo "Debian and Ubuntu have them in a package of their own: apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The build tool is pinned as well, so that nothing is fetched that is not in these files.
$(VENV)/.installed: requirements.txt requirements-build.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the gateway needs into $(VENV)"
	@$(PIP) install --require-hashes -r requirements.txt -r requirements-build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-for-tests: requirements-test.txt $(VENV)/.installed
	@echo "Installing what the tests need"
	@$(PIP) install --require-hashes -r requirements-test.txt
	@touch $@

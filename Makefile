# Every target makes .venv itself; a machine needs Python 3.10 or newer, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo host test test-all coverage lint format types contracts docs docs-serve benchmark benchmark-fleet benchmark-quota faults check clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

$(VENV)/demo: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, this is " + sys.version)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the package into $(VENV) ..."
	@$(PIP) install --editable '.[examples]'
	@touch $@

$(VENV)/host: pyproject.toml $(VENV)/demo
	@echo "Installing what the FastAPI example is made of into $(VENV) ..."
	@$(PIP) install --editable '.[host]'
	@touch $@

$(VENV)/dev: pyproject.toml $(VENV)/demo
	@echo "Installing the tools for development into $(VENV) ..."
	@$(PIP) install --editable '.[dev]'
	@touch $@

demo: $(VENV)/demo ## Sync an emulated HubSpot account into SQLite, twice, and show what happened
	@$(BIN)/python examples/quickstart.py

host: $(VENV)/host ## Serve the FastAPI example, with an emulator in place of HubSpot (PORT=8000)
	@cd examples && ../$(BIN)/python -m fastapi_host --port $(PORT) demo

test: $(VENV)/dev ## Run the tests on this Python, MongoDB included, in up to four processes
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

coverage: $(VENV)/dev ## Run the tests in one process, and show what they do not reach
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

test-all: $(VENV)/dev ## Build the wheel and test it on every Python from 3.10 to 3.13 found here
	@$(BIN)/python tests/all_pythons.py

lint: $(VENV)/dev ## Ruff: rules and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

format: $(VENV)/dev ## Let ruff fix what it can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

types: $(VENV)/dev ## mypy, strict
	@$(BIN)/mypy

contracts: $(VENV)/dev ## The floors of the house: who may import whom
	@$(BIN)/lint-imports
	@$(BIN)/lint-imports inner-contracts.toml

docs: $(VENV)/dev ## Build the documentation into site/; warnings are errors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: $(VENV)/dev ## Serve the documentation while writing it
	@$(BIN)/mkdocs serve

benchmark: $(VENV)/dev ## Measure throughput and memory against a bare loop (minutes)
	@$(BIN)/python benchmarks/throughput.py

benchmark-fleet: $(VENV)/dev ## Measure 200 accounts against one of the same records (minutes)
	@$(BIN)/python benchmarks/fleet.py

benchmark-quota: $(VENV)/dev ## Measure a backfill against the floor that the quota sets (two minutes)
	@$(BIN)/python benchmarks/quota.py

faults: $(VENV)/dev ## Kill processes and database primaries, long form (many minutes)
	@$(BIN)/python tests/faults/kill.py --kills 200 --store sqlite
	@$(BIN)/python tests/faults/kill.py --kills 200 --store mongodb
	@$(BIN)/python -m pytest -m long

check: test lint types contracts docs ## Everything that CI runs

clean: ## Remove what was built, the environment included
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* build dist site

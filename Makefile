# Every target makes .venv itself; a machine needs Python 3.10 or newer, make and git.
PYTHON ?= python3
# With WHEEL=1 everything runs on the wheel, as it is built from the source distribution, in an
# environment of its own; CI does that. Otherwise it runs on the working copy.
ifdef WHEEL
VENV := .venv-wheel
BUILT := $(VENV)/wheel
else
VENV := .venv
endif
BIN := $(VENV)/bin
PORT ?= 8000
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL = $(PIP) install $(if $(WHEEL),"$$(ls dist/*.whl)[$(1)]",--editable '.[$(1)]') $(2)
ALL := celery,examples,host,otel,testing
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

# Python 3.12 and newer tell which lines run at next to no cost; before, it costs half as much again.
CORE = $(shell $(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")')

.DEFAULT_GOAL := help
.PHONY: help demo host test test-all coverage package sizes lint format types contracts docs docs-serve benchmark benchmark-fleet benchmark-quota faults check clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, this is " + sys.version)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/wheel: pyproject.toml README.md $(shell find src -name '*.py' -o -name py.typed) | $(VENV)/python
	@echo "Building the source distribution, and the wheel from it ..."
	@$(PIP) install build
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist . > /dev/null
	@$(PIP) install --force-reinstall --no-deps dist/*.whl
	@touch $@

$(VENV)/demo: pyproject.toml $(BUILT) | $(VENV)/python
	@echo "Installing the package into $(VENV) ..."
	@$(call INSTALL,examples)
	@touch $@

$(VENV)/host: pyproject.toml $(VENV)/demo
	@echo "Installing what the FastAPI example is made of into $(VENV) ..."
	@$(call INSTALL,host)
	@touch $@

$(VENV)/dev: pyproject.toml $(VENV)/demo
	@echo "Installing the tools for development into $(VENV) ..."
	@$(PIP) install 'pip>=25.1'
	@$(call INSTALL,$(ALL),--group dev)
	@touch $@

demo: $(VENV)/demo ## Sync an emulated HubSpot account into SQLite, twice, and show what happened
	@$(BIN)/python examples/quickstart.py

host: $(VENV)/host ## Serve the FastAPI example, with an emulator in place of HubSpot (PORT=8000)
	@cd examples && ../$(BIN)/python -m fastapi_host --port $(PORT) demo

test: $(VENV)/dev ## Run the tests on this Python, MongoDB included, in up to four processes
	@$(if $(COVERAGE),COVERAGE_CORE=$(CORE)) $(PYTEST) --durations 10 $(if $(COVERAGE),--cov --cov-report term)

coverage: ## The same, and show which lines they do not reach
	@$(MAKE) --no-print-directory test COVERAGE=1

test-all: $(VENV)/dev ## Build the wheel and test it on every Python from 3.10 to 3.13 found here
	@$(BIN)/python tests/all_pythons.py

lint: $(VENV)/dev ## Ruff: rules and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

format: $(VENV)/dev ## Let ruff fix what it can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

$(VENV)/pyright: pyproject.toml $(VENV)/dev
	@echo "Installing a second type checker into $(VENV) ..."
	@$(PIP) install --group pyright
	@touch $@

types: $(VENV)/dev $(VENV)/pyright ## mypy, strict; and what hosts write, under pyright as well
	@$(BIN)/mypy
	@$(BIN)/basedpyright --pythonpath $(BIN)/python

package: $(VENV)/dev ## Build both distributions, and check what an index would say to them
	@rm -rf build/package
	@$(PIP) install build
	@$(BIN)/python -m build --outdir build/package . > /dev/null
	@$(BIN)/twine check --strict build/package/*

sizes: $(VENV)/dev ## Print the largest files and the longest functions; a report, no limit
	@$(BIN)/python tests/sizes.py

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
	@$(BIN)/python tests/faults/history.py --store sqlite
	@$(BIN)/python tests/faults/history.py --store mongodb
	@$(BIN)/python -m pytest -m long

check: test lint types contracts docs package ## Everything that CI runs

clean: ## Remove what was built, the environment included
	@rm -rf .venv .venv-wheel .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* build dist site

# Needs python3 and git only; everything else comes into .venv/ from uv.lock. `make help` lists the targets.

PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.set-up

.PHONY: help setup demo clean-demo test check bench format

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

setup: $(SETUP) ## make or renew .venv from uv.lock

$(SETUP): uv.lock pyproject.toml
	$(PYTHON) tools/uv.py sync --frozen --all-extras
	@touch $@

demo: $(SETUP) ## run the simulated company: import, train, score, serve
	$(BIN)/forecast demo

clean-demo: $(SETUP) ## stop the embedded database and remove FORECAST_HOME (var/)
	$(BIN)/python -W ignore tools/clean_demo.py

test: $(SETUP) ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: $(SETUP) ## lint, format, types, import contracts, lock file, migrations
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy tools
	$(BIN)/lint-imports --no-logo
	$(PYTHON) tools/uv.py lock --check
	$(BIN)/python -m pytest -q tests/test_store.py -k migrations

bench: $(SETUP) ## measure speed and accuracy against peers
	$(BIN)/python -m benchmarks

format: $(SETUP) ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

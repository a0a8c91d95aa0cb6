# `make` lists the commands. All that is needed beforehand is Python 3.11, 3.12 or 3.13.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
export DAGSTER_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help setup run dev test docs soak bench lock

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/installed ## set up .venv from requirements.lock

.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; name one: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## everything for both domains, on generated samples unless .env says otherwise
	$(BIN)/recsys run

dev: setup ## the Dagster UI at http://127.0.0.1:3000, its history kept in .dagster
	@mkdir -p .dagster && cp dagster.yaml .dagster/
	PATH="$(CURDIR)/$(BIN):$$PATH" DAGSTER_HOME="$(CURDIR)/.dagster" $(BIN)/dagster dev --host 127.0.0.1

test: setup ## every check: style, types, imports, SQL, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint sql
	$(BIN)/pytest

docs: setup ## the documentation site, into site/; open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

soak: setup ## kill a retrain at fifty points, fill the disk at as many, and look at what is left (takes a while)
	RECSYS_SOAK_POINTS=50 $(BIN)/pytest tests/orchestration/test_disturbed_runs.py

bench: setup ## speed and memory beside peers, into benchmarks/RESULTS.md; SIZE=small takes minutes, the full size hours
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks --size $(or $(SIZE),full)

lock: setup ## resolve pyproject.toml anew into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra postgres --group dev --universal --python-version 3.11 --upgrade --quiet \
		--generate-hashes --no-emit-index-url --no-annotate --no-header --output-file requirements.lock

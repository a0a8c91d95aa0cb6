# `make` lists the commands. All that is needed beforehand is Python 3.11, 3.12 or 3.13.

SHELL := bash
.SHELLFLAGS := -o pipefail -c
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && { echo $$p; break; }; done)
PORT ?= 3000
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install --no-deps --require-hashes --progress-bar off
# One line that is written anew for each package, instead of pip's three lines for each of them.
SHOW = awk -v of=$$(grep -c == $(1)) ' \
	/^(Collecting|Processing|Requirement already)/ { name = /^R/ ? $$4 : $$2; sub(/.*\//, "", name); n++; size = "" } \
	/Downloading/ { size = $$(NF - 1) " " $$NF } \
	/^(Collecting|Processing|Requirement already)|Downloading/ { printf "\r\033[K  %d of %d: %s %s", n, of, name, size; fflush() } \
	/^Installing/ { printf "\r\033[K  unpacking; this takes about a minute"; fflush() } \
	END { printf "\r\033[K" }'
export DAGSTER_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help setup setup-spark run dev test docs soak fuzz bench lock

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/installed ## set up .venv from requirements.lock: all that running needs

.venv/installed: requirements.lock pyproject.toml
	@$(if $(PYTHON),$(PYTHON) -c '$(SUPPORTED)' 2>/dev/null,false) || { \
		found="$$($(or $(PYTHON),python3) --version 2>/dev/null)"; \
		echo "Python 3.11, 3.12 or 3.13 is needed, and $(or $(PYTHON),python3) is $${found:-not a Python}." \
		"Name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Installing into .venv: 0.9 GB to download, 3.2 GB on disk, 2 to 6 minutes, once."
	@$(PYTHON) -m venv .venv
	@$(PIP) -r $< | $(call SHOW,$<)
	@$(BIN)/pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed-ui: requirements-ui.lock .venv/installed
	@echo "Installing the UI into .venv: 25 small packages, 8 MB."
	@$(PIP) -r $< | $(call SHOW,$<)
	@touch $@

.venv/installed-dev: requirements-dev.lock .venv/installed
	@echo "Installing what the tests need into .venv: 0.25 GB to download, about a minute, once."
	@$(PIP) -r $< | $(call SHOW,$<)
	@touch $@

setup-spark: .venv-spark/installed ## set up .venv-spark for RECSYS_ENGINE=spark; Java 17 or 21 is needed besides

.venv-spark/installed: requirements-spark.lock .venv/installed
	@echo "Installing Spark into .venv-spark: 0.5 GB to download, 0.9 GB on disk, about a minute, once."
	@$(BIN)/python -m venv .venv-spark
	@$(subst $(BIN),.venv-spark/bin,$(PIP)) -r $< | $(call SHOW,$<)
	@touch $@

run: setup ## everything for both domains, on generated samples unless .env says otherwise
	@$(BIN)/recsys run

dev: .venv/installed-ui ## the Dagster UI at http://127.0.0.1:3000 (PORT=3100: another port), on the history of `make run`
	@$(BIN)/recsys ui --port $(PORT)

# One process more than there are cores, as some tests wait for servers.
test: .venv/installed-dev $(if $(shell command -v java),.venv-spark/installed) ## every check: style, types, imports, definitions, SQL, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && cp recsys_dagster/orchestration/dagster.yaml "$$home" && \
		PATH="$(CURDIR)/$(BIN):$$PATH" DAGSTER_HOME="$$home" dg check defs --use-active-venv
	$(BIN)/sqlfluff lint sql
	$(BIN)/pytest -n $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --maxprocesses 4

docs: .venv/installed-dev ## the documentation site, into site/; open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

soak: .venv/installed-dev ## kill a retrain at fifty points, fill the disk at as many, and compare both engines on all cases (takes a while)
	RECSYS_SOAK_POINTS=50 $(BIN)/pytest tests/orchestration/test_disturbed_runs.py tests/spark/test_equal_tables.py

fuzz: .venv/installed-dev ## damage archives, tables, settings, models, published files and HTTP answers in 500 seeded ways (CASES=…, SEED=…)
	PYTHONPATH=tests $(BIN)/python -m fuzz --cases $(or $(CASES),500) --seed $(or $(SEED),0)

bench: .venv/installed-dev ## speed and memory beside peers, into benchmarks/RESULTS.md; SIZE=small takes minutes, the full size hours
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks --size $(or $(SIZE),full)

RESOLVE = $(BIN)/uv pip compile --universal --python-version 3.11 --quiet --generate-hashes --no-emit-index-url \
	--no-annotate --no-header $(if $(UPGRADE),--upgrade)
COMPILE = $(RESOLVE) pyproject.toml --extra postgres --extra serve --group build
# The other two hold only what requirements.lock does not, in the same versions. What that holds for Windows only is missing elsewhere.
BEYOND = --constraint requirements.lock \
	$$(sed -n "/sys_platform == 'win32'/! s/^\([a-z0-9._-]*\)==.*/--no-emit-package \1/p" requirements.lock | sort -u)

lock: .venv/installed-dev ## resolve pyproject.toml into the four lock files; UPGRADE=1: to the newest versions
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) $(BEYOND) --group ui --output-file requirements-ui.lock
	$(COMPILE) $(BEYOND) --constraint requirements-ui.lock --group dev --output-file requirements-dev.lock
	$(RESOLVE) --group spark --output-file requirements-spark.lock

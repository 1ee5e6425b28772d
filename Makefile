# Two commands: `make demo` shows the product, `make test` checks it. Needs Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FIRM ?= deploy/sandbox/firm
SYSTEMS = $(if $(CRM),--crm "$(CRM)") $(if $(PSA),--psa "$(PSA)") $(if $(ERP),--erp "$(ERP)")

.DEFAULT_GOAL := help
.PHONY: help demo matrix up load down status test lint types architecture check bench bench-entries openapi lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Throughline needs Python 3.11, 3.12 or 3.13, this is %d.%d; name another: make PYTHON=python3.12" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing dependencies (once) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(BIN)/.development: $(BIN)/.runtime requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(BIN)/.runtime ## the main job on the sample firm, end to end (FIRM=<folder>, CRM=, PSA=, ERP=<vendor> for others)
	$(BIN)/throughline demo --firm "$(FIRM)" $(SYSTEMS)

matrix: $(BIN)/.runtime ## the main job on every combination of vendors (CRM=, PSA=, ERP= fix one), a table
	$(BIN)/throughline matrix --firm "$(FIRM)" $(SYSTEMS)

up: $(BIN)/.runtime ## start everything and keep it running; addresses in .throughline/run.json (CRM=, PSA=, ERP=<vendor>)
	$(BIN)/throughline up $(SYSTEMS)

load: $(BIN)/.runtime ## put the sample firm to work in what `make up` started (FIRM=<folder> for another)
	$(BIN)/throughline load --firm "$(FIRM)"

down: ## stop what `make up` started
	$(BIN)/throughline down

status: ## what is running
	$(BIN)/throughline status

test: $(BIN)/.development ## everything CI checks: lint, types, architecture, tests
	$(MAKE) lint types architecture check

lint: $(BIN)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.development
	$(BIN)/basedpyright

architecture: $(BIN)/.development
	$(BIN)/lint-imports
	$(BIN)/throughline policies check
	$(BIN)/throughline specs lint
	$(BIN)/throughline specs check
	$(BIN)/throughline journeys check openapi/arazzo/*.yaml

check: $(BIN)/.development
	$(BIN)/pytest

bench: $(BIN)/.development ## figures as one JSON: policy chain against bare app, throughput, memory
	@$(BIN)/python -m deploy.local.bench

bench-entries: $(BIN)/.runtime ## time entries per second through the system tier, per PSA, vendor near and far
	@$(BIN)/python -m deploy.local.bench_entries

openapi: $(BIN)/.runtime ## export the API documents to openapi/
	$(BIN)/throughline openapi

lock: ## renew the lock files (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q pyproject.toml --group dev -o requirements-dev.lock

clean: down ## remove everything that was made here
	rm -rf .throughline $(VENV)

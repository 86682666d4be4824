# fivefold's commands. `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export PYTHONDONTWRITEBYTECODE :=  # without bytecode, every stage compiles its modules and starts later
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: repro test check format lint types schema dvc-update readme docs ui lock bench clean help

repro: $(READY)  ## run the pipeline: every stage that is not up to date
	dvc repro
	fivefold results

test: $(READY)  ## run the tests
	pytest -n auto --maxprocesses=4 --dist loadfile

check: format lint types test  ## everything CI checks

format: $(READY)
	ruff format --check .

lint: $(READY)
	ruff check .

types: $(READY)
	mypy

schema: $(READY)  ## write params.schema.json from the schema in src/fivefold/config
	fivefold schema > params.schema.json

dvc-update: $(READY)  ## update the plots of each model in dvc.yaml, and the dvc.yaml of the examples
	fivefold dvc-update

readme: $(READY)  ## write the generated tables of documents from reports/ and benchmarks/
	python -m benchmarks.readme

docs: $(READY)  ## generate docs/reference and build the documentation into site/
	python docs/generate.py
	mkdocs build --quiet

ui: $(READY)  ## open the MLflow UI on http://127.0.0.1:5000
	fivefold ui

lock: $(READY)  ## resolve requirements.lock again, for Linux and macOS, Python 3.11 to 3.13
	uv pip compile -q --universal --all-extras --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--python-version 3.11 $(LOCK) -o requirements.lock pyproject.toml

bench: $(READY)  ## run every benchmark, results in benchmarks/results
	status=0; for f in benchmarks/bench_*.py; do python -m benchmarks.$$(basename $$f .py) || status=1; done; exit $$status

clean:  ## remove outputs of stages and tools; keeps .venv, DVC's cache, MLflow's store and its spool
	rm -rf data/prepared data/selected models reports/*/plots reports/*/tables reports/*/*.parquet \
		reports/*/manifest.json .fivefold/work dvc_plots site .mypy_cache .ruff_cache

help:  ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r t d; do \
		printf '  make %-10s %s\n' "$$t" "$$d"; done

# The virtual environment: uv is installed first, pinned by hash like everything else, and installs the rest in seconds.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 14) or sys.exit( \
		"fivefold needs Python 3.11 to 3.13, but $(PYTHON) is %d.%d; run make PYTHON=/path/to/python3.12" % v)'
	@echo "setting up .venv from requirements.lock: several GB the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@awk '/^uv==/ {on = 1} on {print} on && !/\\$$/ {exit}' requirements.lock > .venv/uv.lock
	@$(BIN)/python -m pip install -q --require-hashes -r .venv/uv.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip sync -q --compile-bytecode --require-hashes requirements.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q --no-deps --no-build-isolation -e .
	@touch $@

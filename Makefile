# `make run` shows Dashtam at work, `make test` proves it; both install what they need into .venv.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PORT ?= 8000
PYTHON ?= python3

# A pyenv shim named uv may exist and not run: ask for its version instead of its path.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .tools/bin/uv)
BIN := .venv/bin
PACKAGES := $(wildcard packages/*)
INSTALLED := .venv/.installed
EXTRAS := [cli,mail]

.PHONY: help run test prove check format size bench fuzz lock clean install
help: ## List the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

.tools/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 13))' || { echo "Dashtam needs Python 3.13 or uv: install one of them, or name yours: make run PYTHON=/path/to/python3.13"; exit 1; }
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv

$(INSTALLED): pyproject.toml constraints.txt $(wildcard packages/*/pyproject.toml) examples/service/pyproject.toml | $(filter .tools/%,$(UV))
	$(UV) venv --quiet --allow-existing --python 3.13 .venv
	$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt -b constraints.txt --group dev \
		$(foreach p,$(PACKAGES),-e '$(p)$(if $(findstring core,$(p)),$(EXTRAS))')
	@touch $@

install: $(INSTALLED) ## Install every package and tool into .venv, at the versions of constraints.txt

run: install ## Start the example service with sample data on http://127.0.0.1:8000 (PORT=… to change it)
	@exec $(BIN)/python examples/service/main.py --port $(PORT)

test: install ## Run every test, those on the real server included
	$(BIN)/python -m pytest -n auto --cov --cov-report=term $(ARGS)

prove: install ## The property-based proofs at full size, and every other test
	HYPOTHESIS_PROFILE=prove $(BIN)/python -m pytest -n auto $(ARGS)

check: install ## Format, lint, types and architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(wildcard packages/*/src) tests examples benchmarks scripts
	$(BIN)/pyright
	$(BIN)/lint-imports

format: install ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

size: install ## Source lines per package beside its budget
	@$(BIN)/python scripts/size.py

bench: install ## Every benchmark, each beside its limit
	@$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt --group bench
	@for b in benchmarks/bench_*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

fuzz: install ## Throw bytes at a statement reader: make fuzz READER=ofx SECONDS=600
	@$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt --group fuzz
	@folder=$$(mktemp -d) && $(BIN)/python tests/fuzz/fuzz.py $(READER) $(SECONDS) $$folder; code=$$?; rm -rf $$folder; exit $$code

lock: | $(filter .tools/%,$(UV)) ## Resolve constraints.txt anew, and the oldest versions that the packages take
	$(UV) pip compile --quiet --universal --python-version 3.13 --no-header --no-annotate --no-emit-package dashtam-core \
		$(ARGS) --group dev --group bench --group fuzz $(foreach p,$(PACKAGES),$(p)/pyproject.toml) --all-extras scripts/build-requirements.in -o constraints.txt
	@sed -i.bak '/^-e /d' constraints.txt && rm constraints.txt.bak
	$(UV) pip compile --quiet --universal --python-version 3.13 --no-header --no-annotate --no-emit-package dashtam-core \
		--resolution lowest-direct $(foreach p,$(PACKAGES),$(p)/pyproject.toml) --all-extras -o tests/wheels/lowest.txt

clean: ## Remove what the commands made, except your data in .dashtam
	rm -rf .venv .tools dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache

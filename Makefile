# `make` alone says what there is.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
SHELL := /bin/bash

help:  ## say what there is
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):.*##\(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

demo: .venv/user  ## collect a day of a simulated city and print a summary
	@$(BIN)/bikecollect demo

app: .venv/app  ## look at your data; without any, at a simulated month (half a minute)
	@if $(BIN)/bikecollect status --format json 2>/dev/null \
			| grep -q '"behind_s": [0-9]'; then \
		exec $(BIN)/bikecollect app; \
	fi; \
	[ -f app-data/bikecollect.toml ] \
		|| $(BIN)/bikecollect demo --days 30 --folder app-data; \
	exec $(BIN)/bikecollect --config app-data/bikecollect.toml app

test: .venv/test  ## set up, and run all tests
	@$(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder

test-fast: .venv/test  ## run the tests that need no process, server or browser
	@$(BIN)/pytest -q -n 2 --fast

check: check-static test  ## all that CI checks

check-static: .venv/dev format-check lint types layers docs-check docs-site

format: .venv/dev  ## bring the code into its form
	@$(BIN)/ruff format -q .

format-check: .venv/dev
	@$(BIN)/ruff format --check -q .

lint: .venv/dev  ## look for mistakes
	@$(BIN)/ruff check -q .

types: .venv/dev  ## check the types, strictly
	@$(BIN)/mypy

layers: .venv/dev  ## check that imports run downhill
	@$(BIN)/lint-imports

docs: .venv/dev  ## print the reference pages from the code
	@$(BIN)/cog -r -P docs/reference/*.md docs/reference/commands/*.md docs/explanation/faults.md

docs-check: .venv/dev
	@$(BIN)/cog --check -P docs/reference/*.md docs/reference/commands/*.md docs/explanation/faults.md

docs-site: .venv/dev  ## build the documentation as a site in build/site, strictly
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict 2>&1 \
		| grep -v '^INFO' | sed '/^$$/d'; exit $${PIPESTATUS[0]}

pictures: .venv/test  ## take the pages' pictures, while `make app` runs
	@$(BIN)/python docs/app_pictures.py http://127.0.0.1:8501

fuzz: .venv/fuzz  ## look for inputs that break a reader (SECONDS=30 for each)
	@$(BIN)/python tests/fuzz/fuzz.py $(or $(SECONDS),30) $(TARGET)

benchmark: .venv/user  ## measure one fetch against a plain script
	@$(BIN)/python benchmarks/fetch.py

benchmark-history: .venv/test  ## measure a simulated year (minutes, 0.4 GB in build/)
	@cd benchmarks && ../$(BIN)/python history.py ../build/year

benchmark-app: .venv/test  ## measure the data app on that year, in a browser
	@cd benchmarks && ../$(BIN)/python app.py ../build/year

constraints: .venv/release  ## choose the newest of what we depend on, with hashes
	@for extra in app archive core; do \
		$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 \
			--generate-hashes --no-header --no-annotate --no-emit-index-url \
			--no-emit-find-links $$([ $$extra = core ] || echo --extra $$extra) \
			$$([ $$extra = app ] || echo -c constraints/app.txt) \
			setup.cfg -o constraints/$$extra.txt; \
		sed -i "1i # Made by make constraints, from setup.cfg." constraints/$$extra.txt; \
	done

constraints-check:  ## install the core from its hashes, into an empty environment
	@rm -rf build/constrained && $(PYTHON) -m venv build/constrained
	@build/constrained/bin/pip install -q --require-hashes -r constraints/core.txt
	@build/constrained/bin/pip check

release: .venv/release  ## sdist, wheel, SBOM and checksums in dist/, tried
	@$(BIN)/python .ci/release.py

clean:  ## remove what was made here
	@rm -rf .venv build dist *.egg-info demo-data app-data .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	@$(PYTHON) -m venv .venv

.venv/user: .venv/bin/python setup.cfg pyproject.toml
	@echo "setting up ..." && $(BIN)/pip install -q -e . && touch $@

.venv/app: .venv/bin/python setup.cfg pyproject.toml
	@echo "setting up ..." && $(BIN)/pip install -q -e '.[app]' && touch $@ .venv/user

.venv/test: .venv/bin/python setup.cfg pyproject.toml
	@echo "setting up ..." && $(BIN)/pip install -q -e '.[test]' \
		&& $(PYTHON) -m venv .venv/cff && .venv/cff/bin/pip install -q cffconvert \
		&& touch $@ .venv/app .venv/user

.venv/dev: .venv/bin/python setup.cfg pyproject.toml
	@echo "setting up ..." && $(BIN)/pip install -q -e '.[dev]' \
		&& touch $@ .venv/test .venv/app .venv/user

.venv/fuzz: .venv/bin/python .venv/test
	@$(BIN)/pip install -q --only-binary :all: atheris || { \
		echo "there is no wheel of atheris for $$($(BIN)/python --version)"; exit 1; }
	@touch $@

.venv/release: .venv/bin/python setup.cfg pyproject.toml
	@echo "setting up ..." && $(BIN)/pip install -q -e '.[release]' && touch $@ .venv/user

.PHONY: constraints constraints-check fuzz release help demo app test test-fast check check-static format format-check lint types layers docs \
	docs-check docs-site pictures benchmark benchmark-history benchmark-app clean

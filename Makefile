# Run `make` without a target for a list of targets.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
SHELL := /bin/bash

help:  ## list the targets
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):.*##\(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

demo: .venv/user  ## collect a day of a simulated city and print a summary
	@$(BIN)/bikecollect demo

app: .venv/app  ## serve the data app: your data, or a simulated month
	@if $(BIN)/bikecollect status --format json 2>/dev/null \
			| grep -q '"behind_s": [0-9]'; then \
		exec $(BIN)/bikecollect app; \
	fi; \
	[ -f app-data/bikecollect.toml ] \
		|| $(BIN)/bikecollect demo --days 30 --folder app-data || exit; \
	exec $(BIN)/bikecollect --config app-data/bikecollect.toml app

test: .venv/test  ## set up the environment and run all tests
	@$(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder

test-fast: .venv/test  ## run the tests without processes, servers and DuckDB
	@$(BIN)/pytest -q -n 2 --fast

check: check-static test  ## run everything that CI runs

check-static: .venv/dev format-check lint types layers docs-check docs-site

format: .venv/dev  ## format the code
	@$(BIN)/ruff format -q .

format-check: .venv/dev
	@$(BIN)/ruff format --check -q .

lint: .venv/dev  ## run the linter
	@$(BIN)/ruff check -q .

types: .venv/dev  ## check the types
	@$(BIN)/mypy

layers: .venv/dev  ## check that no package imports from a higher layer
	@$(BIN)/lint-imports

docs: .venv/dev  ## generate the reference pages from the code
	@$(BIN)/cog -r -P docs/reference/*.md docs/reference/commands/*.md docs/explanation/faults.md

docs-check: .venv/dev
	@$(BIN)/cog --check -P docs/reference/*.md docs/reference/commands/*.md docs/explanation/faults.md

docs-site: .venv/dev  ## build the documentation as a site in build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict 2>&1 \
		| grep -v '^INFO' | sed '/^$$/d'; exit $${PIPESTATUS[0]}

pictures: .venv/test  ## take screenshots of the app (while `make app` is running)
	@$(BIN)/python docs/app_pictures.py http://127.0.0.1:8501

fuzz: .venv/fuzz  ## fuzz readers, live random histories (SECONDS=30)
	@$(BIN)/python tests/fuzz/fuzz.py $(or $(SECONDS),30) $(TARGET)

benchmark: .venv/user  ## compare a fetch with a plain script
	@$(BIN)/python benchmarks/fetch.py

benchmark-history: .venv/test  ## measure a simulated year (takes minutes, 0.4 GB in build/)
	@cd benchmarks && ../$(BIN)/python history.py ../build/year

benchmark-app: .venv/test  ## measure the data app with that year, in a browser
	@cd benchmarks && ../$(BIN)/python app.py ../build/year

constraints: .venv/release  ## pin the newest versions of all dependencies, with hashes
	@for extra in app archive cloud excel spark core; do \
		$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 \
			--generate-hashes --no-header --no-annotate --no-emit-index-url \
			--no-emit-find-links $$([ $$extra = core ] || echo --extra $$extra) \
			$$([ $$extra = app ] || echo -c constraints/app.txt) \
			setup.cfg -o constraints/$$extra.txt; \
		sed -i "1i # Made by make constraints, from setup.cfg." constraints/$$extra.txt; \
	done

constraints-check:  ## install the pinned core into an empty environment
	@rm -rf build/constrained && $(PYTHON) -m venv build/constrained
	@build/constrained/bin/pip install -q --require-hashes -r constraints/core.txt
	@build/constrained/bin/pip check

release: .venv/release  ## build and test sdist, wheel, SBOM and checksums in dist/
	@$(BIN)/python .ci/release.py

clean:  ## remove everything that make has created
	@rm -rf .venv build dist *.egg-info demo-data app-data .mypy_cache .ruff_cache .pytest_cache

# A .venv that is too old, or that could not be made whole, would be used again.
.venv/bin/python: | in-place
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 \
	or later is needed, $(PYTHON) is %d.%d; name another: make $(MAKECMDGOALS) \
	PYTHON=python3.13" % sys.version_info[:2])'
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# The programs of .venv name the folder in which it was made.
in-place:
	@home=$$(sed -n '1,2s|^[^/]*\(/.*\)/bin/python.*|\1|p' .venv/bin/pip 2>/dev/null); \
	if [ "$$home" ] && ! [ "$$home" -ef .venv ]; then \
		echo "this folder was $${home%/*} when .venv was made; run: rm -rf .venv" >&2; \
		exit 1; \
	fi

.venv/user: .venv/bin/python setup.cfg pyproject.toml
	@echo "setting up ..." && $(BIN)/pip install -q -e . && touch $@

.venv/app: .venv/bin/python setup.cfg pyproject.toml
	@echo "setting up ..." && $(BIN)/pip install -q -e '.[app]' && touch $@ .venv/user

.venv/test: .venv/cff/bin/cffconvert setup.cfg pyproject.toml
	@echo "setting up ..." && $(BIN)/pip install -q -e '.[test]' \
		&& touch $@ .venv/app .venv/user

.venv/cff/bin/cffconvert: | .venv/bin/python
	@$(PYTHON) -m venv .venv/cff && .venv/cff/bin/pip install -q cffconvert

.venv/dev: .venv/cff/bin/cffconvert setup.cfg pyproject.toml
	@echo "setting up ..." && $(BIN)/pip install -q -e '.[dev]' \
		&& touch $@ .venv/test .venv/app .venv/user

.venv/fuzz: .venv/bin/python .venv/test
	@$(BIN)/pip install -q --only-binary :all: atheris || { \
		echo "there is no wheel of atheris for $$($(BIN)/python --version)"; exit 1; }
	@touch $@

.venv/release: .venv/bin/python setup.cfg pyproject.toml
	@echo "setting up ..." && $(BIN)/pip install -q -e '.[release]' && touch $@ .venv/user

.PHONY: in-place constraints constraints-check fuzz release help demo app test test-fast check check-static format format-check lint types layers docs \
	docs-check docs-site pictures benchmark benchmark-history benchmark-app clean

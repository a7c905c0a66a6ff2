# Every target sets itself up in .venv: uv from PATH where there is one, else one of its own.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo $(VENV)/bin/uv)
STAMP := $(VENV)/.synced
# Programs are started over and over here; without bytecode each start takes a sixth longer.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup page dist demo test test-page test-browser test-engine test-soak test-shuffled check lint types bench eval clean

help: ## Show what can be made.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(VENV)/bin/python:
	@command -v git >/dev/null || { echo "git is missing: install it (Debian: apt-get install git)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or newer is needed; say which with make PYTHON=python3.12." >&2; exit 1; }
	@if command -v uv >/dev/null; then uv venv -q --python "$$(command -v $(PYTHON))" $(VENV); \
	else $(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "Python's venv module is missing: install it (Debian: apt-get install python3-venv) or install uv." >&2; exit 1; }; \
		$(PYTHON) -m venv $(VENV); fi

$(STAMP): $(VENV)/bin/python pyproject.toml uv.lock
	@[ -x "$(UV)" ] || $(RUN)/python -m pip install -q --disable-pip-version-check 'uv>=0.9,<1'
	@VIRTUAL_ENV= UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync -q --frozen --no-python-downloads --inexact --compile-bytecode --extra experiments
	@touch $@

setup: $(STAMP) page-or-warn ## Install everything into .venv.

# The page needs Node to be built, not to be served. Where there is none, PyPI has it.
PAGE := gateway/page
BUILT := gateway/aideator_gateway/http/static/index.html
PAGE_SOURCES := $(wildcard $(PAGE)/*.json $(PAGE)/*.ts $(PAGE)/*.html) $(shell find $(PAGE)/src $(PAGE)/public -type f -not -name schema.d.ts) \
	gateway/aideator_gateway/experiments/report/report.css

$(PAGE)/node_modules/.installed: $(PAGE)/package-lock.json | $(STAMP)
	@$(RUN)/python scripts/npm.py ci --no-progress --loglevel=error
	@touch $@

$(BUILT): $(PAGE)/node_modules/.installed $(PAGE_SOURCES) docs/openapi.json
	@$(RUN)/python scripts/npm.py run --silent build
	@touch $@

page: $(BUILT) ## Build the page that the gateway serves at /.
	@:

# An install from what is released is to have the page, without Node: one without it is no release.
dist: page ## Build what is released into dist/: a wheel and its sources, with the page.
	@rm -rf dist
	@$(UV) build -q --out-dir dist
	@$(RUN)/python scripts/has_page.py dist/*.whl dist/*.tar.gz

# The command works without the page, and / says how to get it.
.PHONY: page-or-warn
page-or-warn: $(STAMP)
	@$(MAKE) --no-print-directory page || echo "The page is not built: see above. Everything else works; make page tries again." >&2

demo: $(STAMP) page-or-warn ## Watch three scripted agents work on this repository, and a winner recorded.
	@$(RUN)/aideator demo

test: $(STAMP) page-or-warn ## Run the tests.
	@$(RUN)/pytest

test-page: page ## Run the page's own small tests.
	@$(RUN)/python scripts/npm.py run --silent test

test-browser: page ## Drive the page in a Chromium; fails where there is none.
	@AIDEATOR_REQUIRE_BROWSER=1 $(RUN)/pytest -m browser

test-engine: $(STAMP) ## Run the tests that need a Dagger engine; fails where none answers.
	@AIDEATOR_REQUIRE_ENGINE=1 $(RUN)/pytest --numprocesses=0 -m engine

test-soak: $(STAMP) ## Run the tests that take minutes: long locks, a full disk, kill -9, many runs.
	@VIRTUAL_ENV= UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync -q --frozen --no-python-downloads --inexact --extra experiments --group datasets
	@$(RUN)/pytest --numprocesses=0 -m soak

ifndef SEED
SEED := $(shell date +%s)
endif

test-shuffled: $(STAMP) page-or-warn ## Run the tests in another order, which SEED names.
	@echo "make test-shuffled SEED=$(SEED)"
	@$(RUN)/pytest --shuffle $(SEED)

lint: $(STAMP) ## Check style.
	@$(RUN)/ruff check .
	@$(RUN)/ruff format --check .

types: $(STAMP) page-or-warn ## Check types, strictly; building the page checks its own.
	@$(RUN)/mypy

check: lint types test-page test ## All of it, as CI does.

bench: $(STAMP) ## Measure the stream beside its peers, and write docs/benchmarks.md.
	@$(RUN)/python benchmarks/report.py

eval: $(STAMP) ## Let a real model do the small tasks, and print a table (needs a key; options in EVAL).
	@$(RUN)/python benchmarks/eval.py $(EVAL)

clean: ## Remove .venv and caches.
	@rm -rf $(VENV) dist $(PAGE)/node_modules $(dir $(BUILT)) .mypy_cache .pytest_cache .ruff_cache .hypothesis

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

.PHONY: help setup demo test test-engine test-soak check lint types bench eval clean

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
	@VIRTUAL_ENV= UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync -q --frozen --no-python-downloads --inexact --compile-bytecode --extra gateway
	@touch $@

setup: $(STAMP) ## Install everything into .venv.

demo: $(STAMP) ## Watch three scripted agents work on this repository, and a winner recorded.
	@$(RUN)/aideator demo

test: $(STAMP) ## Run the tests.
	@$(RUN)/pytest

test-engine: $(STAMP) ## Run the tests that need a Dagger engine; fails where none answers.
	@AIDEATOR_REQUIRE_ENGINE=1 $(RUN)/pytest --numprocesses=0 -m engine

test-soak: $(STAMP) ## Run the tests that take minutes: long locks, a disk that fills.
	@$(RUN)/pytest --numprocesses=0 -m soak

lint: $(STAMP) ## Check style.
	@$(RUN)/ruff check .
	@$(RUN)/ruff format --check .

types: $(STAMP) ## Check types, strictly.
	@$(RUN)/mypy

check: lint types test ## All of it, as CI does.

bench: $(STAMP) ## Measure delays, and print them.
	@$(RUN)/python benchmarks/stream_delay.py

eval: $(STAMP) ## Let a real model do the small tasks, and print a table (needs a key; options in EVAL).
	@$(RUN)/python benchmarks/eval.py $(EVAL)

clean: ## Remove .venv and caches.
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

# make up      run Tocsin here; the first time this makes .venv and installs   (DEMO=1 plays an outage; ARGS="--web.listen-address :9911")
# make test    every test            (TESTS=tests/unit narrows it; JOBS=0 runs them one after the other)
# make check   style, types, import contracts, the upkeep of documents
# make bench   Tocsin beside Alertmanager
# make docs    the generated documents

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(shell $(PYTHON) -c 'import sys; print("py%d%d" % sys.version_info[:2])' 2>/dev/null)
# Pinned versions exist for the Pythons we run in CI. Another one takes what pyproject.toml allows.
PINS := $(wildcard constraints/$(PY).txt)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(PINS),--constraint $(PINS))
RUN := $(VENV)/.installed-to-run
DEV := $(VENV)/.installed-to-develop
TESTS ?= tests
JOBS ?= auto
.DEFAULT_GOAL := help
.PHONY: help up test check bench docs install clean

help:
	@sed -n 's/^# //p' $(firstword $(MAKEFILE_LIST))

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Tocsin needs Python 3.11 or later; $(PYTHON) is none. Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUN): pyproject.toml $(PINS) | $(BIN)/python
	@echo "Installing Tocsin into $(VENV) (once)"
	@$(INSTALL) --editable '.[fast]'
	@touch $@

$(DEV): pyproject.toml $(PINS) | $(BIN)/python
	@echo "Installing Tocsin and its tools into $(VENV) (once)"
	@$(INSTALL) --editable '.[fast,dev]'
	@touch $@ $(RUN)

install: $(DEV)

up: $(RUN)
	@exec $(BIN)/tocsin up $(if $(DEMO),--demo) $(ARGS)

test: $(DEV)
	@exec $(BIN)/pytest --numprocesses $(JOBS) --dist worksteal $(TESTS) $(ARGS)

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck .ci/run .ci/first-minutes
	if test -x $(BIN)/hadolint; then $(BIN)/hadolint Dockerfile; fi
	$(BIN)/pytest -q tests/upkeep

bench: $(DEV)
	@exec $(BIN)/python -m bench $(ARGS)

docs: $(DEV)
	$(BIN)/tocsin settings --reference > docs/settings.md
	$(BIN)/python -m tests.upkeep.keys > docs/keys.md

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build

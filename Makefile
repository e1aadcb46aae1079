# Every target does its whole set-up; stamps keep repeated runs fast. `make help` lists the targets.
# PYTHON names the interpreter that makes the virtual environment (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed
PROMETHEUS := $(TOOLS)/.prometheus-installed
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
MTAIL := $(TOOLS)/.mtail-looked-for
BENCHMARKS := speed memory save scrape
ROUNDS ?= 1000
TESTS ?=

export PATH := $(CURDIR)/$(BIN):$(PATH):$(CURDIR)/$(TOOLS)/usr/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-crash alerts lint format bench flights clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo        watch two versions of a model on simulated traffic, http://localhost:8433'
	@echo 'make flights     replay the flights of 2013 and compare with a plain recount'
	@echo 'make test        all tests; TESTS=tests/join to choose'
	@echo 'make test-crash  the long run of the crash test; ROUNDS=1000'
	@echo 'make alerts      write the rules of alerts/ from their generator'
	@echo 'make lint        formatting, lint rules, types'
	@echo 'make format      apply formatting and the safe fixes'
	@echo 'make bench       the benchmarks behind the figures in docs/'
	@echo 'make clean       remove what these targets made'

demo: $(RUNTIME)
	@exec $(BIN)/tidegauge demo

test: $(DEVELOPMENT) $(PROMETHEUS)
	$(BIN)/python -m pytest $(TESTS)

test-crash: $(DEVELOPMENT)
	TIDEGAUGE_CRASH_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest tests/crash

alerts: $(DEVELOPMENT)
	$(BIN)/python -m alerts.generator

lint: $(DEVELOPMENT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(DEVELOPMENT)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEVELOPMENT) $(MTAIL)
	@status=0; for name in $(BENCHMARKS); do \
		echo; echo "== bench.$$name"; $(BIN)/python -m bench.$$name || status=1; done; exit $$status

flights: $(DEVELOPMENT)
	$(BIN)/python -m pytest -v tests/examples

clean:
	rm -rf $(VENV) $(TOOLS) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf examples/flights/logs examples/flights/state
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian splits ensurepip from python3; without it `venv` leaves a directory that has no pip.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit("Tidegauge needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		$(AS_ROOT) apt-get update && \
		$(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv; }
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): $(BIN)/pip pyproject.toml
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(DEVELOPMENT): $(BIN)/pip pyproject.toml
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ $(RUNTIME)

# Debian's packages are unpacked, not installed: the tests need the programs, and nobody wants the services started.
$(PROMETHEUS):
	@mkdir -p $(TOOLS)
	@if command -v prometheus && command -v promtool && command -v amtool && \
	   { command -v prometheus-alertmanager || command -v alertmanager; }; then :; else \
		set -e; cd $(TOOLS); \
		apt-get download prometheus prometheus-alertmanager 2>/dev/null || { \
			$(AS_ROOT) apt-get update; apt-get download prometheus prometheus-alertmanager; }; \
		for package in *.deb; do dpkg-deb --extract "$$package" .; rm "$$package"; done; \
		rm -rf lib etc var usr/share; \
		usr/bin/promtool --version; usr/bin/amtool --version; fi
	@touch $@

# The benchmarks do without mtail where Debian does not have it, and say so.
$(MTAIL):
	@mkdir -p $(TOOLS)
	@command -v mtail || { cd $(TOOLS) && apt-get download mtail && \
		dpkg-deb --extract mtail_*.deb . && rm mtail_*.deb; } || echo 'mtail is not to be had here'
	@touch $@

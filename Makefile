# Every target does its whole set-up; stamps keep repeated runs fast. `make help` lists the targets.
# PYTHON names the interpreter that makes the virtual environment (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed
PROMETHEUS := $(TOOLS)/.prometheus-installed
TOOLCHAINS := $(TOOLS)/.toolchains-installed
CHROMIUM := $(TOOLS)/.chromium-installed
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
MTAIL := $(TOOLS)/.mtail-looked-for
PEERS := $(TOOLS)/.peers-looked-for
BENCHMARKS := speed memory save scrape sizing text drift
ROUNDS ?= 1000
TESTS ?=
WORKERS ?= 2
SECONDS ?= 600
ENGINE ?= hypothesis
TARGET ?=
REPLAY ?=
ATHERIS := $(VENV)/.atheris-installed

export PATH := $(CURDIR)/$(BIN):$(PATH):$(CURDIR)/$(TOOLS)/usr/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo secrets docs dashboards pictures alerts test test-crash fuzz lint format bench bench-statistics flights clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo        a model breaks on simulated traffic, and you are told: exporter, Prometheus, Alertmanager'
	@echo 'make secrets     make up the two secrets of docker-compose.yml'
	@echo 'make flights     replay the flights of 2013 and compare with a plain recount'
	@echo 'make test        all tests, WORKERS=2 at a time; TESTS=tests/join to choose'
	@echo 'make test-crash  the long run of the crash test; ROUNDS=1000'
	@echo 'make fuzz        each fuzz target for SECONDS=600; TARGET=web_requests, ENGINE=atheris, REPLAY=file'
	@echo 'make alerts      write the rules of alerts/ from their generator'
	@echo 'make lint        formatting, lint rules, types'
	@echo 'make format      apply formatting and the safe fixes'
	@echo 'make docs        regenerate the references in docs/ and the JSON Schema'
	@echo 'make dashboards  write dashboards/*.json from the builders'
	@echo 'make pictures    draw the boards of the docs from demo data'
	@echo 'make bench       the benchmarks behind the figures in docs/'
	@echo 'make bench-statistics  error rates and delays of the verdicts, simulated; writes docs/statistics-rates.md'
	@echo 'make clean       remove what these targets made'

# Where Prometheus and Alertmanager cannot be had, the demo does without, and says so.
demo: $(RUNTIME)
	@$(MAKE) --no-print-directory $(PROMETHEUS) || echo 'Prometheus and Alertmanager cannot be had here.'
	@exec $(BIN)/python -m alerts.demo

# Docker mounts a secret with the owner and mode of its file, and its readers are other users: the directory protects it.
secrets: compose/secrets/grafana_admin_password compose/secrets/webhook_token

compose/secrets/%:
	@mkdir -p $(@D) && chmod 0700 $(@D)
	@od -An -N24 -v -tx1 /dev/urandom | tr -d ' \n' > $@ && chmod 0444 $@
	@echo $@

test: $(DEVELOPMENT) $(PROMETHEUS) $(TOOLCHAINS) $(CHROMIUM)
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile $(TESTS)

test-crash: $(DEVELOPMENT)
	TIDEGAUGE_CRASH_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest tests/crash

fuzz: $(DEVELOPMENT) $(if $(filter atheris,$(ENGINE)),$(ATHERIS))
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) --engine $(ENGINE) $(if $(TARGET),--target $(TARGET)) $(if $(REPLAY),--replay $(REPLAY))

alerts: $(DEVELOPMENT)
	$(BIN)/python -m alerts.generator
	$(BIN)/python -m alerts.compose

lint: $(DEVELOPMENT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(DEVELOPMENT)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(DEVELOPMENT)
	$(BIN)/python -m docs.generator

dashboards: $(RUNTIME)
	$(BIN)/python -m dashboards

pictures: $(DEVELOPMENT) $(PROMETHEUS)
	$(BIN)/python -m tests.dashboards.pictures

bench: $(DEVELOPMENT) $(MTAIL) $(PEERS)
	@status=0; for name in $(BENCHMARKS); do \
		echo; echo "== bench.$$name"; $(BIN)/python -m bench.$$name || status=1; done; exit $$status

bench-statistics: $(DEVELOPMENT)
	@$(BIN)/python -m pip install --quiet -e '.[bench]'
	@status=0; for name in statistics_release statistics_changes statistics_drift; do \
		$(BIN)/python -m bench.$$name --output docs/statistics-rates.md || status=1; done; exit $$status

flights: $(DEVELOPMENT) $(PROMETHEUS) $(TOOLCHAINS)
	$(BIN)/python -m pytest -v tests/examples

clean:
	rm -rf $(VENV) $(TOOLS) build dist .hypothesis .fuzz .mypy_cache .pytest_cache .ruff_cache
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

# An option only: there is no atheris for every Python.
$(ATHERIS): $(BIN)/pip
	$(BIN)/pip install --quiet 'atheris>=3'
	@touch $@

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

# The recipes for logging are compiled and run, and so is the configuration of logrotate that the docs show; what is
# there already is not installed. openssl makes the certificates of the tests.
$(TOOLCHAINS): | $(PROMETHEUS)
	@mkdir -p $(TOOLS)
	@set -e; missing=; \
		command -v go || missing=golang-go; \
		command -v javac || missing="$$missing default-jdk-headless"; \
		command -v openssl || missing="$$missing openssl"; \
		if [ -n "$$missing" ]; then \
			$(AS_ROOT) apt-get update; \
			$(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; fi; \
		go version; javac -version; \
		command -v logrotate || [ -x /usr/sbin/logrotate ] || { \
			cd $(TOOLS); apt-get download logrotate libpopt0 2>/dev/null || { \
				$(AS_ROOT) apt-get update; apt-get download logrotate libpopt0; }; \
			for package in logrotate_*.deb libpopt0_*.deb; do \
				dpkg-deb --extract "$$package" .; rm "$$package"; done; rm -rf etc var lib/systemd; }
	@touch $@

# A browser needs so many libraries that it is installed rather than unpacked; Playwright drives it as it is.
$(CHROMIUM):
	@mkdir -p $(TOOLS)
	@command -v chromium || { \
		set -e; install='apt-get install -y --no-install-recommends chromium fonts-dejavu-core'; \
		$(AS_ROOT) env DEBIAN_FRONTEND=noninteractive $$install || { \
			$(AS_ROOT) apt-get update; $(AS_ROOT) env DEBIAN_FRONTEND=noninteractive $$install; }; \
		chromium --version; }
	@touch $@

# The benchmarks do without mtail where Debian does not have it, and say so.
$(MTAIL):
	@mkdir -p $(TOOLS)
	@command -v mtail || { cd $(TOOLS) && apt-get download mtail && \
		dpkg-deb --extract mtail_*.deb . && rm mtail_*.deb; } || echo 'mtail is not to be had here'
	@touch $@

# NannyML and alibi-detect need an older numpy, pandas and pyarrow than Tidegauge, and NannyML a package that it does not
# name: they have an environment of their own. There are none of them for every Python.
$(PEERS): | $(BIN)/pip
	@mkdir -p $(TOOLS)
	@$(PYTHON) -m venv $(TOOLS)/peers && $(TOOLS)/peers/bin/python -m pip install --quiet \
		'nannyml>=0.13' 'alibi-detect>=0.13' 'numpy<2' 'pandas<3' 'pyarrow<19' statsmodels || \
		echo 'NannyML and alibi-detect are not to be had here'
	@touch $@

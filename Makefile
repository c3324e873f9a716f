# One command each for setting up, looking, checking, testing and measuring. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
OUT ?= out
# Test files run side by side: many of them wait for processes more than they work.
JOBS ?= 2
TIER = -n $(JOBS) --dist loadfile --no-loadscope-reorder -rR
# Through the environment, so that a path with blanks or quotes reaches the command as it is.
export VIDEO
export OUT

.PHONY: help setup setup-all system demo check test test-quick quick test-slow bench bench-live soak gpu-check clean

help:
	@echo 'make demo [VIDEO=my.mp4]  a real clip through the shipped engine, into $(OUT)/'
	@echo 'make setup                $(BIN)/maskstream with what running an engine needs (no torch)'
	@echo 'make setup-all            what training and the tests need on top (torch: 5.4 GB)'
	@echo 'make check                ruff and mypy'
	@echo 'make test-quick           what starts no process and needs no torch (2 min, in a .venv of its own;'
	@echo '                          PYTHON=python3.13 for another Python)'
	@echo 'make test                 sets up all, checks, and tests all that needs no GPU'
	@echo 'make test-slow            the same at length: further networks, the benches, ten minutes of'
	@echo '                          damaged inputs (30 min)'
	@echo 'make bench                measures each stage alone and the whole line'
	@echo 'make bench-live           live runs: overload, kills, reconnection, glass to glass (20 min)'
	@echo 'make soak                 a long run, then 30 minutes of cameras with a fault a minute;'
	@echo '                          memory has to stay flat, and nothing may go missing'
	@echo 'make gpu-check            the tests that need an NVIDIA GPU, and a table of its engines'
	@echo 'make clean                removes $(VENV), $(OUT) and the caches'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON): $$($(PYTHON) --version 2>&1); maskstream needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo 'making $(VENV)'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON): could not make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }

# Stamps say what is installed already, so a second run of any target starts at once.
$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'installing maskstream and what running it needs into $(VENV)'
	@$(PIP) install -c constraints.txt -e .
	@$(BIN)/python -m maskstream.tools.dev.system_packages core
	@touch $@

$(VENV)/.all: pyproject.toml constraints.txt $(VENV)/.core
	@echo 'installing what training and the tests need into $(VENV) (torch is large: minutes)'
	@$(PIP) install -c constraints.txt -e '.[train,dev,web-demo]'
	@touch $@

$(VENV)/.system: tools/dev/system_packages.py $(VENV)/.core
	@$(BIN)/python -m maskstream.tools.dev.system_packages test
	@touch $@

setup: $(VENV)/.core
	@echo 'ready: $(BIN)/maskstream --help'

setup-all: $(VENV)/.all
	@echo 'ready: $(BIN)/maskstream --help'

system: $(VENV)/.system

demo: $(VENV)/.core
	@$(BIN)/python -m maskstream.tools.dev.demo --output-dir "$$OUT" $${VIDEO:+"$$VIDEO"}

check: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# By whatever Python is asked for, beside the .venv that one works with.
test-quick:
	@$(MAKE) --no-print-directory quick \
	  VENV=.venv-quick-$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')

$(VENV)/.quick: pyproject.toml constraints.txt $(VENV)/.core
	@$(PIP) install -c constraints.txt pytest pytest-xdist
	@touch $@

quick: $(VENV)/.quick
	$(BIN)/pytest --quick -q -n $(JOBS) --dist loadfile --durations=10

# The system tests by themselves: windows, browsers and a dozen processes at a time. One that fails has
# another try (tests/conftest.py), and the summary says that it had.
test: $(VENV)/.all $(VENV)/.system check
	$(BIN)/pytest $(TIER) --durations=20 --ignore=tests/system
	$(BIN)/pytest $(TIER) --durations=10 tests/system

# What quicker tests show of one network, for the others; what they show of a part, of the whole.
test-slow: $(VENV)/.all $(VENV)/.system
	$(BIN)/pytest $(TIER) --durations=20 -m 'slow and not gpu'

bench: $(VENV)/.all
	$(BIN)/maskstream bench

bench-live: $(VENV)/.core
	$(BIN)/maskstream bench --only overload,kills,orphans,reconnect,glass,sources,isolation

soak: $(VENV)/.core
	@mkdir -p "$$OUT"
	$(BIN)/python -m maskstream.tools.bench.soak --output "$$OUT/soak.mkv"
	$(BIN)/python -m maskstream.tools.bench.live.soak_live

# Runs what a machine with an NVIDIA GPU can show, and prints one table.
gpu-check: $(VENV)/.all
	$(BIN)/python -m maskstream.tools.bench.gpu_check

clean:
	rm -rf $(VENV) .venv-quick-* $(OUT) .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

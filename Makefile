# The four commands of this repository: make demo, make test, make check, make bench.
# They set up what they need on first use (a virtual environment in .venv, the console's pages, the test tools) and start
# in seconds after that.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PAGES := agent_console/static/index.html
PAGE_SOURCES := $(shell find agent_console/web -path agent_console/web/node_modules -prune -o -type f -print 2>/dev/null)
PACKAGES := cti ivr acd customers screenpop voc agent_console
DEMO ?=

.PHONY: demo test check bench console format wheel clean help

help:
	@echo "make demo    a company, its agents and callers on a private Asterisk: open the printed address and sign in"
	@echo "make test    everything: make check, then the real Asterisk, SIPp, Chromium, PostgreSQL, the wheel"
	@echo "make check   format, lint, types, floors, unit and simulation tests (under two minutes)"
	@echo "make bench   what is measured, beside its peers, into bench/README.md"

demo: $(VENV)/.run $(PAGES)
	@$(BIN)/offhook demo $(DEMO)

check: $(VENV)/.dev
	@echo "== format and lint"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@echo "== types"
	@$(BIN)/mypy
	@echo "== floors"
	@$(BIN)/lint-imports --no-cache > $(VENV)/floors.txt || (cat $(VENV)/floors.txt; exit 1)
	@echo "== unit and simulation tests"
	@$(BIN)/pytest -q -m "not pbx and not browser and not postgres and not slow"

test: $(VENV)/.dev $(PAGES)
	@scripts/test-tools
	@$(MAKE) --no-print-directory check
	@echo "== real parts: Asterisk, SIPp, Chromium, PostgreSQL, the wheel"
	@$(BIN)/pytest -q -n 3 --dist loadfile -m "(pbx or postgres or slow) and not browser"
	@echo "== the pages in Chromium, by themselves: what is painted when is part of what they assert"
	@$(BIN)/pytest -q -m browser

bench: $(VENV)/.dev $(PAGES)
	@scripts/test-tools
	@$(BIN)/python -m bench

console: $(PAGES)

wheel: $(VENV)/.dev $(PAGES)
	@$(BIN)/python -m build --outdir dist .

format: $(VENV)/.dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

$(VENV)/.run: pyproject.toml scripts/venv
	@scripts/venv $(PYTHON) $(VENV) .
	@touch $@

$(VENV)/.dev: pyproject.toml scripts/venv
	@scripts/venv $(PYTHON) $(VENV) '.[dev]'
	@touch $@ $(VENV)/.run

$(PAGES): $(PAGE_SOURCES) | $(VENV)/.run
	@scripts/console $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) .run dist agent_console/static agent_console/web/node_modules .mypy_cache .ruff_cache .pytest_cache

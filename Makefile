# The commands of this repository. `make` alone lists them.
#
# Everything is installed into .venv, in the exact versions of constraints.txt, and again only when these files change.
# pip reads its own settings and PIP_* variables; this file does not say where packages come from.
# Python compiles the modules that are imported; compiling all of them at once (pip's default) takes ten seconds more.

SHELL := bash
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
RELEASE_READY := .venv/.release-ready
EXTRAS := console,diagrams,granian,node,testing,transitions
step = printf '\n── %s\n'

# ONLY (paths, as pytest takes them) and MATCH (an expression, as its -k) choose what make test runs.
PART := $(strip $(ONLY) $(MATCH))
BUILD := build
TESTED := $(BUILD)/wheel
TOOK = $(BUILD)/took-$(SCALE)

# Checks that only read files run side by side; the output of each appears when it ends.
together = $(MAKE) --no-print-directory --jobs=2 --output-sync=target

# Tests of the server wait for others, so it takes four processes to keep two cores busy (98 % of the time).
PROCESSES ?= 4

# SCALE multiplies generated examples, kills and load in the same tests. make passes KEEP to the programs by itself.
export SCALE ?= 1
# tee copies pytest's output; without this setting the output would be delayed.
export PYTHONUNBUFFERED := 1
# Every command uses the installed durable_fsm, whatever the caller's PYTHONPATH says.
unexport PYTHONPATH
# Turns off mkdocs-material's advertisement of its successor.
export NO_MKDOCS_2_WARNING := 1

.PHONY: help
help: ## list the commands, and how long each takes
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1 \t/' | expand -t 22
	@echo
	@echo "make test ONLY=tests/server          runs the tests of these paths, as pytest takes them."
	@echo "make test MATCH='timer and not kill' runs the tests whose names match, as pytest -k takes them."
	@echo "make test SCALE=10                   runs every test, with more examples and more kills."
	@echo; echo "Times are for two cores. The first command also installs .venv: a minute and network access, once."

.PHONY: demo
demo: $(READY) ## watch machines survive kill -9, on the real server; under a minute; KEEP=1 leaves it running
	@$(step) "The native Restate server"
	@$(BIN)/python -m durable_fsm.local.native
	@$(step) "An order, from cart to door, while its processes are killed (under a minute)"
	@$(BIN)/python -m machines.order.demo

.PHONY: demo-kafka
demo-kafka: $(READY) ## watch Kafka records reach their packages while the server is killed; seconds; KEEP=1 as above
	@$(step) "The native Restate server"
	@$(BIN)/python -m durable_fsm.local.native
	@$(step) "Packages on their way (seconds)"
	@$(BIN)/python -m machines.package_tracker.demo

.PHONY: food
food: $(READY) ## order food in your browser, and follow it to the door; STORY=1 plays a minute of it and ends
	@$(step) "The native Restate server"
	@$(BIN)/python -m durable_fsm.local.native
	@$(step) "A restaurant, its drivers and its customers"
	@$(BIN)/python -m machines.food.demo

.PHONY: images
images: $(READY) ## compose pictures in your browser, each list of steps a chart; STORY=1 plays a minute of it and ends
	@$(step) "The native Restate server"
	@$(BIN)/python -m durable_fsm.local.native
	@$(step) "A darkroom: the workflows, the image server and the pages"
	@$(BIN)/python -m machines.images.demo

.PHONY: chat
chat: $(READY) ## chat in your browser with an assistant that looks after tasks; STORY=1 plays a minute of it and ends
	@$(step) "The native Restate server"
	@$(BIN)/python -m durable_fsm.local.native
	@$(step) "An assistant, and stand-ins for its model, for Slack and for a flight agency"
	@$(BIN)/python -m machines.chat.demo

.PHONY: test
test: announced $(READY) ## run every check and every test, as CI does; ten minutes
	@+$(together) $(if $(PART),,pyright mypy pages lint) installed
	@$(step) "The native Restate server"
	@$(BIN)/python -m durable_fsm.local.native
ifeq ($(PART),)
	@$(step) "What the templates lambda and edge need from npm and pip (500 MB on disk, fetched once)"
	@$(BIN)/python -m tests.templates.packages
endif
	@$(step) "pytest, SCALE=$(SCALE)"
	@$(if $(PART),,$(BIN)/coverage erase)
	@set -o pipefail; set -f; \
	 $(TESTED)/bin/python $(if $(PART),,-m coverage run) -m pytest -n $(PROCESSES) --dist worksteal \
	 $(if $(PART),,--durations=15) $(if $(MATCH),-k '$(MATCH)') $(ONLY) 2>&1 | tee -i $(BUILD)/pytest.log
ifeq ($(PART),)
	@$(step) "coverage of the core, which must be complete"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --include='src/durable_fsm/core/*' --fail-under=100
	@echo "$$(($$(date +%s) - $$(cat $(BUILD)/started)))" > $(TOOK)
endif
	@$(step) "$(if $(PART),This part passed,All of it passed)"
	@tail -n 1 $(BUILD)/pytest.log

.PHONY: announced
announced:
	@mkdir -p $(BUILD); date +%s > $(BUILD)/started
ifeq ($(PART),)
	@$(step) "Lint, types, the documentation, and every test, run on the wheel and the real Restate server"
	@if [ -e $(TOOK) ]; then echo "The last time that all of it passed here, it took $$(($$(cat $(TOOK)) / 60)) min $$(($$(cat $(TOOK)) % 60)) s."; \
	 else echo "It takes about ten minutes on two cores$(if $(filter-out 1,$(SCALE)), at SCALE=1; longer at SCALE=$(SCALE))."; fi
else
	@$(step) "The tests chosen by$(if $(ONLY), ONLY='$(ONLY)')$(if $(MATCH), MATCH='$(MATCH)'), run on the wheel and the real Restate server"
	@echo "Lint, types, the documentation and coverage are left to make test without ONLY and MATCH."
endif
	@echo "A failure is printed when it happens. Ctrl-C ends the run with a list of the failures so far."

.PHONY: installed
installed: $(READY)
	@$(step) "The wheel, in an environment where src/ cannot be imported"
	@$(BIN)/python -m tests.installed $(TESTED)

.PHONY: check
check: SCALE := 0.1
check: $(READY) ## run lint, type checks and the quick tests without the server; a minute and a half
	@+$(together) pyright mypy lint
	@$(step) "pytest, the quick tests, SCALE=$(SCALE)"
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not server and not long' --ignore=tests/server

.PHONY: pages
pages: $(READY)
	@$(step) "mkdocs build --strict"
	@mkdir -p $(BUILD); rm -f $(BUILD)/docs.built; touch $(BUILD)/docs.begun
	@$(BIN)/mkdocs build --strict --quiet
	@mv $(BUILD)/docs.begun $(BUILD)/docs.built  # tests read this site, as long as nothing is newer

.PHONY: lint
lint: $(READY)
	@$(step) "ruff check"
	@$(BIN)/ruff check
	@$(step) "ruff format --check"
	@$(BIN)/ruff format --check
	@$(step) "lint-imports"
	@$(BIN)/lint-imports --no-logo

.PHONY: pyright
pyright: $(READY)
	@$(step) "pyright"
	@$(BIN)/pyright --project pyproject.toml

.PHONY: mypy
mypy: $(READY)
	@$(step) "mypy"
	@$(BIN)/mypy src $(wildcard machines tests/typing)

.PHONY: format
format: $(READY) ## generate the blocking client, let ruff format, and fix what it can; seconds
	@$(BIN)/python -m tests.client.unasync
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

.PHONY: diagrams
diagrams: $(READY) ## draw the charts of machines/ into diagrams/; seconds
	@$(BIN)/durable-fsm diagram

.PHONY: bench
bench: $(READY) ## compare the speed of machines with hand-written objects, XState and other libraries; half an hour
	@$(BIN)/python -m durable_fsm.local.native
	@$(BIN)/python benchmarks/speed.py
	@$(BIN)/python benchmarks/core.py
	@$(BIN)/python benchmarks/diagrams.py

.PHONY: docs
docs: pages ## build the documentation into build/docs; seconds
	@echo "Open build/docs/index.html."

.PHONY: changelog
changelog: $(READY) ## print the changelog of the next release, from the fragments in changes/; seconds
	@$(BIN)/towncrier build --draft --version next

.PHONY: release-check
release-check: $(READY) $(RELEASE_READY) ## rehearse a release: changelog, packages, README, licences, bill of materials; seconds
	@$(step) "The release of the next version, in a copy of this checkout"
	@$(BIN)/python -m release.check $(VERSION)

.PHONY: release
release: $(READY) ## set the version and write the changelog, to be committed; VERSION=0.1.0 names one
	@$(BIN)/python -m release.prepare $(VERSION)

.PHONY: constraints
constraints: ## resolve all versions again, from pyproject.toml alone; a minute; then run make test
	@rm -rf build/solved && $(PYTHON) -m venv build/solved
	@build/solved/bin/pip install -qq --upgrade 'pip>=25.1'
	@build/solved/bin/pip install -qq --group dev --group release --editable '.[$(EXTRAS)]'
	@{ echo "# Exact versions of everything in .venv, written by make constraints."; \
	   build/solved/bin/pip freeze --exclude-editable --exclude durable-fsm; } > constraints.txt
	@rm -rf build/solved
	@echo "Wrote constraints.txt. Run make test before you commit it."

.PHONY: clean
clean: ## remove everything that make built, and .venv; the server stays in your cache
	@rm -rf .venv build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

define NEEDS_PYTHON
durable_fsm needs Python 3.11 or later; $(PYTHON) is not. Install one, or name it: make PYTHON=python3.11
endef

define NEEDS_PACKAGES
pip could not install what .venv needs; its reason is above. This step needs network access to a Python package index.
Behind a proxy, or with a mirror or a folder of wheels of your own, tell pip in its usual variables (PIP_PROXY,
PIP_INDEX_URL, PIP_FIND_LINKS) and run make again: it continues from here.
endef

export NEEDS_PYTHON NEEDS_PACKAGES

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$NEEDS_PYTHON" >&2; exit 2; }
	@$(step) "Installing into .venv (about a minute; needs network access)"
	@$(BIN)/python -c '' 2>/dev/null || { rm -rf .venv; $(PYTHON) -m venv .venv; }
	@$(BIN)/python -m pip install -qq 'pip>=25.1' \
	 && $(BIN)/python -m pip install -qq --no-compile --constraint constraints.txt --group dev \
	 && $(BIN)/python -m pip install -qq --no-compile --constraint constraints.txt --no-build-isolation --editable '.[$(EXTRAS)]' \
	 || { echo "$$NEEDS_PACKAGES" >&2; exit 2; }
	@touch $@

$(RELEASE_READY): $(READY)
	@$(step) "Installing what a release needs into .venv (seconds; needs network access)"
	@$(BIN)/python -m pip install -qq --no-compile --constraint constraints.txt --group release \
	 || { echo "$$NEEDS_PACKAGES" >&2; exit 2; }
	@touch $@

# make demo       a real benchmark on this machine: setup, run, teardown, metrics
# make test-fast  the tests for use while you edit: no ssh servers, under 90 seconds
# make test       everything that must pass before a commit
# make lint       the slower checks of the Ansible content, besides those of `make test`
# make help       the rest
#
# The first call creates a virtual environment in .venv; later calls are fast until pyproject.toml changes. `make demo`
# installs only the dependencies of ansible-env; the other targets add the tools for development.
# PYTHON=python3.12 selects another interpreter, VENV=dir another directory, PYTEST_ARGS='-k fold' some of the tests.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
PYTHON ?=
PYTEST_ARGS ?=
# More than cores: half of the tests' time is spent waiting.
WORKERS ?= 3
BIN = $(VENV)/bin
RUNTIME = $(VENV)/.ansible-env-runtime
STAMP = $(VENV)/.ansible-env-installed
PIP = $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
# Molecule, ansible-lint and import-linter start programs by name.
IN_VENV = PATH="$(abspath $(BIN)):$$PATH"

# program:Debian package. The tests that want a program are skipped without it.
PROGRAMS = sshd:openssh-server ssh:openssh-client ip:iproute2 sudo:sudo busybox:busybox unshare:util-linux ps:procps \
  hostname:hostname

.PHONY: help demo store-scale store-kill test test-fast smoke coverage test-all test-worker molecule bench lint check \
  format venv packages changelog clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 12

demo: $(RUNTIME) ## run the SQLite benchmark on this machine
	@$(BIN)/ansible-env trial examples/sqlite/environment.yml

store-scale: venv ## write 10,000 trials to a store, and measure writing one and finding the best
	@$(BIN)/python -m tests.tools.store_at_scale

store-kill: venv ## kill 20 sweeps at random moments, and check that the store has every finished trial
	@$(BIN)/python -m tests.tools.kill_sweeps

test: venv packages check ## run the static checks, all tests, and the smoke tests on the newest ansible-core (some minutes)
	$(IN_VENV) pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)
	$(if $(PYTEST_ARGS),,$(BIN)/nox -s smoke)

FAST = tests/unit tests/integration/test_task_result.py
test-fast: venv ## run ruff, the tests without Ansible and a few with it; for use while you edit
	$(BIN)/ruff check .
	$(IN_VENV) pytest -n $(WORKERS) --dist worksteal -m 'not slow and not ssh' $(FAST) $(PYTEST_ARGS)

smoke: venv packages ## run the smoke tests, through all layers, on the newest ansible-core; `make test` includes them
	$(BIN)/nox -s smoke -- $(PYTEST_ARGS)

coverage: venv packages ## measure the share of lines and branches that the tests run, also in started processes
	@rm -f .coverage .coverage.*
	@# A few tests measure times or count files, and fail under coverage. `make test` judges the tests.
	-$(IN_VENV) ANSIBLE_ENV_PASS='COVERAGE_*' coverage run -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)
	@# A process that was killed while it wrote leaves a file that cannot be read.
	@$(IN_VENV) coverage combine --quiet 2>/dev/null
	$(IN_VENV) coverage report

.PHONY: test-cookbook test-docs test-long test-mlos
test-cookbook: venv packages ## run every example on real hosts, with packages from Debian (some minutes)
	$(IN_VENV) pytest -m cookbook tests/cookbook $(PYTEST_ARGS)

test-long: venv packages ## run what `make test` leaves out: each setting of Ansible alone, faults with every engine (some minutes)
	$(IN_VENV) pytest -n $(WORKERS) -m long $(PYTEST_ARGS)

test-mlos: venv packages ## run all tests of the mlos_bench classes, including whole experiments (some minutes)
	$(PIP) 'mlos-bench[flaml]'
	$(IN_VENV) pytest -m 'mlos or not mlos' tests/integration/mlos tests/unit/mlos/test_mlos.py $(PYTEST_ARGS)

test-docs: venv packages ## run each command of README and docs, and open the report in Chromium (some minutes)
	$(IN_VENV) pytest -m docs tests/docs $(PYTEST_ARGS)

.PHONY: docs
docs: venv ## build the documentation in site/; a broken link or an undocumented public name fails
	@$(IN_VENV) NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict

check: venv ## run the quick static checks: ruff, mypy, import layers, yamllint, shellcheck, codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(IN_VENV) lint-imports
	$(BIN)/yamllint --strict .
	$(BIN)/shellcheck --severity=warning --shell=sh ansible_env/supervisor/*.sh
	$(BIN)/shellcheck --severity=warning .ci/run tests/hosts/guest/*.sh
	$(BIN)/codespell

lint: check docs ## run `make check` and `make docs`, and check the Ansible content: ansible-lint, ansible-doc, ansible-test sanity, the build
	$(IN_VENV) ansible-lint
	@# What an environment file is rendered to has to pass, too. ansible-lint wants a project of its own around it.
	@# Lines of a script are as long as their author made them.
	@scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	cp .ansible-lint .gitignore "$$scratch"; \
	sed 's/^  line-length: .*/  line-length: disable/' .yamllint >"$$scratch/.yamllint"; \
	for file in examples/*/environment.yml; do \
	  $(BIN)/ansible-env render "$$file" >"$$scratch/$$(basename "$$(dirname "$$file")").yml"; \
	done; \
	export $(IN_VENV); cd "$$scratch"; \
	echo "ansible-lint on $$(ls *.yml | wc -l) rendered playbooks"; ansible-lint ./*.yml
	for page in 'module phase' 'module transfer' 'role environment' 'lookup environment' 'callback results' \
	  'filter metrics' 'filter aggregate' 'filter outcome' 'filter group' 'filter deciding_phase'; do \
	  $(BIN)/ansible-doc -t "$${page%% *}" "ansible_env.bench.$${page##* }" >/dev/null; \
	done
	$(BIN)/python -m tests.tools.collection_sanity
	@scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	$(BIN)/ansible-galaxy collection build ansible_env/content/ansible_collections/ansible_env/bench \
	  --output-path "$$scratch" | sed "s#$$scratch/##"

test-worker: venv packages ## run the tests with Ansible on a worker in another network namespace
	$(IN_VENV) ANSIBLE_ENV_TEST_WORKER=1 pytest tests/integration/test_worker.py $(PYTEST_ARGS)

.PHONY: test-container
test-container: venv packages ## run the tests with Ansible in a container: IMAGE=NAME (CONTRIBUTING.md)
	$(IN_VENV) ANSIBLE_ENV_TEST_IMAGE='$(IMAGE)' pytest tests/integration/test_execution_environment.py $(PYTEST_ARGS)

molecule: venv packages ## run all Molecule scenarios (`molecule test --all`)
	$(IN_VENV) molecule test --all

test-all: venv packages ## run the tests on every supported pair of Python and ansible-core that is installed
	$(BIN)/nox

bench: venv packages ## measure the cost of a phase and of other ways to run it (BENCH='1 16' for some scenarios)
	@test -x .bench/others/bin/pyinfra || { $(BIN)/python -m venv .bench/others && \
	  .bench/others/bin/pip install --quiet --disable-pip-version-check -r tests/benchmarks/requirements.txt; }
	@test -d .bench/mitogen/lib || { $(BIN)/python -m venv .bench/mitogen && \
	  .bench/mitogen/bin/pip install --quiet --disable-pip-version-check mitogen==0.3.54 \
	  "$$($(BIN)/pip freeze | grep -i '^ansible-core==')"; }
	$(BIN)/python -m tests.benchmarks --json .bench/report.json $(BENCH)

changelog: venv ## move the fragments of changelog.d/ into CHANGELOG.md: VERSION=0.1.0
	$(BIN)/towncrier build --yes --version '$(VERSION)'

format: venv ## format the code with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

venv: $(STAMP) ## create the virtual environment, with this tree and the tools for development

$(STAMP): pyproject.toml $(RUNTIME)
	@echo "installing the tools for tests and checks into $(VENV) (a minute or two, once)"
	@$(PIP) --editable '.[dev]'
	@touch $@

# Modules are compiled when they are first imported: most of those installed never are.
$(RUNTIME): pyproject.toml
	@python='$(PYTHON)'; \
	usable() { "$$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }; \
	if [ -z "$$python" ]; then \
	  for candidate in python3.13 python3.12 python3.11 python3; do \
	    if usable $$candidate; then python=$$candidate; break; fi; \
	  done; \
	elif ! usable "$$python"; then \
	  echo "make: PYTHON=$$python is not a Python 3.11 or later with venv" >&2; exit 1; \
	fi; \
	if ! $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  if [ -z "$$python" ]; then \
	    echo "make: needs Python 3.11 or later with venv (Debian, Ubuntu: apt install python3 python3-venv)," \
	      "or name one: make PYTHON=/path/to/python3.12" >&2; \
	    exit 1; \
	  fi; \
	  echo "creating $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv --clear $(VENV); \
	fi; \
	echo "installing ansible-env into $(VENV) (half a minute, once)"; \
	$(PIP) --no-compile --editable .
	@touch $@

packages: ## install the programs for the tests that start ssh servers, if this user may install packages
	@missing=; \
	for pair in $(PROGRAMS); do \
	  PATH="$$PATH:/usr/sbin:/sbin" command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair#*:}"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing$$missing"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  if apt-get -qq update && apt-get -qq install -y --no-install-recommends $$missing >/dev/null; then exit 0; fi; \
	fi; \
	echo "make: not installed:$$missing. Tests that need one of them will be skipped." >&2

clean: ## remove everything that these commands created, .venv included
	rm -rf $(VENV) .bench .nox .coverage .coverage.* build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .ansible
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

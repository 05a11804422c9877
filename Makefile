# Words to remember: generate, check, test, demo. Everything they need is set up by them and kept in the user's cache folder.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PYTHONPATH := operator
export PYTHONDONTWRITEBYTECODE := 1
PYTHON := build/venv/bin/python

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build/venv: requirements/dev.txt hack/venv.sh
	@mkdir -p build
	ln -sfn "$$(hack/venv.sh)" build/venv

.PHONY: generate
generate: build/venv ## Write everything that is generated from the types
	$(PYTHON) -m selftrain.codegen

.PHONY: check
check: build/venv ## Drift, lint, layers, types, unit tests
	$(PYTHON) -m selftrain.codegen --check
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	build/venv/bin/lint-imports
	$(PYTHON) -m mypy
	$(PYTHON) -m pytest tests/unit tests/generated

.PHONY: test
test: build/venv ## Every test
	$(PYTHON) -m pytest tests

.PHONY: lock
lock: ## Resolve the lock files again
	hack/lock.sh

.PHONY: clean
clean: ## Remove what was built in this clone
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

.PHONY: demo
demo: build/venv ## A real model teaches itself to judge, on a real cluster on this machine (CLUSTER=current: on yours)
	PYTHONPATH=operator:hack $(PYTHON) -m trial.demo

.PHONY: cluster-up cluster-down
cluster-up: ## Start the embedded cluster and print its kubeconfig
	@hack/cluster/packages.sh && hack/cluster/up.sh

cluster-down: ## Stop it; images and objects stay for the next start
	@hack/cluster/down.sh

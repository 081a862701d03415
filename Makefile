.DEFAULT_GOAL := help
PYTHON ?= python3
READY := .venv/.ready
BIN := .venv/bin
ARGS ?=

.PHONY: help demo serve test check chaos bench docs

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-7s %s\n", $$1, $$2}'

demo: $(READY) ## run the example automations on real flight data, start to end
	@./examples/demo $(ARGS)

serve: $(READY) ## start the API and an engine in one process
	@$(BIN)/vai serve $(ARGS)

test: $(READY) ## run the whole test suite in random order (ARGS="tests/domain -x")
	@$(BIN)/python -m pytest -n 2 $(ARGS)

check: $(READY) ## check format, lint, types, rooms and the lock
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -p no:randomly tests/project/test_lock.py

chaos: $(READY) ## break things on real processes, for some minutes, and prove that nothing was lost
	@$(BIN)/python -m tests.chaos $(ARGS)

bench: $(READY) ## measure speed on this machine
	@$(BIN)/python -m bench $(ARGS)

docs: $(READY) ## write the generated pages of the docs anew
	@$(BIN)/python -m docs.generate $(ARGS)

$(READY): pyproject.toml requirements.lock scripts/bootstrap
	@PYTHON=$(PYTHON) scripts/bootstrap

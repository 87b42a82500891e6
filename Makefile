# Every door of the project. Each does all it needs on a fresh machine with Python 3.11+, make and git.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: setup demo test lint check bench reliability conformance reference lock clean

setup: $(READY)  ## .venv with everything

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	touch $(READY)

demo: $(READY)  ## the main job on an S3 server of its own, end to end
	$(BIN)/tidewaiter demo

test: $(READY)  ## all tests
	$(BIN)/python -m pytest -n auto

lint: $(READY)  ## formatting, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

check: lint  ## and all tests on the built wheel
	$(BIN)/python tests/wheel.py

bench: $(READY)  ## the benchmark table
	$(BIN)/python -m bench

reliability: $(READY)  ## the reliability table: hours of kills and faults; ARGS='--scale short' for minutes
	PYTHONPATH=tests $(BIN)/python -m reliability $(ARGS)

conformance: $(READY)  ## how far Kestra's flows and expressions mean the same here; needs a corpus (CONFORMANCE_CORPUS)
	PYTHONPATH=tests $(BIN)/python -m conformance $(ARGS)

reference: $(READY)  ## write docs/reference from the specs
	$(BIN)/tidewaiter schema --reference docs/reference

lock: $(READY)  ## write requirements.lock from what .venv has
	$(BIN)/pip freeze --exclude-editable | grep -E '^[A-Za-z0-9_.-]+==' | sort -f > requirements.lock

clean:
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

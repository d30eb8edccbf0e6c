# Everything runs in a private virtual environment that the first target makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test long nightly gpu-check figures check format architecture clean

help:  ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 16

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "gpurun needs Python 3.11 or newer; run: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[demo]' --group dev
	@touch $@

demo: $(STAMP)  ## the main job: on a simulated device, or with GPU=1 on the real one
	@$(BIN)/gpurun demo $(if $(GPU),--gpu)

test: $(STAMP)  ## all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

long: $(STAMP)  ## the tests that take too long for every day
	$(BIN)/python -m pytest -n 2 --dist loadfile -m long

nightly: $(STAMP)  ## the property tests for a million events: a quarter of an hour and more
	GPURUN_PROPERTIES=nightly $(BIN)/python -m pytest tests/coordinator/core/test_properties.py -n 0

# Without the virtual environment, since the PyTorch in it sees no GPU and a machine may have no
# network.
gpu-check:  ## the tests on a real GPU, with $(PYTHON)'s own CUDA PyTorch; installs nothing
	@PYTHONPATH=protocol:launcher:coordinator:sdk:. $(PYTHON) -m tests.gpu

figures: $(STAMP)  ## the figures of docs/benchmarks.md, but for the replays
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/decision.py 100 10000
	$(BIN)/python benchmarks/estimates.py
	$(BIN)/python benchmarks/monitor.py
	$(BIN)/python benchmarks/safe_point.py
	$(BIN)/python benchmarks/park.py

check: $(STAMP)  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

architecture: $(STAMP)  ## assets/architecture.svg from its text
	$(BIN)/python assets/architecture.py

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist

# make demo    watch it work        (makes .venv, installs the light runtime, no torch)
# make test    every check          (makes .venv, installs all under constraints.txt)
# make check   the checks alone, without installing
# make format  mend the style
# make bench   measure against rivals
# make bench-adaptation  accuracy at any time step; quick, or FULL=1 for hours of it; resumes
# make demo-assets  train the demonstration's network anew and record its camera
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# onnxruntime and onnxruntime-gpu install one module: a machine gets one of them.
ENGINE := $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)

.DEFAULT_GOAL := help
.PHONY: help demo demo-assets test check format bench bench-adaptation clean

help:
	@sed -n '/^#/s/^# //p;/^PYTHON/q' Makefile

demo: $(VENV)/.light
	$(BIN)/retempo demo

demo-assets: $(VENV)/.full
	$(BIN)/retempo train configs/simulated-digits.toml --out runs/simulated-digits
	$(BIN)/python -m retempo.demo.make runs/simulated-digits

test: $(VENV)/.full
	$(MAKE) --no-print-directory check

check:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

format: $(VENV)/.full
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.full
	$(BIN)/python -m benchmarks.step_latency | tee docs/results/step-latency.md
	$(BIN)/python -m benchmarks.binning | tee docs/results/binning.md
	$(BIN)/python -m benchmarks.cochlea | tee docs/results/cochlea.md

# DATA_ROOT holds fsdd and nmnist.
DATA_ROOT ?= ../shared/data
bench-adaptation: $(VENV)/.full
	$(BIN)/python -m benchmarks.adaptation --data-root $(DATA_ROOT) $(if $(FULL),,--quick)

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Retempo needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.light: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) --constraint constraints.txt --editable '.[$(ENGINE)]'
	touch $@

$(VENV)/.full: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) --constraint constraints.txt --editable '.[$(ENGINE),train,audio,camera,hdf5,ros,dev]'
	touch $@ $(VENV)/.light

# make demo    watch it work        (makes .venv, installs the light runtime, no torch)
# make test    every check          (makes .venv, installs all under constraints.txt)
# make check   the checks alone, without installing
# make format  mend the style
# make bench   measure against rivals (makes .venv-bench, a quarter of an hour and more)
# make bench-check  the ratios anew, against the committed ones; a few minutes
# make soak     the slow proofs: kill -9, loads, fuzz, silence; an hour, or QUICK=1 for a look
# make gpu-check  prove the engine of a GPU where there is one; says why where there is none
# make bench-adaptation  accuracy at any time step; quick, or FULL=1 for hours of it; resumes
# make demo-assets  train the demonstration's network anew and record its camera
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# onnxruntime and onnxruntime-gpu install one module: a machine gets one of them.
ENGINE := $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)

BENCH := .venv-bench
# DATA_ROOT holds fsdd, nmnist and the recordings.
DATA_ROOT ?= ../shared/data

.DEFAULT_GOAL := help
.PHONY: help demo demo-assets test check format bench bench-check soak gpu-check bench-adaptation clean

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
	$(BIN)/python -m pytest --numprocesses 2

format: $(VENV)/.full
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BENCH)/.made
	$(BENCH)/bin/python -m benchmarks.performance --data-root $(DATA_ROOT)
	$(BENCH)/bin/python -m benchmarks.step_latency | tee docs/results/step-latency.md
	$(BENCH)/bin/python -m benchmarks.cochlea | tee docs/results/cochlea.md

bench-check: $(BENCH)/.made
	$(BENCH)/bin/python -m benchmarks.performance --check --data-root $(DATA_ROOT)

soak: $(VENV)/.full
	$(BIN)/python -m benchmarks.reliability $(if $(QUICK),--quick --out /tmp/retempo-soak)

gpu-check: $(VENV)/.light
	$(BIN)/python -m benchmarks.gpu_check

bench-adaptation: $(VENV)/.full
	$(BIN)/python -m benchmarks.adaptation --data-root $(DATA_ROOT) $(if $(FULL),,--quick)

clean:
	rm -rf $(VENV) $(BENCH) build dist *.egg-info

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

# torchvision and torchaudio come along with the rivals, which use neither here, and are built for
# CUDA: beside a torch without it they cannot be imported, nor can what imports them.
$(BENCH)/.made: pyproject.toml constraints.txt benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip --disable-pip-version-check install --quiet \
		--constraint constraints.txt --requirement benchmarks/requirements.txt --editable '.[audio]'
	$(BENCH)/bin/python -m pip --disable-pip-version-check uninstall --quiet --yes \
		torchvision torchaudio
	touch $@

# `make demo` and `make test` set everything up themselves on a fresh
# Debian or Ubuntu machine with Python 3.11.

PYTHON ?= python3.11
BIN := $(CURDIR)/.venv/bin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# TensorFlow's own words of processors and drivers; what fails is raised.
export TF_CPP_MIN_LOG_LEVEL ?= 3

DEMO := build/demo
DATA := $(DEMO)/data
RUN := $(DEMO)/run

.PHONY: setup demo test bench pretrained

setup: .venv/installed

# Stamps are touched last: what was interrupted starts again.
.venv/installed: requirements.txt pyproject.toml apt-packages.txt
	@missing=$$(for package in $$(cat apt-packages.txt); do \
	  dpkg -s $$package >/dev/null 2>&1 || echo $$package; done; \
	  $(PYTHON) -c 'import ensurepip' 2>/dev/null || echo python3.11-venv); \
	if [ -n "$$missing" ]; then \
	  $(SUDO) apt-get update -qq && \
	  $(SUDO) apt-get install -y -qq --no-install-recommends $$missing; fi
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# The extra [pytorch]: what its tests need beside.
.venv/pytorch: .venv/installed requirements-pytorch.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check \
	  -r requirements-pytorch.txt
	@touch $@

# The extra [onnx]: what its tests need beside.
.venv/onnx: .venv/installed requirements-onnx.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check \
	  -r requirements-onnx.txt
	@touch $@

# --- Demo: rendered recordings in, heart rate out ---------------------------

$(DEMO)/rendered: .venv/installed
	rm -rf $(DEMO)/recordings
	$(BIN)/python -m tools.render_recordings --output_dir=$(DEMO)/recordings \
	  --num_recordings=36 --duration_s=20 --seed=1
	@touch $@

$(DEMO)/built: $(DEMO)/rendered
	cd tfds_ubfc && $(BIN)/tfds build --config=inner --overwrite \
	  --manual_dir=../$(DEMO)/recordings --data_dir=../$(DATA)
	@touch $@

$(DEMO)/trained: $(DEMO)/built
	$(BIN)/python -m rppg_tf.train --flagfile=rppg_tf/flagfiles/demo.flags \
	  --data_dir=$(DATA) --run_dir=$(RUN)
	@touch $@

$(DEMO)/quantised: $(DEMO)/trained
	$(BIN)/python -m tools.export_tflite --data_dir=$(DATA) --run_dir=$(RUN)
	@touch $@

demo: $(DEMO)/quantised
	$(BIN)/python -m tools.emit_temporal_head --run_dir=$(RUN) \
	  --output_dir=$(RUN)
	$(BIN)/python -m rppg_tf.evaluate --data_dir=$(DATA) --run_dir=$(RUN)
	$(BIN)/python -m rppg_tf.report --run_dir=$(RUN) \
	  --html=$(DEMO)/report.html --summary=$(DEMO)/summary.json

# --- Tests ------------------------------------------------------------------

test: .venv/installed .venv/pytorch .venv/onnx
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) -s -C firmware format-check
	$(BIN)/python -m pytest -n 2 --dist loadfile \
	  --no-loadscope-reorder --durations=20

# What is slow, timed or statistical; prints the figures of docs/results.md.
bench: .venv/installed .venv/pytorch .venv/onnx
	$(BIN)/python -m pytest -m bench -s

# --- The model that ships ---------------------------------------------------

PRETRAINED := build/pretrained
SHIPPED := flags.json split.json metrics.json versions.json history.csv \
  head_history.csv \
  spatial_cnn.weights.h5 head.weights.h5 int8_head.weights.h5 \
  spatial_int8.tflite temporal_head.c temporal_head.h evaluation.json \
  confidence.json

pretrained: .venv/installed
	rm -rf $(PRETRAINED)
	$(BIN)/python -m tools.render_recordings --num_recordings=48 --seed=20 \
	  --duration_s=20 --first_subject=1001 \
	  --output_dir=$(PRETRAINED)/recordings
	$(BIN)/python -m tools.render_recordings --num_recordings=144 --seed=20 \
	  --duration_s=20 --first_subject=1049 --motion=strong \
	  --output_dir=$(PRETRAINED)/recordings
	cd tfds_ubfc && $(BIN)/tfds build --config=inner \
	  --manual_dir=../$(PRETRAINED)/recordings \
	  --data_dir=../$(PRETRAINED)/data
	$(BIN)/python -m rppg_tf.train \
	  --flagfile=rppg_tf/flagfiles/pretrained.flags \
	  --data_dir=$(PRETRAINED)/data --run_dir=$(PRETRAINED)/run
	$(BIN)/python -m tools.export_tflite --data_dir=$(PRETRAINED)/data \
	  --run_dir=$(PRETRAINED)/run --epochs=1
	$(BIN)/python -m tools.emit_temporal_head --run_dir=$(PRETRAINED)/run \
	  --output_dir=$(PRETRAINED)/run
	$(BIN)/python -m rppg_tf.evaluate --data_dir=$(PRETRAINED)/data \
	  --run_dir=$(PRETRAINED)/run --recordings_dir=$(PRETRAINED)/recordings
	mkdir -p rppg_tf/pretrained
	cd $(PRETRAINED)/run && cp $(SHIPPED) $(CURDIR)/rppg_tf/pretrained/

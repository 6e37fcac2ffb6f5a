# Every target prepares what it needs; the environment stays in .venv.
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null || echo .venv/bootstrap/bin/uv)
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE ?= hardlink

.PHONY: help demo test check fast docs bench lock test-all system-tools clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# uv makes the environment, so that Debian's python3-venv is not needed; where uv is not
# installed, pip puts it inside .venv (--target is allowed on externally managed systems).
.venv/bootstrap/bin/uv:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .venv/bootstrap uv

.venv/bin/python: | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv

.venv/.base: requirements/base.txt pyproject.toml | .venv/bin/python
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/base.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml | .venv/bin/python
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@ .venv/.base

demo: .venv/.base ## screen a simulated patient, base install only
	$(BIN)/python -m osteoscope.apps.demo

lock: | $(UV) ## renew the pinned requirements (hashes, no index, no host)
	$(UV) pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate -o requirements/base.txt
	$(UV) pip compile --quiet pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate -c requirements/base.txt -o requirements/dev.txt

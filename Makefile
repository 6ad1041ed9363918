# The menu: `make` prints it.  Every target makes what it needs first.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
DOCS_INSTALLED := .venv/.docs-installed

# One worker per core, and four at most: each takes half a gigabyte.
PARALLEL := -n auto --maxprocesses 4 --dist worksteal

QUICK := tests/test_golden.py tests/test_look.py tests/test_help.py tests/test_configs.py tests/test_constructs.py tests/test_inspect.py tests/test_streams.py tests/test_schema.py tests/test_arranging.py tests/test_blocks.py

.DEFAULT_GOAL := menu
.PHONY: menu demo test check slow cover matrix bench docs golden man pictures schema

menu:  ## print this menu
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

demo: $(INSTALLED)  ## install, then list the parameters of real models
	@$(BIN)/python tools/demo.py

# Torch's own threads sleep while they wait: spinning, they would hold the cores that the other workers need.
test check: export OMP_WAIT_POLICY := passive

test: $(INSTALLED)  ## install, then linters, every fast test and the floor of coverage; PYTEST_ARGS="-k tie" tests some
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m slipcover --source src/paramtool --json --out .coverage.json -m pytest -m 'not slow' $(PARALLEL) $(PYTEST_ARGS)
	$(if $(PYTEST_ARGS),,$(BIN)/python tools/coverage_floor.py)

check: $(INSTALLED)  ## the fast loop: the linters, and the tests of the parts that change most
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports
	$(BIN)/pytest -x -q --failed-first -m 'not slow' $(PARALLEL) $(QUICK)

slow: $(INSTALLED)  ## the tests that take minutes: hundreds of killed writes
	$(BIN)/pytest -m slow

cover: $(INSTALLED)  ## the lines that the last `make test` did not run
	@$(BIN)/python tools/coverage_floor.py --all

matrix:  ## the tests on every Python and torch: PYTHONS="python3.10 python3.13" TORCHES="2.13.0 2.14.1"
	$(PYTHON) tools/matrix.py --pythons $(PYTHONS) --torches $(TORCHES)

bench: $(INSTALLED)  ## the ratios of benchmarks/, each against the plain thing; ARGS=--quick takes a minute
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(DOCS_INSTALLED)  ## build the pages of docs/ into build/docs; every warning is an error
	$(BIN)/python -m sphinx -W --keep-going -n -q -b html -d build/doctrees docs build/docs
	@echo build/docs/index.html

golden: $(INSTALLED)  ## write anew the golden files, README, docs, man pages and pictures; read the diff
	$(BIN)/pytest -q --snapshot-update tests/test_golden.py tests/test_look.py tests/test_pages.py tests/test_man_pages.py tests/test_pictures.py tests/test_notebooks.py tests/test_examples.py

man: $(INSTALLED)  ## write the man pages anew
	$(BIN)/python -m tools.man_pages

pictures: $(INSTALLED)  ## write the pictures of README and docs anew
	$(BIN)/python -m tools.pictures

schema: $(INSTALLED)  ## write the shipped facts of the installed torch, and check the table against it
	$(BIN)/python -W ignore tools/write_catalog.py

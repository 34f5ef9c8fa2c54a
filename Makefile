# Two commands from a clean clone: `make demo` and `make test`. Needed: Python >= 3.10, a C++
# compiler and the package index. PYTHON=python3.12 make test chooses another Python.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := setup.cfg setup.py constraints.txt pyproject.toml $(shell find anthropo cli -type f -not -name '*.pyc' -not -name '*.so')

.PHONY: demo test docs lint sanitize fuzz fuzz-engine clean help

help:
	@echo "make demo   measure a real photograph; train and judge a model on synthetic people"
	@echo "make test   lint and all tests"
	@echo "make docs   the documentation as a site, every tutorial executed: build/docs/html/index.html"
	@echo "make lint   ruff, mypy, import-linter; calls in scripts"
	@echo "make sanitize  the engine's tests and fuzz under AddressSanitizer and UBSan; needs g++"
	@echo "make fuzz COUNT=1000 SEED=1  hostile pictures, texts, caches, models and networks, so many of each (default 100)"
	@echo "make fuzz-engine SECONDS=600 SEED=1  the fuzzer for longer, after make sanitize"
	@echo "make clean  remove what make made"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed; name one with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/installed: $(VENV)/bin/python $(SOURCES)
	@echo "installing anthropo and compiling its engine (about a minute)"
	@rm -rf build/lib*
	$(BIN)/python -m pip install --quiet -c constraints.txt ".[test]"
	@touch $@

demo: $(VENV)/installed
	@mkdir -p demo
	$(BIN)/python -c "from PIL import Image; from skimage import data; Image.fromarray(data.astronaut()).save('demo/astronaut.png')"
	$(BIN)/anthropo measure demo/astronaut.png --sex female --age 31 -o demo/report.html --overlay demo
	@rm -rf demo/hybrid
	$(BIN)/anthropo demo demo/hybrid
	@echo "done: open demo/report.html, demo/hybrid/explanation.html and demo/hybrid/evaluation.html"
	@echo "to use anthropo in this terminal: source $(BIN)/activate"
	@echo "to measure and correct these people in the browser: $(BIN)/anthropo serve demo/hybrid/cohort"

# Scripts are not typed throughout, but what they call has to exist and to take what it is given.
SCRIPTS := MYPYPATH=../benchmarks ../$(BIN)/mypy --config-file= --cache-dir .mypy_cache/scripts --no-error-summary \
	--ignore-missing-imports --follow-imports=silent $(addprefix --disable-error-code=,arg-type assignment \
	dict-item index misc operator type-var union-attr var-annotated)

# numpy states its types anew in every version, and Python 3.10 has 2.2: those of 2.4 are checked against
TYPED := import numpy, sys; sys.exit(numpy.__version__.split(".")[:2] != ["2", "4"])
TYPES = if ../$(BIN)/python -c '$(TYPED)'; \
	then ../$(BIN)/mypy --config-file ../pyproject.toml -p anthropo; \
	else echo "types are checked with numpy 2.4, which needs Python 3.11 or newer: not here"; fi

# from tests/, not the root: there Python would find the sources before the installed package; types of the
# package and of the scripts, the longest parts, are checked at once, and both have to be right
lint: $(VENV)/installed
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	cd tests && ../$(BIN)/lint-imports --config ../pyproject.toml
	cd tests && { { $(TYPES); } & types=$$!; { $(SCRIPTS) ../benchmarks/*.py && $(SCRIPTS) ../development/*.py; } \
		&& scripts=checked; wait $$types && [ "$$scripts" = checked ]; }

# the examples in the docstrings of the installed package, and those of two pages, are tests as well; two
# processes share them, each with one thread of linear algebra unless OMP_NUM_THREADS says otherwise
test: lint
	cd tests && OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} ../$(BIN)/pytest -c ../pyproject.toml --rootdir=.. \
		-n 2 --dist worksteal . ../docs/python.md ../docs/own-measurements.md --doctest-glob='*.md' --doctest-modules --pyargs anthropo

# What is documented is the installed package. Warnings are errors, and so is a tutorial whose command fails.
$(VENV)/docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt "anthropo[docs]"
	@touch $@

docs: $(VENV)/docs
	@rm -rf build/docs
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sphinx-build -W --keep-going -q -j 2 -d build/docs/doctrees docs build/docs/html
	$(BIN)/python docs/site/links.py build/docs/html
	@echo "done: open build/docs/html/index.html"

# The engine a second time, built so that every wrong read, write or overflow ends the process. Detection on
# whole photographs is left out: without optimisation it takes minutes.
SANITIZED := LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=$(CURDIR)/build/sanitized
sanitize: $(VENV)/installed
	@rm -rf build/lib* build/sanitized
	ANTHROPO_SANITIZE=1 $(BIN)/python -m pip install --quiet --no-deps --target build/sanitized .
	@rm -rf build/lib*
	cd tests && $(SANITIZED) ../$(BIN)/python -c "from anthropo.face import _engine; assert _engine.sanitized"
	cd tests && $(SANITIZED) ../$(BIN)/pytest -c ../pyproject.toml --rootdir=.. --capture=sys \
		face/test_hostile_engine.py face/test_engine.py face/test_trainer.py -k "not detections and not many_threads"

FUZZERS := "pictures.py" "texts.py" "caches.py" "models.py models" "models.py networks"
fuzz: $(VENV)/installed
	cd tests && for what in $(FUZZERS); do \
		../$(BIN)/python ../benchmarks/fuzz_$$what --count $(or $(COUNT),100) --seed $(or $(SEED),0) \
			|| failed=1; done; exit $${failed:-0}

fuzz-engine:
	cd tests && $(SANITIZED) ../$(BIN)/python ../benchmarks/fuzz_engine.py --seconds $(or $(SECONDS),60) --seed $(or $(SEED),0)

clean:
	rm -rf $(VENV) build demo *.egg-info

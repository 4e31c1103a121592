# `make demo` and `make test` are all that a new user needs: each makes the environment where it is missing, with the
# newest Python here that Hardcut is tried with, or with PYTHON=/path/to/python.
PYTHON ?=
VENV ?= .venv
VENV_VLLM ?= .venv-vllm
VENV_ARGILLA ?= .venv-argilla
VENV_TRAIN ?= .venv-train
VENV_CONSUMERS ?= .venv-consumers
BIN := $(VENV)/bin

.PHONY: demo demo-train test test-vllm test-train test-consumers goldens docs lint locks clean

demo: $(VENV)/.demo
	$(BIN)/hardcut demo --out runs/demo

test: $(VENV)/.test $(VENV_ARGILLA)/.made lint
	VENV_ARGILLA=$(VENV_ARGILLA) $(BIN)/python -m pytest -n 2 --dist loadfile

# Models on this machine: an environment of its own with torch and vLLM for CPUs. Where those cannot be installed the
# tests are skipped, and say so.
test-vllm: $(VENV_VLLM)/.test
	@if [ -s $(VENV_VLLM)/.skipped ]; then cat $(VENV_VLLM)/.skipped; else \
	  $(VENV_VLLM)/bin/python -m pytest -m "torch or vllm" tests/teacher/local/test_teacher.py \
	    tests/teacher/local/test_process.py tests/teacher/local/test_foreign_code.py \
	    tests/benchmarks/test_gpu_scoring.py tests/teacher/local/test_small_model.py tests/teacher/local/test_vllm_server.py \
	    tests/teacher/local/test_text_model.py \
	    tests/teacher/prompts/test_control_tokens.py \
	    tests/synth/evidence/test_speech.py tests/reranker/test_vllm.py tests/embedder/test_vllm.py; fi

$(VENV_VLLM)/.test: pyproject.toml tests/tools/make_vllm.sh
	PYTHON=$(PYTHON) tests/tools/make_vllm.sh $(VENV_VLLM)
	touch $@

# The environment of the embedded Argilla, made here once; where it cannot be made its tests are skipped and say why.
$(VENV_ARGILLA)/.made: $(VENV)/.test annotate/embedded/requirements.txt tests/tools/make_argilla.py
	$(BIN)/python tests/tools/make_argilla.py $(VENV_ARGILLA)
	touch $@

# Training, on the CPU: an environment of its own with torch and what trains. Skipped likewise.
test-train: $(VENV_TRAIN)/.test
	@if [ -s $(VENV_TRAIN)/.skipped ]; then cat $(VENV_TRAIN)/.skipped; else \
	  OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(VENV_TRAIN)/bin/python -m pytest -m torch tests/reranker tests/embedder tests/cli tests/examples \
	    tests/teacher/local/test_text_model.py tests/teacher/local/test_ray_models.py \
	    tests/teacher/local/test_foreign_code.py tests/teacher/prompts/test_control_tokens.py; fi

# The demo, and a tiny reranker trained on what it made.
demo-train: $(VENV_TRAIN)/.test
	@if [ -s $(VENV_TRAIN)/.skipped ]; then cat $(VENV_TRAIN)/.skipped; exit 1; else \
	  $(VENV_TRAIN)/bin/hardcut demo --out runs/demo-train --train; fi

$(VENV_TRAIN)/.test: pyproject.toml tests/tools/make_train.sh
	PYTHON=$(PYTHON) tests/tools/make_train.sh $(VENV_TRAIN)
	touch $@

# Libraries that read our files, each in an environment of its own; makes docs/consumers.md. What is not installed keeps
# the row that it had. Tevatron and RANKVIDEO are on no registry: TEVATRON=DIR RANKVIDEO=DIR are checkouts of theirs.
test-consumers: $(VENV)/.test $(VENV_TRAIN)/.test $(VENV_CONSUMERS)/.made
	rm -rf $(VENV_CONSUMERS)/exports
	HF_HOME=$(VENV_CONSUMERS)/home $(BIN)/python tests/consumers/world.py $(VENV_CONSUMERS)/exports
	OMP_NUM_THREADS=1 $(VENV_TRAIN)/bin/python tests/tiny_model.py $(VENV_CONSUMERS)/tiny
	HF_HOME=$(VENV_CONSUMERS)/home OMP_NUM_THREADS=1 $(BIN)/python tests/consumers/page.py \
	  $(VENV_CONSUMERS) $(VENV) $(VENV_TRAIN) \
	  $(if $(TEVATRON),--tevatron $(TEVATRON)) $(if $(RANKVIDEO),--rankvideo $(RANKVIDEO))

$(VENV_CONSUMERS)/.made: tests/tools/make_consumers.sh $(VENV)/.test $(VENV_TRAIN)/.test
	PYTHON=$(PYTHON) tests/tools/make_consumers.sh $(VENV_CONSUMERS) $(VENV_TRAIN) $(BIN)/uv
	touch $@

# The golden results of stages and backends whose version was counted up, and of new ones.
goldens: $(VENV)/.test
	HARDCUT_GOLDENS=renew $(BIN)/python -m pytest -q tests/golden

# The documentation as a site, in site/; a broken link or reference is an error. To read it: python -m http.server -d site
docs: $(VENV)/.docs
	$(BIN)/properdocs build --strict --quiet -f mkdocs.yml

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p hardcut

$(BIN)/python:
	python="$(PYTHON)"; python=$${python:-$$(tests/tools/find_python.sh)} && "$$python" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# The versions that were tried, each file by its digest. Nothing is fetched to build Hardcut itself.
$(VENV)/.demo: pyproject.toml requirements/default.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/default.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@

# Renews the locks: the newest versions that pyproject.toml allows, for Python 3.11 to 3.13. No name of a registry in them.
LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make locks"
locks: $(VENV)/.test
	$(LOCK) --extra default -o requirements/default.txt pyproject.toml requirements/build.in
	$(LOCK) --override requirements/argilla-without.txt -o annotate/embedded/requirements.txt requirements/argilla.in

clean:
	rm -rf $(VENV) $(VENV_VLLM) $(VENV_ARGILLA) $(VENV_TRAIN) $(VENV_CONSUMERS) build dist runs site

# make demo    the main job on real photographs and clips, in a virtual environment of its own
# make test    everything the tests need, and all tests
# make lint | site | wheel-test | test-torch | mutants | docs | clean

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.14.1 torchvision==0.29.1
PIP = -m pip install -qq --disable-pip-version-check

.PHONY: demo test lint site wheel-test test-torch mutants docs clean

demo: $(VENV)/demo.stamp
	$(VENV)/bin/assocmem demo

# The kernels once more as plain Python: what numba makes of them must not differ.
test: $(VENV)/test.stamp
	$(VENV)/bin/python -m pytest
	NUMBA_DISABLE_JIT=1 $(VENV)/bin/python -m pytest -q tests/codes/test_winner_codes.py tests/concepts/test_unit_counts.py tests/numerics/test_bits.py \
		tests/memory/test_clique.py tests/memory/test_recall.py tests/memory/test_familiarity_kernels.py tests/numerics/test_rotation.py tests/codes/test_nibble_codes.py tests/numerics/test_byte_shuffle.py \
		tests/numerics/test_simd.py tests/search/test_vector_table.py tests/search/test_rerank.py tests/search/test_exact.py tests/search/test_id_map.py \
		tests/search/test_pool_kernels.py tests/search/test_pool_level.py tests/search/test_pool_tree.py \
		tests/concepts/test_random_features.py tests/concepts/test_naive_bayes.py

lint: $(VENV)/lint.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy --platform win32 --cache-dir .mypy_cache/win32

# The wheel in a clean environment, and the tests run where no checkout can lend it a file.
wheel-test:
	rm -rf build dist .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python $(PIP) --upgrade pip
	.venv-wheel/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	.venv-wheel/bin/python $(PIP) "$$(echo dist/assocmem-*.whl)[demo,heif,jxl,raw]" --group test
	outside=$$(mktemp -d) && cp -r tests pyproject.toml $$outside && cd $$outside && \
		$(CURDIR)/.venv-wheel/bin/python -m pytest -q --ignore=tests/test_layers.py --ignore=tests/test_repository.py --ignore=tests/test_docs.py --ignore=tests/test_readme.py && rm -rf $$outside

# Minutes and gigabytes, so in an environment of its own.
test-torch:
	test -x .venv-torch/bin/python || $(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python $(PIP) --upgrade pip
	.venv-torch/bin/python $(PIP) $(TORCH)
	.venv-torch/bin/python $(PIP) --editable ".[torch,demo]" --group test
	.venv-torch/bin/python -m pytest -m torch

# Changes the code in small ways, a thousand times, and expects the tests to fail: half an hour.
mutants: $(VENV)/mutants.stamp
	$(VENV)/bin/python -m tests.mutants

# The documents that the program itself writes: the command reference and the picture of the demo.
docs: $(VENV)/test.stamp
	$(VENV)/bin/python -m tests.reference > docs/commands.md
	$(VENV)/bin/python -m tests.picture docs/demo.svg

# The documentation as a site in build/site: offline, and any warning is an error.
site: $(VENV)/site.stamp
	$(VENV)/bin/python -m sphinx -q -W --keep-going -E -d build/doctrees docs build/site

clean:
	rm -rf .venv .venv-wheel .venv-torch build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/demo.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "assocmem needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP) --upgrade pip
	$(VENV)/bin/python $(PIP) --editable ".[demo]"
	touch $@

$(VENV)/test.stamp: $(VENV)/demo.stamp
	$(VENV)/bin/python $(PIP) --editable ".[bench,demo,heif,jxl,raw]" --group test
	touch $@

$(VENV)/lint.stamp: $(VENV)/test.stamp
	$(VENV)/bin/python $(PIP) --group lint
	touch $@

$(VENV)/mutants.stamp: $(VENV)/test.stamp
	$(VENV)/bin/python $(PIP) --group mutants
	touch $@

$(VENV)/site.stamp: $(VENV)/test.stamp
	$(VENV)/bin/python $(PIP) --group docs
	touch $@

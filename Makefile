# `make run` on a machine with Python 3.11 or newer and nothing else. Everything is installed into .venv, as locked.

UV := 0.13.9
INSTALLED := .venv/.installed
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help install run test test-slow check docs bench soak clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## put everything into .venv
	@:

# The shell notes Ctrl-C and does nothing else, so that hookline can drain, and make has nothing to complain about.
run: $(INSTALLED) ## the demo: a signed webhook in, a signed callback out
	@trap : INT; .venv/bin/hookline dev --demo || [ $$? -eq 130 ]

test: $(INSTALLED) ## the suite; most of it waits for processes, so more of it runs at once than there are cores
	.venv/bin/python -m pytest -n 4 --dist loadfile

test-slow: $(INSTALLED) ## what takes longer
	.venv/bin/python -m pytest -m slow -n 4 --dist loadfile

check: $(INSTALLED) ## style, types, direction of imports, lock file
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/uv lock --check

docs: $(INSTALLED) ## the pages that are made from the provider table
	.venv/bin/python -m infra.signatures.pages

bench: $(INSTALLED) ## the benchmarks
	.venv/bin/python -m benchmarks

soak: $(INSTALLED) ## kill everything at random and count, for as long as asked: make soak SECONDS=600
	.venv/bin/python tests/soak/soak.py --seconds $(or $(SECONDS),120)

clean: ## remove what was installed and cached; the data in .hookline/ stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# --inexact: uv itself is in the environment and not in the lock file.
$(INSTALLED): pyproject.toml uv.lock Makefile
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || { \
		for python in python3 python3.14 python3.13 python3.12 python3.11; do \
			"$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
			python=; \
		done; \
		[ -n "$$python" ] || { echo 'needs Python 3.11 or newer, with venv (Debian, Ubuntu: apt install python3-venv)' >&2; exit 1; }; \
		"$$python" -m venv .venv; }
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV)
	.venv/bin/uv sync --locked --inexact --all-extras
	@touch $@

# Two commands do all set-up on a fresh machine and then work: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test coverage check bench bench-server crash-test reference docs release-check

# torch first and under the constraints, so that a machine without a GPU downloads no GPU libraries
.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-compile -c constraints.txt torch
	$(BIN)/pip install --quiet --no-compile -c constraints.txt -e '.[all,docs,test]'
	touch $@

demo: .venv/.ready
	$(BIN)/acsbench demo --out runs/demo

check: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell src docs examples benchmarks README.md CHANGELOG.md CONTRIBUTING.md
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/zensical build --strict --config-file mkdocs.yml

# two workers on two cores: more threads than one each would wait for one another
test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "slow or not slow" --durations=30

# which lines of the package the tests run; half as slow again, so not part of `make test`
coverage: .venv/.ready
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m "slow or not slow" --cov --cov-report=term --cov-report=html:build/coverage

bench: .venv/.ready
	$(BIN)/python -m benchmarks

# the board's figures, and a thousand kills under load (about half an hour)
bench-server: .venv/.ready
	$(BIN)/python -m benchmarks board server board_pages

crash-test: .venv/.ready
	$(BIN)/python tests/server/crash.py --kills 1000

reference: .venv/.ready
	$(BIN)/python docs/generate.py

# the manual as pages: build/site/index.html
docs: reference
	$(BIN)/zensical build --strict --config-file mkdocs.yml

# wheel and sdist, tried in fresh environments; lock file, bill of materials, audit
release-check: .venv/.ready
	$(BIN)/python .ci/release_check.py

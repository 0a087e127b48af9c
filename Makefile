# `make run` and `make test` are all a newcomer needs. Both set up .venv first and work offline once it stands.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: run test test-long test-processors check bench results clean

run: $(STAMP)
	"$(BIN)/lepton" run digits

# Three processes on two cores: whoever waits for a server or a killed process leaves its core to another.
test: $(STAMP)
	"$(BIN)/python" -m pytest --numprocesses 3 --dist loadgroup

# The long form of the fault injections and fuzzing: hundreds of kills, minutes of random input.
test-long: $(STAMP)
	"$(BIN)/python" -m pytest -m slow

check: $(STAMP)
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy"
	"$(BIN)/lint-imports"
	"$(BIN)/python" -m tests.structure

# Every test that trains, on three simulated processors, with one thread and with two.
test-processors: $(STAMP)
	"$(BIN)/python" -m pytest -m slow tests/test_processors.py

bench: $(STAMP)
	"$(BIN)/python" -m benchmarks

# What each recipe reaches over three seeds, on data in ../shared/data: hours on a small machine.
results: $(STAMP)
	"$(BIN)/python" -m benchmarks.recipes

# Reinstalled only when what it is made from changes; a half-made one is never taken for a whole one.
$(STAMP): pyproject.toml constraints.txt
	test -x "$(BIN)/python" || "$(PYTHON)" -m venv .venv
	"$(BIN)/python" -m pip install --quiet --constraint constraints.txt "pip>=25.1" "setuptools>=77"
	"$(BIN)/python" -m pip install --quiet --constraint constraints.txt --no-build-isolation --group dev --editable ".[platform]"
	touch "$(STAMP)"

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

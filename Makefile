# Every target sets up what it needs on a stock machine with Python 3.11+, make and git.
.PHONY: help setup lint test proofs bench demo clean
.DEFAULT_GOAL := help

UV := .tools/uv
RUN := $(UV) run --frozen

help:
	@echo "make test   set up and run the tests (about ten minutes on two cores)"
	@echo "make proofs kill processes at random under load, then count every record (up to 45 minutes)"
	@echo "make lint   formatting, style and types"
	@echo "make demo   a cloud bill and a telecom day, from raw rows to checked sums (under two minutes)"
	@echo "make bench  measure, print every bar with its figure"
	@echo "make clean  remove what these made inside this folder"

$(UV): scripts/get-uv
	@scripts/get-uv

setup: $(UV)
	@$(UV) sync --frozen --quiet --compile-bytecode

lint: setup
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy

# Half an hour off the full hours of UTC, and in Turkish, where the capital of i is not I: whatever depends on the zone or
# the language of the machine fails here.
test: setup
	TZ=America/St_Johns LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 $(RUN) pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# One after the other: each proof needs both cores, and kills or stops only what it started. Each prints its figures.
proofs: setup
	$(RUN) pytest proofs

bench: setup
	$(RUN) python -m bench

demo: setup
	@$(RUN) ratemill demo

clean:
	-.venv/bin/ratemill db remove --yes
	-RATEMILL_HOME=.ratemill-demo/home .venv/bin/ratemill db remove --yes
	rm -rf .venv .tools .ratemill .ratemill-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

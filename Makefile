# Every target sets up what it needs on a stock machine with Python 3.11+, make and git.
.PHONY: help setup lint test proofs bench demo clean
.DEFAULT_GOAL := help

UV := .tools/uv
RUN := $(UV) run --frozen

help:
	@echo "make test   set up and run the tests (about ten minutes on two cores)"
	@echo "make proofs kill every process under load, fill the disk, count every record (up to 45 minutes)"
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

# Refuse while a process runs a program of this folder: $(call refuse-in-use,PATH).
define refuse-in-use
@used=$$(grep -l "^$(CURDIR)/$(1)" /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3 | tr '\n' ' '); \
	if [ -n "$$used" ]; then echo "programs in $(CURDIR)/$(1) are running, stop them first: process $$used" >&2; exit 1; fi
endef

# The database of a home may lie elsewhere, so the product deletes it: of the homes in this folder, whatever the environment
# names, and not while a command uses one.
clean:
	$(call refuse-in-use,.venv/bin/)
	@for home in .ratemill .ratemill-demo/home; do \
	  if [ -e "$$home" ]; then \
	    if [ -L .ratemill-demo ] || [ -L "$$home" ]; then echo "$$home is a link to another folder: remove the link yourself"; exit 1; fi; \
	    if [ ! -x .venv/bin/ratemill ]; then echo "$$home may have a database: run make setup first"; exit 1; fi; \
	    env -u RATEMILL_DATABASE_URL RATEMILL_HOME="$(CURDIR)/$$home" .venv/bin/ratemill db remove --yes || exit 1; \
	  fi; \
	done
	$(call refuse-in-use,.venv/)
	rm -rf .venv .tools .ratemill .ratemill-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Everything a newcomer needs: `make demo`, then `make test`. Both set up .venv by themselves.
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin

export PYTHONPATH := $(CURDIR)/include
# Free text, which the shell must not read as its own.
export WHY
# Without byte code every import is slow, and Airflow imports much.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test bench month backfill backfills diff verify trace withdraw check-books returns atlas deliver backup restore audit sync up contract registry lint format lock docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  \1\t/' | expand -t 14

$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + "; give another with PYTHON=...") if not (3, 11) <= sys.version_info[:2] <= (3, 13) else None'
	@echo "setting up $(VENV) (once, a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV)/.run: requirements.txt $(VENV)/.uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements-dev.txt
	@touch $@

demo: $(VENV)/$(if $(PROVINCE),.dev,.run) ## sample exports where there are none, every DAG for 2024-10, what was published (PROVINCE=48)
	@$(BIN)/python -m ispeed demo $(PROVINCE)

month: $(VENV)/.run ## one month on the configured folders: make month M=2024-10; BOUNDARIES=2025-07-01: also on that map
	@$(BIN)/python -m ispeed month $(or $(M),$(error give the month: make month M=2024-10)) $(if $(BOUNDARIES),--boundaries $(BOUNDARIES))

backfill: $(VENV)/.run ## months on a real scheduler: make backfill FROM=2024-08 TO=2024-10 WHY="…"; PARALLEL=2: two are ingested at a time
	@$(BIN)/python -m ispeed backfill $(or $(FROM),$(error give FROM=2024-08)) $(or $(TO),$(error give TO=2024-10)) $(if $(BOUNDARIES),--boundaries $(BOUNDARIES)) $(if $(PARALLEL),--parallel $(PARALLEL)) --why "$$WHY"

backfills: $(VENV)/.run ## the log of backfills: range, reason, who, outcome
	@$(BIN)/python -m ispeed backfills

trace: $(VENV)/.run ## the rows behind a published figure: make trace M=2024-10 TABLE=report_commune_month KEY=22366 COLUMN=n_measurements
	@$(BIN)/python -m ispeed trace $(or $(M),$(error give the month: make trace M=2024-10 …)) --table "$(or $(TABLE),$(error give the report table: TABLE=report_commune_month))" --key="$(KEY)" --column "$(or $(COLUMN),$(error give the column: COLUMN=n_measurements))" $(if $(NETWORK),--network "$(NETWORK)") $(if $(REVISION),--revision "$(REVISION)") $(if $(BOUNDARIES),--boundaries "$(BOUNDARIES)") $(if $(LIMIT),--limit "$(LIMIT)") $(if $(CSV),--csv "$(CSV)")

check-books: $(VENV)/.run ## published workbooks against what a workbook must be; PLACE=a folder or a file, else every current revision
	@$(BIN)/python -m ispeed check-books $(if $(PLACE),"$(PLACE)")

diff: $(VENV)/.run ## what differs between two revisions and why: make diff M=2024-10 FROM=1 TO=2; without FROM and TO the last two
	@$(BIN)/python -m ispeed diff $(or $(M),$(error give the month: make diff M=2024-10)) $(FROM) $(TO)

verify: $(VENV)/.run ## a published revision made anew from what landed, and compared byte for byte: make verify M=2024-10 R=1
	@$(BIN)/python -m ispeed verify $(or $(M),$(error give the month: make verify M=2024-10)) $(R)

withdraw: $(VENV)/.run ## take a published revision back, with a reason: make withdraw M=2024-10 R=2 WHY="…"
	@$(BIN)/python -m ispeed withdraw $(or $(M),$(error give the month: make withdraw M=2024-10 R=2)) $(or $(R),$(error give the revision: R=2)) "$$WHY"

sync: $(VENV)/.run ## take the registry files over, and show what they change: make sync DRY=1 only shows it
	@$(BIN)/python -m ispeed sync $(if $(DRY),--dry-run) $(if $(REWRITE_PUBLISHED),--rewrite-published)

returns: $(VENV)/.run ## the bodies' forms written, their returns collected, the month anew: make returns M=2024-10
	@$(BIN)/python -m ispeed returns $(or $(M),$(error give the month: make returns M=2024-10))

atlas: $(VENV)/.run ## VNNIC's figures of a month beside ours, and the month anew where they differ: make atlas M=2024-10
	@$(BIN)/python -m ispeed atlas $(or $(M),$(error give the month: make atlas M=2024-10))

deliver: $(VENV)/.run ## what is published, sent to a share on SFTP or S3 that lacks it or has it changed; CHECK=1 compares sha256
	@$(BIN)/python -m ispeed deliver $(if $(CHECK),--check)

backup: $(VENV)/.run ## databases, lake, share, registry, returns into a new folder: make backup TO=/backups/2026-11-22
	@$(BIN)/python -m ispeed backup "$(or $(TO),$(error give a new folder: make backup TO=…))"

restore: $(VENV)/.run ## put a backup back; no service may run; REPLACE=1 removes what is there
	@$(BIN)/python -m ispeed restore "$(or $(FROM),$(error give the backup: make restore FROM=…))" $(if $(REPLACE),--replace)

up: $(VENV)/.run ## Airflow with its page on a local port, until Ctrl-C
	@$(BIN)/python -m ispeed up

contract: $(VENV)/.run ## a first source contract for an unknown export: make contract FILE=export.csv OUT=new.yaml
	@$(BIN)/python -m ispeed contract "$(or $(FILE),$(error give the export: make contract FILE=export.csv))" $(if $(OUT),--out "$(OUT)") $(if $(BY),--by "$(BY)")

registry: $(VENV)/.dev ## first registry and policy of any province: make registry PROVINCE=48
	@$(BIN)/python -m ispeed registry $(or $(PROVINCE),$(error give the province: make registry PROVINCE=48)) $(if $(OUT),--out "$(OUT)")

test: $(VENV)/.dev ## every test; ALL=1: also those that take minutes and compare what others do
	@$(if $(ALL),ISPEED_TEST_ALL=1) $(BIN)/python -m pytest -n auto --dist loadfile $(TESTS)

bench: $(VENV)/.dev ## time and memory on a generated month beside a bare scan and pandas: make bench ROWS=1000000; PANDAS=0 leaves that out
	@$(BIN)/python benchmarks/bench.py $(or $(ROWS),1000000) $(if $(filter 0,$(PANDAS)),--no-pandas)

lint: $(VENV)/.dev ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

audit: $(VENV)/.dev ## known faults of the pinned packages
	@$(BIN)/python .ci/audit.py

format: $(VENV)/.dev ## mend style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(VENV)/.uv ## compile the pins of requirements*.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade requirements.in -o requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade requirements-spark.in -o requirements-spark.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade requirements-server.in -o requirements-server.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade requirements-dev.in -o requirements-dev.txt

docs: $(VENV)/.dev ## write the generated pages of docs/
	@$(BIN)/python -m ispeed docs

clean: ## remove everything that was made here, published months too
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache

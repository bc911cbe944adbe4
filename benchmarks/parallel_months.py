"""A backfill of many months, one at a time and two at a time, on the same exports: what months side by side gain.

    PYTHONPATH=include .venv/bin/python benchmarks/parallel_months.py --months 24 --rows 20000

Each way begins with an empty lake and database. Seconds are those of the whole command, Airflow's start with it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from ispeed.months import Month
from ispeed.sample import make_exports
from ispeed.settings import INCLUDE, Settings

FIRST = Month(2024, 1)


def main() -> None:
    """Print seconds by number of months at a time, and their ratio, as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--parallel", type=int, default=2)
    chosen = parser.parse_args()
    months = [FIRST]
    while len(months) < chosen.months:
        months.append(months[-1].next)
    with TemporaryDirectory(prefix="ispeed-months-") as folder:
        exports = Path(folder) / "exports"
        settings = {"ISPEED_EXPORTS": str(exports), "ISPEED_REGISTRY": str(INCLUDE / "registry")}
        make_exports(Settings.from_environment({"ISPEED_VAR": folder, **settings}), months, chosen.rows)
        seconds = {}
        for n_parallel in (1, chosen.parallel):
            environment = os.environ | settings | {"ISPEED_VAR": str(Path(folder) / str(n_parallel))}
            command = [sys.executable, "-m", "ispeed", "backfill", str(months[0]), str(months[-1])]
            started = time.monotonic()
            subprocess.run([*command, "--parallel", str(n_parallel)], env=environment, check=True)
            seconds[n_parallel] = round(time.monotonic() - started, 1)
    gain = round(seconds[1] / seconds[chosen.parallel], 2)
    print(json.dumps({"months": len(months), "rows": chosen.rows, "seconds": seconds, "gain": gain}))


if __name__ == "__main__":
    main()

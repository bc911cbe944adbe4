"""What a month costs whose exports lie on S3 or SFTP, and whose share does, beside the same month in local folders.

    PYTHONPATH=include:tests .venv/bin/python benchmarks/remote_month.py --rows 20000

The servers run on this machine: no network is in the figures but the loopback's. Steps are those of the DAGs, in this
process; times are medians of `--times` runs, each in an empty folder.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from ispeed.services import airflow_environment

os.environ.update(airflow_environment(os.environ | {"ISPEED_VAR": mkdtemp(prefix="ispeed-")}))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from ispeed.delivery import deliver  # noqa: E402
from ispeed.landing import land  # noqa: E402
from ispeed.months import Month  # noqa: E402
from ispeed.registry import sync_registry  # noqa: E402
from ispeed.sample import make_exports  # noqa: E402
from ispeed.settings import INCLUDE, Settings  # noqa: E402
from ispeed.share import publish  # noqa: E402
from pipeline import BUILD, PUBLISH  # noqa: E402
from remote_servers import Remote, s3_server, sftp_server  # noqa: E402

MONTH = Month(2024, 10)


def main() -> None:
    """Print the seconds of each step for local folders, S3 and SFTP."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    with TemporaryDirectory() as name, ExitStack() as servers:
        made = Settings.from_environment({"ISPEED_VAR": f"{name}/made", "ISPEED_DEVICE_KEY": "x"})
        make_exports(made, [MONTH], n_rows=asked.rows)
        places: dict[str, Remote | None] = {
            "local": None,
            "s3": servers.enter_context(s3_server()),
            "sftp": servers.enter_context(sftp_server(Path(name) / "sftp")),
        }
        found = {}
        for kind, remote in places.items():
            runs = [_run(Path(name) / f"{kind}-{n}", made.exports, remote, n) for n in range(asked.times)]
            found[kind] = {step: round(statistics.median(run[step] for run in runs), 2) for step in runs[0]}
            print(kind, json.dumps(found[kind]), flush=True)


def _run(folder: Path, exports: Path, remote: Remote | None, number: int) -> dict[str, float]:
    environment = {"ISPEED_VAR": str(folder), "ISPEED_DEVICE_KEY": "x", "ISPEED_EXPORTS": str(exports)}
    environment["ISPEED_REGISTRY"] = str(INCLUDE / "registry")
    if remote:
        os.environ.update(remote.environment())
        for what, source in (("exports", exports), ("registry", INCLUDE / "registry"), ("share", None)):
            place = remote.below(f"{number}").below(what)
            if remote.scheme == "sftp":
                place.root.mkdir(parents=True)
            if source:
                place.copy(source)
            environment[f"ISPEED_{what.upper()}"] = place.uri
    settings = Settings.from_environment(environment)
    seconds: dict[str, float] = {}

    def timed(name: str, step: Callable[[], object]) -> None:
        started = time.monotonic()
        step()
        seconds[name] = time.monotonic() - started

    timed("sync_registry", lambda: sync_registry(settings))
    for step in (*BUILD, *PUBLISH):
        timed(step.__name__, lambda step=step: step(settings, MONTH))
    seconds["all"] = sum(seconds.values())
    timed("publish unchanged", lambda: publish(settings, MONTH))
    timed("deliver unchanged", lambda: deliver(settings))
    timed("land again", lambda: land(settings, MONTH))
    return seconds


if __name__ == "__main__":
    main()

"""What a month costs more whose exports lie on S3 or SFTP, and whose share does, than one in local folders.

    PYTHONPATH=include .venv/bin/python benchmarks/remote_month.py --rows 20000

A month is made in local folders, and its steps are timed. Then those steps that reach elsewhere are done again from and
to each server, medians of `--times`. The servers run on this machine: no network is in the figures but the loopback's.
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
from dataclasses import replace
from functools import partial
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
    """Print the seconds of the steps for local folders, S3 and SFTP."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    with TemporaryDirectory() as name, ExitStack() as servers:
        var = Path(name) / "var"
        registry = {"ISPEED_REGISTRY": str(INCLUDE / "registry")}
        here = Settings.from_environment({"ISPEED_VAR": str(var), "ISPEED_DEVICE_KEY": "x", **registry})
        make_exports(here, [MONTH], n_rows=asked.rows)
        n_bytes = sum(path.stat().st_size for path in here.exports_of(MONTH).iterdir())
        seconds = {"sync_registry": _timed(lambda: sync_registry(here))}
        for step in (*BUILD, *PUBLISH):
            seconds[step.__name__] = _timed(partial(step, here, MONTH))
        print(
            f"{asked.rows:,} rows, {n_bytes:,} bytes; published {len(list(here.share.rglob('*'))):,} files and folders"
        )
        _tell("local", seconds | {"all": sum(seconds.values())})
        for server in (s3_server(), sftp_server(Path(name) / "sftp")):
            remote = servers.enter_context(server)
            runs = [_run(here, remote, number) for number in range(asked.times)]
            _tell(remote.scheme, {step: statistics.median(run[step] for run in runs) for step in runs[0]})
            here_again = {
                "sync_registry": _timed(lambda: sync_registry(here)),
                "land": _timed(lambda: land(here, MONTH)),
            }
            _tell("local, again", here_again)


def _run(here: Settings, remote: Remote, number: int) -> dict[str, float]:
    os.environ.update(remote.environment())
    addresses = {}
    for what, source in (("exports", here.exports), ("registry", INCLUDE / "registry"), ("share", None)):
        place = remote.below(f"{number}").below(what)
        if remote.scheme == "sftp":
            place.root.mkdir(parents=True)
        if source:
            place.copy(source)
        addresses[f"{what}_uri"] = place.uri
    incoming = here.lake / "incoming"
    there = replace(here, exports=incoming / "exports", registry=incoming / "registry", **addresses)
    return {
        "sync_registry": _timed(lambda: sync_registry(there)),
        "land": _timed(lambda: land(there, MONTH)),
        "deliver": _timed(lambda: deliver(there)),
        "publish unchanged": _timed(lambda: publish(there, MONTH)),
    }


def _timed(step: Callable[[], object]) -> float:
    started = time.monotonic()
    step()
    return time.monotonic() - started


def _tell(kind: str, seconds: dict[str, float]) -> None:
    print(kind, json.dumps({step: round(value, 2) for step, value in seconds.items()}), flush=True)


if __name__ == "__main__":
    main()

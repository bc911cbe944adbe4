"""`make bench ROWS=…`: a bare scan, the pipeline step by step, and the pandas reference, on one generated month.

    python benchmarks/bench.py ROWS [--no-pandas]

The month is made once and kept under `var/bench/`. Each of the three is a process of its own, one after another; memory
is what it and all that it started hold at a time (resident set size, asked every 20 ms). The last line is JSON, seconds
and megabytes; `pipeline_s` is from landing to what is published, without the registry's sync, which is daily.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import duckdb
import psutil
from month_generator import MONTH, generate

HERE = Path(__file__).parent
PROJECT = HERE.parent
CACHE = PROJECT / "var" / "bench"
N_SCANS = 3
FIGURES = range(11, 19)  # the columns of numbers, from download to the accuracy of the position


@dataclass
class Measured:
    """What a process took: seconds of the clock, the most megabytes at a time, and its last line."""

    seconds: float
    peak_mb: float
    last_line: str
    lines: list[str] = field(default_factory=list)


def measure(command: list[str], *, is_shown: bool) -> Measured:
    """Run a command and watch it from outside. Raises `CalledProcessError` where it fails."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        peak = 0.0
        is_over = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not is_over.wait(0.02):
                peak = max(peak, _resident_mb(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if is_shown and not line.startswith("{"):
                print("  " + lines[-1], flush=True)
        code = process.wait()
        seconds = time.perf_counter() - started
        is_over.set()
        watcher.join()
        if code:
            errors.seek(0)
            sys.exit(f"{' '.join(command)} ended with {code}:\n{errors.read()[-4000:]}")
    return Measured(seconds, peak, lines[-1] if lines else "", lines)


def _resident_mb(pid: int) -> float:
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0
    for process in tree:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6


def scan(path: Path) -> float:
    """Seconds that DuckDB takes to parse every field of the csv, typed, and count it: what nobody can go below."""
    header = path.open(encoding="utf-8").readline().rstrip("\n").split(",")
    types = {f"c{place}": "DOUBLE" if place in FIGURES else "VARCHAR" for place in range(len(header))}
    types["c1"] = "TIMESTAMP"
    counts = ", ".join(f"count({name})" for name in types)
    with duckdb.connect() as connection:
        started = time.perf_counter()
        connection.execute(
            f"select {counts} from read_csv($path, header = true, auto_detect = false, delim = ',', quote = '\"', "
            "escape = '\"', columns = $columns, timestampformat = '%d/%m/%Y %H:%M:%S', store_rejects = true, "
            "rejects_limit = 0)",
            {"path": str(path), "columns": types},
        ).fetchall()
        return time.perf_counter() - started


def bench(n_rows: int, *, with_pandas: bool) -> dict[str, float | int | None]:
    """The figures of one run, as the last line gives them."""
    folder = CACHE / str(n_rows)
    print(f"a month of {n_rows:,} rows", flush=True)
    path = generate(n_rows, folder)
    print(f"  {path.stat().st_size / 1e6:,.0f} MB of csv\nbare typed scan", flush=True)
    scans = [scan(path) for _ in range(N_SCANS)]
    print("  " + ", ".join(f"{seconds:.2f} s" for seconds in scans) + "\npipeline", flush=True)
    with tempfile.TemporaryDirectory(prefix="ispeed-bench-", dir=CACHE) as var:
        pipeline = measure([sys.executable, str(HERE / "pipeline_job.py"), str(folder), var], is_shown=True)
    steps = json.loads(pipeline.last_line)
    pipeline_s = sum(seconds for name, seconds in steps.items() if name != "sync_registry")
    print(f"  {'land to publish':<20}{pipeline_s:>8.2f} s, at most {pipeline.peak_mb:,.0f} MB", flush=True)
    scans += [scan(path) for _ in range(N_SCANS)]
    scan_s = median(scans)
    pandas_s = None
    if with_pandas:
        print("pandas reference", flush=True)
        registry = PROJECT / "include" / "registry"
        with tempfile.TemporaryDirectory(prefix="ispeed-bench-", dir=CACHE) as out:
            job = [sys.executable, str(HERE / "pandas_job.py"), str(folder), str(registry), MONTH, out]
            pandas = measure(job, is_shown=True)
        pandas_s = pandas.seconds
        print(f"  {'all of it':<20}{pandas_s:>8.2f} s, at most {pandas.peak_mb:,.0f} MB", flush=True)
    return {
        "rows": n_rows,
        "scan_s": round(scan_s, 3),
        "pipeline_s": round(pipeline_s, 2),
        "pandas_s": pandas_s and round(pandas_s, 2),
        "ratio_scan": round(pipeline_s / scan_s, 2),
        "speedup_over_pandas": pandas_s and round(pandas_s / pipeline_s, 2),
        "peak_mb": round(pipeline.peak_mb),
    }


if __name__ == "__main__":
    CACHE.mkdir(parents=True, exist_ok=True)
    for left_over in CACHE.glob("ispeed-bench-*"):
        shutil.rmtree(left_over)
    print(json.dumps(bench(int(sys.argv[1]), with_pandas="--no-pandas" not in sys.argv)))

"""A month through the pipeline's steps in one process, without Airflow, each step timed.

    python benchmarks/pipeline_job.py EXPORTS FOLDER [FIRST_STEP]

Everything is written below FOLDER, which is what `var/` is otherwise. FIRST_STEP leaves out the steps before it, which a
run before has made there. The last line is JSON: seconds by step.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "include"))

MONTH = "2024-10"


def run(exports: Path, folder: Path, first: str = "sync_registry") -> dict[str, float]:
    """Seconds by step; what Python modules take to load counts in the step that needs them first."""
    from ispeed.months import Month
    from ispeed.settings import INCLUDE, Settings

    settings = Settings.from_environment(
        {
            "ISPEED_VAR": str(folder),
            "ISPEED_EXPORTS": str(exports),
            "ISPEED_REGISTRY": str(INCLUDE / "registry"),
            "ISPEED_DEVICE_KEY": "for the bench",
        }
    )
    month = Month.parse(MONTH)
    seconds: dict[str, float] = {}
    for name in STEPS[STEPS.index(first) :]:
        started = time.perf_counter()
        _step(name, settings, month)
        seconds[name] = round(time.perf_counter() - started, 3)
        print(f"{name:<20}{seconds[name]:>8.2f} s", flush=True)
    return seconds


STEPS = ["sync_registry", "land", "stage", "check_staging", "build_core", "build_reports", "check_reports"] + [
    "write_workbooks",
    "publish",
]


def _step(name: str, settings, month) -> None:  # type: ignore[no-untyped-def]
    from importlib import import_module

    module = import_module(f"ispeed.{_MODULES[name]}")
    getattr(module, name)(*([settings] if name == "sync_registry" else [settings, month]))


_MODULES = {
    "sync_registry": "registry",
    "land": "landing",
    "stage": "staging",
    "check_staging": "checks",
    "build_core": "core",
    "build_reports": "reports",
    "check_reports": "reports",
    "write_workbooks": "draft",
    "publish": "share",
}

if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])))

"""What a bomb costs while it is refused, or read: measured in processes of its own, from outside."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from files import CASES, ONE, Case, Refused
from making import gzipped, measured_parquet, packed_csv, row, sheet
from test_files import assert_clear, put

from ispeed.errors import UserError
from ispeed.settings import Settings

MEMORY_BYTES = 256 << 20
CPU_SECONDS = 5.0
BOMBS = {name: case for name, case in CASES.items() if case.is_bomb}
RUN = """
import json
import sys
from pathlib import Path
from ispeed.errors import UserError
from ispeed.landing import land
from ispeed.months import Month
from ispeed.settings import Settings
from ispeed.staging import stage

settings = Settings.from_environment({"ISPEED_VAR": sys.argv[1], "ISPEED_DEVICE_KEY": "for tests"})
print("ready", flush=True)
sys.stdin.readline()
try:
    land(settings, Month(2024, 10))
    stage(settings, Month(2024, 10))
    error = None
except UserError as raised:
    error = raised.where, raised.found, raised.expected, raised.remedy
print(json.dumps(error), flush=True)
sys.stdin.readline()
"""


@dataclass(frozen=True)
class Cost:
    """How landing and staging ended, the most memory that all processes had, and their processor time."""

    error: UserError | None
    n_bytes: int
    seconds: float


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Cost:
    """What it costs to read a small file of each format."""
    beside = {"a.xlsx": lambda: sheet(row(3)), "a.parquet": measured_parquet, "a.csv.gz": gzipped(packed_csv(4))}
    case = Case("", ONE, Refused((), None), "a.csv", beside)
    return measured(put(tmp_path_factory.mktemp("honest"), case))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("case", BOMBS.values(), ids=BOMBS)
def test_a_bomb_costs_little(tmp_path: Path, case: Case, honest: Cost) -> None:
    """Processor time is measured, not time on the clock: the machine may be shared."""
    cost = measured(put(tmp_path, case))
    if isinstance(case.end, Refused):
        assert cost.error is not None
        assert_clear(cost.error, case.end.where or case.file, case.end.named)
    else:
        assert cost.error is None
    assert cost.n_bytes - honest.n_bytes <= MEMORY_BYTES
    assert cost.seconds <= CPU_SECONDS


def measured(settings: Settings) -> Cost:
    """Land and stage the month in a process of its own, and look at it from outside."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(settings.exports.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdin is not None and process.stdout is not None
    peaks: dict[int, int] = {}
    try:
        assert process.stdout.readline() == "ready\n"
        before = processor_seconds(process.pid)
        process.stdin.write("go\n")
        process.stdin.flush()
        while not select.select([process.stdout], [], [], 0.005)[0]:
            peaks |= {pid: peak for pid in family(process.pid) if (peak := peak_bytes(pid))}
        parts = json.loads(process.stdout.readline())
        error = UserError(*parts) if parts else None
        return Cost(error, sum(peaks.values()), processor_seconds(process.pid) - before)
    finally:
        process.kill()
        process.communicate()


def family(pid: int) -> list[int]:
    """A process and those that its main thread started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(member for child in children for member in family(int(child)))]


def peak_bytes(pid: int) -> int:
    """The most memory that the process has had so far, as the kernel counts it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def processor_seconds(pid: int) -> float:
    """Of the process and of those that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

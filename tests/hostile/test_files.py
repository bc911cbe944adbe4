"""Each hostile file comes to the end that stands beside it in `files.py`: none crashes, hangs, or loses a row."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from files import CASES, ONE, Case, Counted, Refused
from making import array, book, parquet, write_rows

import ispeed.originals
import ispeed.staging
from ispeed.checks import check_staging
from ispeed.child import ReadingProcess
from ispeed.contracts import read_contract
from ispeed.data_docs import Pages
from ispeed.engine import open_engine
from ispeed.errors import CheckFailed, UserError
from ispeed.landing import land
from ispeed.months import Month
from ispeed.settings import INCLUDE, Settings
from ispeed.staging import stage
from pipeline import settings_in

MONTH = Month(2024, 10)
SECONDS = 60.0
# Bombs that are refused come to their end in test_bombs.py.
LOOKED_AT_HERE = {name: case for name, case in CASES.items() if not (case.is_bomb and isinstance(case.end, Refused))}


@pytest.fixture(scope="module")
def process() -> Iterator[None]:
    """One reading process for the files of all cases, not two for each; a new one where a file ended it."""
    kept: list[ReadingProcess] = []

    @contextmanager
    def keep(settings: Settings) -> Iterator[ReadingProcess]:
        if not kept or kept[-1]._process.poll() is not None:
            kept.append(ReadingProcess(settings))
        yield kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ispeed.staging, "reading_process", keep)
        patch.setattr(ispeed.originals, "reading_process", keep)
        # Data Docs have tests of their own, and take a third of the time here.
        patch.setattr(Pages, "write", lambda *_: None)
        yield
    for process in kept:
        process.close()


@pytest.fixture
def alarm() -> Iterator[None]:
    """What hangs is woken up, and fails."""

    def wake(*_: Any) -> None:
        raise TimeoutError(f"not done in {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, wake)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def put(folder: Path, case: Case) -> Settings:
    """Settings on a folder in which the month has the files of the case."""
    document = yaml.safe_load((INCLUDE / "sources" / "ispeed.yaml").read_text(encoding="utf-8"))
    next(shape for shape in document["shapes"] if not case.shape or fnmatch(case.file, shape["pattern"])).update(
        case.shape
    )
    (folder / "contract.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    settings = settings_in(folder, source=folder / "contract.yaml", read_seconds=SECONDS / 2, **case.settings)
    exports = settings.exports_of(MONTH)
    exports.mkdir(parents=True)
    for name, content in {case.file: case.content, **case.beside}.items():
        (exports / name).write_bytes(content if isinstance(content, bytes) else content())
    if case.arrange is not None:
        case.arrange(exports)
    return settings


@pytest.mark.usefixtures("process", "alarm")
@pytest.mark.parametrize("case", LOOKED_AT_HERE.values(), ids=LOOKED_AT_HERE)
def test_a_hostile_file_comes_to_its_end(tmp_path: Path, case: Case) -> None:
    settings = put(tmp_path, case)
    if isinstance(case.end, Refused):
        with pytest.raises(UserError) as error:
            land(settings, MONTH)
            stage(settings, MONTH)
        assert_clear(error.value, case.end.where or case.file, case.end.named)
    else:
        land(settings, MONTH)
        stage(settings, MONTH)
        if case.end.accepted:
            check_staging(settings, MONTH)
        else:
            with pytest.raises(CheckFailed):
                check_staging(settings, MONTH)
        assert_accounted_for(settings, case.end)


def assert_clear(error: UserError, where: str, named: Sequence[str]) -> None:
    assert where in error.where
    assert [text for text in named if text not in str(error)] == []
    for part in (error.where, error.found, error.expected, error.remedy):
        assert part and part.isprintable() and len(part) < 2_100
    assert "landing" not in error.found


def assert_accounted_for(settings: Settings, end: Counted) -> None:
    note = json.loads((settings.lake_of("staging", MONTH) / "staging.json").read_text(encoding="utf-8"))
    with open_engine() as engine:
        engine.read_parquet("staging", *settings.lake_of("staging", MONTH).glob("*.parquet"))
        engine.read_parquet("quarantine", settings.lake_of("quarantine", MONTH) / "quarantine_measurement.parquet")
        put_aside = engine.rows("select * from quarantine order by source_file, row_number")
        accepted = engine.rows(
            "select * from staging anti join quarantine using (source_file, row_number) "
            "order by source_file, row_number"
        )
    numbers: dict[str, list[int]] = {}
    for found in put_aside:
        numbers.setdefault(found["reason"], []).append(found["row_number"])
    assert numbers == {reason: list(rows) for reason, rows in end.quarantined.items()}
    assert len(accepted) == end.accepted
    assert sum(file["n_rows"] for file in note["files"].values()) == len(accepted) + len(put_aside)
    for column, values in end.values.items():
        assert [found[column] for found in accepted] == list(values)
    assert all(found["original_text"] for found in put_aside)


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = put(Path(folder), Case("", ONE, Refused((), None), "a.csv"))
        (settings.exports_of(MONTH) / "a.csv").chmod(0)
        settings.lake.mkdir()
        for path in (Path(folder), settings.lake):
            path.chmod(0o777)
        read_contract(settings.source)  # imports what the other account may not reach
        with another_account(), pytest.raises(UserError) as error:
            land(settings, MONTH)
    assert_clear(error.value, "file a.csv", ["no permission"])


@contextmanager
def another_account() -> Iterator[None]:
    """Not root's, who may read everything: nobody's, where the tests run as root."""
    before = os.geteuid()
    try:
        os.seteuid(65_534 if before == 0 else before)
        yield
    finally:
        os.seteuid(before)


def test_what_a_quarantined_row_has_in_undeclared_columns_is_kept(tmp_path: Path) -> None:
    bad = {"Mã phép đo": "m1", "Thời gian đo": "x", "Loại mạng": "4G", "Download (Mbps)": 1, "Ghi chú": "a", "": "b"}
    table = [list(bad), list(bad.values())]
    case = Case(
        "",
        "\n".join(",".join(map(str, line)) for line in table).encode(),
        Refused((), None),
        "a.csv",
        {
            "b.json": array(bad),
            "c.xlsx": lambda: book(lambda made: write_rows(made.add_worksheet(), table[0], [*table[1], None, "c"])),
            "d.parquet": lambda: parquet(
                "select " + ", ".join(f"""'{value}' as "{name or "x"}" """ for name, value in bad.items())
            ),
            "e.csv": ONE,
        },
    )
    settings = put(tmp_path, case)
    land(settings, MONTH)
    stage(settings, MONTH)
    check_staging(settings, MONTH)
    with open_engine() as engine:
        engine.read_parquet("quarantine", settings.lake_of("quarantine", MONTH) / "quarantine_measurement.parquet")
        kept = engine.rows("select undeclared_text, original_text from quarantine order by source_file")
    assert [json.loads(row["undeclared_text"]) for row in kept] == [
        {"Ghi chú": "a", "(column 6)": "b"},
        {"Ghi chú": "a", "": "b"},
        {"Ghi chú": "a", "F": "b", "H": "c"},
        {"Ghi chú": "a", "x": "b"},
    ]
    # Where a value stands behind the last header, the line itself is the original.
    assert kept[0]["original_text"] == "m1,x,4G,1,a,b"
    assert all(json.loads(row["original_text"])["measured_at"] == "x" for row in kept[1:])

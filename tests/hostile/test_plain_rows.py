"""Both ways to read a csv give the same rows: typed while it is parsed, and field by field, exactly.

Texts that one of the two might take otherwise stand in any column; lines are cut, joined, quoted and emptied. Each
file is read both ways, and what is staged must not tell which.
"""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from making import HEADERS

from ispeed import staging
from ispeed.contracts import read_contract
from ispeed.engine import open_engine
from ispeed.errors import UserError
from ispeed.landing import land, read_landing
from ispeed.months import Month
from ispeed.settings import INCLUDE
from pipeline import settings_in

MONTH = Month(2024, 10)
COLUMNS = (*HEADERS, "Mã thiết bị", "Mã giới thiệu", "Upload (Mbps)", "Vĩ độ", "Ghi chú", "Phiên bản")
NASTY = (
    *("", " ", "  ", "NULL", "null", "-", "nan", "NaN", "NAN", "inf", "-inf", "Infinity", '""'),
    *("\t", "\u00a0", "\ufeff", "\x00", "\x1e", "\x7f", "\u2013", "\u200b"),
    *("1,5", "1.5", ".5", "5.", "+5", "-5", "+-5", "1_000", "1e5", "1E+5"),
    *("5.3033E+11", "1e400", "0x1F", "1.2.3", "1 000"),
    *("01/10/2024 08:00:00", "1/10/2024 8:0:0", "31/02/2024 08:00:00", "2024-10-01 08:00:00"),
    *("01/10/2024  08:00:00", "01/10/20244 8:00:00", "01/10/2024 08:00:60", "01/10/2024 24:00:00"),
    *("01/10/2024 08:00:00.5", "+1/10/2024 08:00:00"),
    *("4g", "5G ", " 4G", "Wi  Fi", "Cố định", "Co\u0302\u0301 đi\u0323nh", "Ðà Nẵng", "Đà Nẵng"),
    *("é", "e\u0301", "ﬁ", "日本", "Xã Ninh Sơn", "P. Lộc Thọ", "viettel", "VIETTEL", "MAU-22366-a"),
    *('5" phone', '"quoted"', "a,b", "a;b", "a\nb", "a\r\nb", "it's", "S20+", "a_1_2"),
    *("22366", "22366.0", "m1", "'m1", "mÄ1", "x" * 30),
)


def export(chance: random.Random, n_rows: int, nasty: float, delimiter: str, line_end: str) -> bytes:
    """A file of sound measurements with nasty texts in some fields, and a few lines that are no records."""
    lines = []
    for number in range(n_rows):
        fields = [
            f"m{chance.randrange(n_rows * 2)}",
            f"{chance.randrange(1, 32):02}/10/2024 {chance.randrange(24):02}:{chance.randrange(60):02}:07",
            chance.choice(("4G", "5G", "WiFi", "4g")),
            f"{chance.random() * 100:.2f}",
            chance.choice(("22366", "22378", "")),
            chance.choice(("Viettel", "VNPT", "Mobi,Fone")),
            f"d{number % 7}",
            chance.choice(("", "mau-22366-a")),
            chance.choice(("", "7.5", "-")),
            chance.choice(("", "12.25", "12")),
            chance.choice(("", "x,y", "z")),
            chance.choice(("", "2.5.0", "-")),
        ]
        fields = [chance.choice(NASTY) if chance.random() < nasty else field for field in fields]
        text = io.StringIO(newline="")
        writer = csv.writer(
            text, delimiter=delimiter, lineterminator="", quoting=chance.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
        )
        writer.writerow(fields)
        line = text.getvalue()
        match chance.random() / max(nasty, 1e-9):
            case odd if odd < 0.3:
                line = line + delimiter
            case odd if odd < 0.6:
                line = line[: len(line) // 2]
            case odd if odd < 0.9:
                line = ""
            case odd if odd < 1.1:
                line = line + delimiter + chance.choice(("NULL", '""', "-", "x"))
            case odd if odd < 1.3:
                line = chance.choice(("một mảnh", " ", '"', "m1"))
            case odd if odd < 1.5:
                line = line.replace(delimiter, delimiter + " ", 1)
        lines.append(line)
    header = delimiter.join(COLUMNS)
    content = line_end.join((header, *lines)) + chance.choice(("", line_end, line_end * 2))
    encoded = content.encode()
    if chance.random() < nasty:
        place = chance.randrange(len(header.encode()) + 1, len(encoded))
        encoded = encoded[:place] + chance.choice((b"\xff", b"\xc3", b"\x80")) + encoded[place:]
    return (b"\xef\xbb\xbf" if chance.random() < 0.2 else b"") + encoded


def read_one_way(settings: Any, folder: Path, is_exact: bool, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """What staging makes of the month's only file: its rows in order, or the error; and which way it was read."""
    contract = read_contract(settings.source)
    (file,) = read_landing(settings, MONTH).sources(settings, MONTH)
    folder.mkdir()
    plain = []

    def write_plain_rows(*arguments: Any) -> Any:
        plain.append(real(*arguments))
        return plain[-1]

    real = staging.write_plain_rows
    with monkeypatch.context() as patch:
        patch.setattr(staging, "write_plain_rows", (lambda *arguments: None) if is_exact else write_plain_rows)
        try:
            staged = staging._stage_file(settings, MONTH, contract, file, folder / "00000.parquet")
        except UserError as error:
            return str(error), "refused"
    with open_engine() as engine:
        engine.read_parquet("staged", *folder.glob("*.parquet"))
        rows = engine.rows("select * from staged order by row_number")
    assert len(rows) == staged.n_rows
    headers = (staged.undeclared, staged.absent)
    return (headers, rows), "plain" if plain and plain[0] is not None else "exact"


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("nasty", [0, 0.002, 0.02, 0.2])
def test_both_ways_give_the_same_rows(
    tmp_path: Path, nasty: float, delimiter: str, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    ways: Counter[str] = Counter()
    for seed in range(12):
        chance = random.Random(f"{seed} {nasty} {delimiter}")
        settings = settings_in(tmp_path / str(seed), source=tmp_path / "contract.yaml")
        text = (INCLUDE / "sources" / "ispeed.yaml").read_text(encoding="utf-8")
        settings.source.write_text(text.replace('delimiter: ","', f'delimiter: "{delimiter}"', 1), encoding="utf-8")
        settings.exports_of(MONTH).mkdir(parents=True)
        content = export(chance, chance.choice((3, 40, 300)), nasty, delimiter, chance.choice(("\n", "\n", "\r\n")))
        (settings.exports_of(MONTH) / "a.csv").write_bytes(content)
        land(settings, MONTH)
        quick, way = read_one_way(settings, tmp_path / f"{seed}-quick", False, monkeypatch)
        exact, _ = read_one_way(settings, tmp_path / f"{seed}-exact", True, monkeypatch)
        ways[way] += 1
        if quick != exact and not isinstance(quick, str) and not isinstance(exact, str):
            assert quick[0] == exact[0]
            assert len(quick[1]) == len(exact[1]), seed
            for ours, theirs in zip(quick[1], exact[1], strict=True):
                assert ours == theirs, (seed, way)
        assert quick == exact, (seed, way)
    # Where nothing is odd, and where little is, files are read the quick way: else this would prove nothing.
    assert ways["plain"] >= (10 if nasty <= 0.002 else 2 if nasty == 0.02 else 0), ways


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_file_that_many_threads_read_at_many_places_keeps_its_row_numbers(
    tmp_path: Path, line_end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(line_end)
    lines = [
        f"m{number},{number % 31 + 1:02}/10/2024 {number % 24:02}:{number % 60:02}:07,4G,{number % 997 / 10 + 1:.2f},"
        f'22366,Viettel,d{number % 7919},MAU-22366-A,7.50,12.25,"a,{number}",2.5.0,{"x" * 80}'
        for number in range(200_000)
    ]
    for place in chance.sample(range(len(lines)), 1_500):
        line = lines[place]
        lines[place] = chance.choice(
            (
                "",
                f"{line},",
                line[:40],
                line.replace(",", ", ", 1),
                f"{line},NULL",
                "một mảnh",
                line.replace(".", ",", 1),
            )
        )
    content = line_end.join((",".join((*COLUMNS, "Thêm")), *lines)).encode()
    assert len(content) > 32_000_000  # the parser's buffer: it takes several
    settings = settings_in(tmp_path / "var")
    settings.exports_of(MONTH).mkdir(parents=True)
    (settings.exports_of(MONTH) / "a.csv").write_bytes(content)
    land(settings, MONTH)
    quick, way = read_one_way(settings, tmp_path / "quick", False, monkeypatch)
    exact, _ = read_one_way(settings, tmp_path / "exact", True, monkeypatch)
    assert way == "plain"
    assert [row for row, other in zip(quick[1], exact[1], strict=True) if row != other] == []

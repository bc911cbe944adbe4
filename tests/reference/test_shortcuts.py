"""Months made to break what makes the figures fast, beside the reference that shares no code.

A sample of one test goes without a median, a cell is a union of strata, a figure takes the values of a few ranks only,
and rules look at suspects. Each month below is one in which one of these would go wrong first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_agreement import KEYS, differences, load_reference

from ispeed.settings import INCLUDE

Tables = dict[str, list[dict[str, Any]]]
HEADER = (
    "Mã phép đo,Thời gian đo,Mã thiết bị,Mã giới thiệu,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps),"
    "Upload (Mbps),Ping (ms),Jitter (ms)\n"
)
COMMUNES, CODES = ("22363", "22366", "22372", ""), ("", "", "MAU-22363-A", "MAU-22366-A")
N_TESTS = 1_500


def export(
    chance: random.Random,
    n_tests: int = N_TESTS,
    *,
    figure: Callable[[], str] | None = None,
    commune: str | None = None,
    device: Callable[[int], str] | None = None,
    moment: datetime | None = None,
    measurement_id: Callable[[int], str] = lambda number: f"m{number}",
) -> Iterator[str]:
    for number in range(n_tests):
        at = moment or datetime(2024, 10, 1) + timedelta(seconds=chance.randrange(31 * 86_400))
        figures = [figure() if figure else f"{chance.lognormvariate(3, 0.5):.2f}" for _ in range(4)]
        yield ",".join(
            (
                measurement_id(number),
                f"{at:%d/%m/%Y %H:%M:%S}",
                device(number) if device else f"d{chance.randrange(300)}",
                chance.choice(CODES),
                "56",
                chance.choice(COMMUNES) if commune is None else commune,
                chance.choice(("Viettel", "VNPT", "không rõ")),
                chance.choice(("4G", "4G", "5G", "WiFi")),
                *figures,
            )
        )


def months() -> dict[str, list[str]]:
    chance = random.Random(5)
    return {
        "all values equal": list(export(chance, figure=lambda: "40")),
        "few values, with gaps": list(export(chance, figure=lambda: chance.choice(("40", "40.01", "41")))),
        "missing figures": [
            line.rsplit(",", 3)[0] + chance.choice((",,,", ",5,,", ",,7,", ",1,2,3")) for line in export(chance)
        ],
        "one commune has everything": list(export(chance, commune="22366")),
        "no commune at all": list(export(chance, commune="")),
        "one device has tested all of it": list(export(chance, device=lambda _: "d1")),
        "one device tests most, many test once": list(export(chance, device=lambda n: "d1" if n % 3 else f"d{n}")),
        "everything within one second": list(export(chance, moment=datetime(2024, 10, 15, 12, 0, 0))),
        "no device is told": list(export(chance, device=lambda _: "")),
        "no test has an id": list(export(chance, measurement_id=lambda _: "")),
        "every row twice": [line for line in export(chance, n_tests=700) for _ in range(2)],
        "one id for all rows": list(export(chance, n_tests=700, measurement_id=lambda _: "m")),
        "two tests a sample": list(
            export(chance, device=lambda n: f"d{n // 2}", moment=datetime(2024, 10, 15, 12, 0, 0), commune="22366")
        ),
        "one test": list(export(chance, n_tests=1)),
    }


MONTHS = months()


@pytest.mark.parametrize("name", MONTHS)
def test_a_month_made_to_break_a_shortcut_agrees_with_the_reference(
    run_month: Callable[..., Tables], tmp_path: Path, name: str
) -> None:
    content = HEADER + "".join(f"{line}\n" for line in MONTHS[name])
    published = run_month(content)
    (tmp_path / "2024-10").mkdir()
    (tmp_path / "2024-10" / "export.csv").write_text(content, encoding="utf-8")
    expected = load_reference().reference_tables(tmp_path, INCLUDE / "registry", "2024-10", datetime.now(UTC), None)
    for table, key in KEYS.items():
        found = differences(published[table], expected[table].astype(object).to_dict("records"), key)
        assert not found, f"{table}: {len(found)} differences\n" + "\n".join(found[:10])

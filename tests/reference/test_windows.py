"""A generated month under each representative window, beside the reference that shares no code."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_agreement import KEYS, differences, load_reference

from ispeed.policy import WINDOWS
from ispeed.settings import INCLUDE

Tables = dict[str, list[dict[str, Any]]]
HEADER = (
    "Thời gian đo,Mã thiết bị,Mã giới thiệu,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps),Upload (Mbps),"
    "Ping (ms),Jitter (ms)\n"
)


def generated(seed: int) -> str:
    """Devices that measure in bursts, so that windows of an hour, four hours, a day and the month differ."""
    chance = random.Random(seed)
    lines = []
    for _ in range(700):
        start = datetime(2024, 10, 1) + timedelta(seconds=chance.randrange(31 * 86_400 - 20_000))
        device = chance.choice(["", *(f"D{n}" for n in range(40))])
        place = (
            chance.choice(["22363", "22366", "22372", "22375", ""]),
            chance.choice(["Viettel", "VNPT", "MobiFone"]),
        )
        technology = chance.choice(["4G", "4G", "4G", "5G", "3G", "WiFi"])
        code = chance.choice(["", "", "MAU-22363-A", "MAU-22366-A"])
        for _ in range(chance.choice([1, 1, 2, 5])):
            start += timedelta(seconds=chance.randrange(1, 4_000))
            figures = [f"{chance.lognormvariate(3.5, 0.6):.2f}", f"{chance.lognormvariate(2.5, 0.5):.2f}"]
            figures += [f"{chance.lognormvariate(3.3, 0.3):.1f}", chance.choice(["", f"{chance.random() * 9 + 1:.1f}"])]
            lines.append(
                f"{start:%d/%m/%Y %H:%M:%S},{device},{code},56,{place[0]},{place[1]},{technology},{','.join(figures)}\n"
            )
    return HEADER + "".join(lines)


CONTENT = generated(seed=1)


@pytest.fixture(scope="module")
def published(run_month: Callable[..., Tables]) -> dict[str, Tables]:
    return {window: run_month(CONTENT, {"window": window}) for window in WINDOWS}


@pytest.mark.parametrize("window", WINDOWS)
def test_a_generated_month_agrees_with_the_reference(published: dict[str, Tables], tmp_path: Path, window: str) -> None:
    (tmp_path / "2024-10").mkdir()
    (tmp_path / "2024-10" / "export.csv").write_text(CONTENT, encoding="utf-8")
    reference = load_reference()
    expected = reference.reference_tables(
        tmp_path, INCLUDE / "registry", "2024-10", datetime.now(UTC), None, reference.Policy(window=window)
    )
    for table, key in KEYS.items():
        found = differences(published[window][table], expected[table].astype(object).to_dict("records"), key)
        assert not found, f"{table}: {len(found)} differences\n" + "\n".join(found[:10])


def test_the_windows_differ(published: dict[str, Tables]) -> None:
    n_samples = [
        next(row["n_samples"] for row in published[window]["report_province_month"] if row["network"] == "mobile")
        for window in WINDOWS
    ]
    assert sorted(n_samples, reverse=True) == n_samples
    assert len(set(n_samples)) == len(WINDOWS)

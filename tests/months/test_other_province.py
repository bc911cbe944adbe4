"""A month of another province, on the registry and policy that `make registry` writes: nothing says Khánh Hòa."""

from __future__ import annotations

from pathlib import Path

from openpyxl import load_workbook

from ispeed.months import Month
from ispeed.province_seed import write_province_seed
from ispeed.registry import sync_registry
from ispeed.sample import make_exports
from pipeline import run_steps, settings_in

MONTH = Month(2025, 7)


def test_a_month_of_da_nang_says_da_nang(tmp_path: Path) -> None:
    write_province_seed("48", tmp_path)
    settings = settings_in(tmp_path, registry=tmp_path / "registry", policy=tmp_path / "policy.yaml")
    make_exports(settings, [MONTH], n_rows=2_000)
    sync_registry(settings)
    run_steps(settings, MONTH)
    revision = settings.share_of(MONTH) / "r1"
    (path,) = revision.glob("*.xlsx")
    assert path.name == "bao-cao-ispeed_da-nang_2025-07.xlsx"
    workbook = load_workbook(path)
    texts = [
        cell for sheet in workbook for row in sheet.iter_rows(values_only=True) for cell in row if isinstance(cell, str)
    ]
    assert any("ĐÀ NẴNG" in text for text in texts)
    assert any("94 xã, phường" in text or "94 phường, xã" in text for text in texts), "the units of 07/2025"
    told = "\n".join(texts + [path.read_text(encoding="utf-8") for path in revision.rglob("*.csv")])
    for name in ("Khánh Hòa", "KHÁNH HÒA", "Nha Trang", "3761"):
        assert name not in told

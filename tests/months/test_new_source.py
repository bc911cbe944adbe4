"""A new source in each format: an export that no contract knows, the draft of one, a person's answers, the month.

What CONTRIBUTING says under "Add a source", step by step. Each export holds the same measurements, written as somebody
else might write them; `answers` are the lines that a person changes in the draft, and nothing else is changed.
"""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import xlsxwriter

from ispeed.checks import check_staging
from ispeed.contract_draft import draft_contract
from ispeed.core import build_core
from ispeed.engine import open_engine
from ispeed.lake import read_step
from ispeed.landing import land
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.staging import stage
from pipeline import run_steps, settings_in

MONTH = Month(2024, 10)


@dataclass(frozen=True)
class Measured:
    """One measurement as it was, with speeds in kbit/s, so that they are whole."""

    at: datetime
    operator: str
    technology: str
    download_kbps: int
    upload_kbps: int
    ping_ms: int
    commune: str
    commune_code: str

    def accepted(self) -> dict[str, Any]:
        """The row of the core that it must become."""
        return {
            "measured_at": self.at,
            "operator": self.operator,
            "technology": self.technology,
            "download_mbps": self.download_kbps / 1000,
            "upload_mbps": self.upload_kbps / 1000,
            "ping_ms": float(self.ping_ms),
            "commune_code": self.commune_code,
        }


OPERATORS = ("Viettel", "VinaPhone", "MobiFone", "Local")
TECHNOLOGIES = ("4G", "5G", "WiFi", "3G")
COMMUNES = (("Phường Vĩnh Hải", "22330"), ("Xã Ninh Ích", "22603"), ("Phường Lộc Thọ", "22363"))
MEASURED = [
    Measured(
        datetime(2024, 10, 1, 7, 5) + timedelta(days=n, minutes=61 * n),
        OPERATORS[n % 4],
        TECHNOLOGIES[n % 3],
        33_500 + 1_250 * n,
        8_125 + 125 * n,
        20 + n,
        *COMMUNES[n % 3],
    )
    for n in range(30)
]
THEIR_OPERATOR = {"Viettel": "Viettel Group", "VinaPhone": "VNPT", "MobiFone": "MOBIFONE (VMS)", "Local": "Acme Mobile"}
THEIR_TECHNOLOGY = {"4G": "LTE", "5G": "NR", "WiFi": "WLAN", "3G": "UMTS"}


@dataclass(frozen=True)
class Export:
    """An export, and what a person answers: texts of the draft, each with what is put in its place.

    `says` is what the rows of the core have where the export does not say what was measured.
    """

    name: str
    content: Callable[[], bytes]
    answers: dict[str, str] = field(default_factory=dict)
    says: dict[str, Any] = field(default_factory=dict)


def vni_csv() -> bytes:
    """Old fonts, a decimal comma, days and hours without zeros, thousands marks."""
    lines = ["Ngày giờ đo;Nhà mạng;Loại mạng;Tốc độ tải xuống (Kb/s);Tốc độ tải lên (Kb/s);Độ trễ (ms);Phường/Xã"]
    for m in MEASURED:
        when = f"{m.at.day}/{m.at.month}/{m.at.year} {m.at.hour}:{m.at.minute:02}"
        speeds = f"{m.download_kbps:,}.0;{m.upload_kbps:,}.0".translate(str.maketrans(",.", ".,"))
        lines.append(f"{when};{m.operator};{m.technology};{speeds};{m.ping_ms};{m.commune}")
    return "\r\n".join(lines).encode("vni")


def packed_csv() -> bytes:
    """UTF-16 with tabs, American days, bytes a second, a number that means nothing, in gzip."""
    lines = ["timestamp\tcarrier\tradio\tdownloadBytesPerSec\tuploadBytesPerSec\tlatency\tward\tsignal"]
    for m in MEASURED:
        speeds = f"{m.download_kbps * 125}\t{m.upload_kbps * 125}"
        lines.append(
            f"{m.at:%m/%d/%Y %I:%M:%S %p}\t{THEIR_OPERATOR[m.operator]}\t{THEIR_TECHNOLOGY[m.technology]}\t{speeds}\t"
            f"{m.ping_ms}\t{m.commune}\t2147483647"
        )
    return gzip.compress("\n".join(lines).encode("utf-16"))


def archive() -> bytes:
    """Two members of one archive that are written in two ways."""
    first = "time,isp,network,DL (kbps),UL (kbps),ping ms,commune\n" + "".join(
        f"{m.at},{m.operator},{m.technology},{m.download_kbps},{m.upload_kbps},{m.ping_ms},{m.commune}\n"
        for m in MEASURED[:10]
    )
    second = "Thời gian;Công nghệ;Download (Kbps);Upload (Kbps);Ping;Xã;Nhà mạng\n" + "".join(
        f"{m.at:%d/%m/%Y %H:%M};{m.technology};{m.download_kbps};{m.upload_kbps};{m.ping_ms};{m.commune};{m.operator}\n"
        for m in MEASURED[10:]
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("2024/first.csv", first)
        packed.writestr("second.csv", second)
    return buffer.getvalue()


def sheet() -> bytes:
    """A cover, title rows above the headers, English headers, dates with dots, numbers as text in one column."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        book.add_worksheet("Cover").write(0, 0, "Speed tests")
        page = book.add_worksheet("Raw data")
        page.merge_range(0, 0, 0, 6, "Speed tests of the third quarter")
        page.write(1, 0, "exported 03.11.2024")
        head = ("Test time", "Operator", "Access type", "Downlink (kbit/s)", "Uplink (kbit/s)", "RTT [s]", "Ward")
        page.write_row(3, 0, head)
        for number, m in enumerate(MEASURED, start=4):
            page.write_datetime(number, 0, m.at, book.add_format({"num_format": "dd.mm.yyyy hh:mm"}))
            page.write_row(number, 1, (THEIR_OPERATOR[m.operator], THEIR_TECHNOLOGY[m.technology], m.download_kbps))
            page.write_row(number, 4, (f"{m.upload_kbps},0", m.ping_ms / 1000, m.commune))
    return buffer.getvalue()


def json_array() -> bytes:
    """Times in UTC, bits a second, nothing of who or where."""
    return json.dumps(
        [
            {
                "date": f"{m.at - timedelta(hours=7):%Y-%m-%dT%H:%M:%SZ}",
                "networkType": THEIR_TECHNOLOGY[m.technology],
                "down_bps": m.download_kbps * 1000,
                "up_bps": m.upload_kbps * 1000,
                "rtt": m.ping_ms,
            }
            for m in MEASURED
        ]
    ).encode()


def json_lines() -> bytes:
    """Times with their offset, figures without a unit."""
    return "\n".join(
        json.dumps(
            {
                "startTime": f"{m.at:%Y-%m-%dT%H:%M:%S}+07:00",
                "provider": THEIR_OPERATOR[m.operator],
                "tech": THEIR_TECHNOLOGY[m.technology],
                "downloadSpeed": m.download_kbps,
                "uploadSpeed": m.upload_kbps,
                "latency": m.ping_ms / 1000,
                "commune": m.commune,
            }
        )
        for m in MEASURED
    ).encode()


def parquet() -> bytes:
    """Typed columns, no technology: a fixed network."""
    rows = [(m.at, m.operator, m.download_kbps / 1000, m.upload_kbps / 1000, m.ping_ms) for m in MEASURED]
    with duckdb.connect() as connection, tempfile.TemporaryDirectory() as folder:
        connection.execute("create table m (ts timestamp, isp varchar, throughput double, upload double, rtt_ms int)")
        connection.executemany("insert into m values (?, ?, ?, ?, ?)", rows)
        connection.table("m").write_parquet(f"{folder}/m.parquet")
        return Path(folder, "m.parquet").read_bytes()


THEIR_LAST_OPERATOR = {"  operator:\n": '  operator:\n    "acme mobile": "Local"\n'}
EXPORTS = [
    Export("fonts.csv", vni_csv),
    Export("packed.csv.gz", packed_csv, THEIR_LAST_OPERATOR),
    Export("two.zip", archive),
    Export("book.xlsx", sheet, THEIR_LAST_OPERATOR),
    Export("array.json", json_array, says={"operator": "unknown", "commune_code": None}),
    Export(
        "lines.jsonl",
        json_lines,
        # A median of 33 500 may be kbit/s or kB/s: the one who knows says that the first guess is right.
        THEIR_LAST_OPERATOR,
    ),
    Export(
        "typed.parquet",
        parquet,
        {"# constants:\n#   technology:": "constants:\n  technology:"},
        {"technology": "Cố định", "commune_code": None},
    ),
]


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_a_drafted_contract_reads_every_row_once_a_person_has_answered(
    export: Export, tmp_path: Path, registry_tables: Path
) -> None:
    file = tmp_path / export.name
    file.write_bytes(export.content())
    text = draft_contract(file, registry_tables).text
    for drafted, answer in export.answers.items():
        assert text.count(drafted) == 1
        text = text.replace(drafted, answer)
    settings = settings_in(tmp_path, source=tmp_path / "new.yaml")
    settings.source.write_text(text, encoding="utf-8")
    settings.exports_of(MONTH).mkdir(parents=True)
    file.rename(settings.exports_of(MONTH) / file.name)
    sync_registry(settings)
    run_steps(settings, MONTH, (land, stage, check_staging, build_core))
    assert read_step(settings, "quarantine", MONTH, "check")["n_rows"] == {}
    wanted = [m.accepted() | export.says for m in MEASURED]
    with open_engine() as engine:
        engine.read_parquet("core", settings.lake_of("core", MONTH) / "core_measurement.parquet")
        assert engine.rows(f"select {', '.join(wanted[0])} from core order by measured_at") == wanted

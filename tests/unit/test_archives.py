"""Archives: each member is a source file with its own rows; what is no honest archive is refused in a word."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from test_staging import HEADER, staged

from ispeed.errors import UserError
from ispeed.landing import land
from ispeed.months import Month
from pipeline import settings_in

MONTH = Month(2024, 10)
ROW = "01/10/2024 00:00:00,4G,{},,,\n"
CSV = HEADER + ROW.format(1)


def packed(members: dict[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def landed(tmp_path: Path, content: bytes, **changed: Any) -> None:
    settings = settings_in(tmp_path, **changed)
    settings.exports_of(MONTH).mkdir(parents=True)
    (settings.exports_of(MONTH) / "a.zip").write_bytes(content)
    land(settings, MONTH)


def test_each_member_is_a_file_with_its_own_rows(tmp_path: Path) -> None:
    members = {"vi/b.csv": CSV + ROW.format(2), "a.csv": CSV + "short\n", "__MACOSX/._a.csv": "x", "vi/": "", ".x": "y"}
    rows = staged(tmp_path, {"thang-10.zip": packed(members), "c.csv": CSV.encode()})
    assert [(row["source_file"], row["row_number"], row["download_mbps"]) for row in rows] == [
        ("c.csv", 2, 1),
        ("thang-10.zip/a.csv", 2, 1),
        ("thang-10.zip/a.csv", 3, None),
        ("thang-10.zip/vi/b.csv", 2, 1),
        ("thang-10.zip/vi/b.csv", 3, 2),
    ]


def test_a_shape_may_be_for_a_member_by_its_own_name(tmp_path: Path) -> None:
    content = packed({"sub/di-dong.csv": CSV.replace(",", ";")})
    rows = staged(tmp_path, {"a.zip": content}, pattern="di-dong.*", delimiter=";")
    assert rows[0]["download_mbps"] == 1


@pytest.mark.parametrize(
    "name", ["../../x.csv", "/etc/x.csv", "a\\..\\..\\x.csv", "C:x.csv", "line\nbreak.csv", "a/../x.csv", "\\x.csv"]
)
def test_a_member_named_to_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="leads elsewhere"):
        landed(tmp_path, packed({name: CSV}))


@pytest.mark.parametrize("name", ["inner.zip", "inner.csv.gz", "inner.tar"])
def test_an_archive_in_an_archive_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="archive in an archive"):
        landed(tmp_path, packed({name: b"x"}))


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/hostname")
    with pytest.raises(UserError, match="a link"):
        landed(tmp_path, buffer.getvalue())


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (packed({}), "without files"),
        (b"no archive", "damaged zip"),
        (packed({"a.csv": CSV})[:-30], "damaged zip"),
        (packed({"a.pdf": "x"}), "a.zip/a.pdf"),
        (packed({"a.csv": b"0" * 3_000_000}), "ISPEED_EXPANSION_MAX"),
        (packed({f"{number}.csv": CSV for number in range(1_001)}), "ISPEED_ARCHIVE_MEMBERS_MAX"),
        (packed({"n" * 1_000 + f"{number}.csv": "" for number in range(1_500)}), "ISPEED_ARCHIVE_MEMBERS_MAX"),
    ],
)
def test_an_archive_that_cannot_be_read_is_one_clear_error(tmp_path: Path, content: bytes, named: str) -> None:
    with pytest.raises(UserError, match=named):
        landed(tmp_path, content)


def test_a_small_archive_may_expand_as_it_likes(tmp_path: Path) -> None:
    landed(tmp_path, packed({"a.csv": b"0" * 100_000}))


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    content = bytearray(packed({"a.csv": CSV}, zipfile.ZIP_STORED))
    content[60] ^= 0xFF
    with pytest.raises(UserError, match=r"a\.zip/a\.csv"):
        staged(tmp_path, {"a.zip": bytes(content)})


def test_a_file_larger_than_the_setting_does_not_land(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ISPEED_FILE_BYTES_MAX"):
        landed(tmp_path, packed({"a.csv": CSV}), file_bytes_max=10)

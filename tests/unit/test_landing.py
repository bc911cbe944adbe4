from __future__ import annotations

import hashlib
import os

import pytest

from ispeed.errors import UserError
from ispeed.landing import land, read_landing
from ispeed.months import Month
from ispeed.settings import Settings

MONTH = Month(2024, 10)


def put(settings: Settings, name: str, content: bytes) -> None:
    settings.exports_of(MONTH).mkdir(parents=True, exist_ok=True)
    (settings.exports_of(MONTH) / name).write_bytes(content)


def test_bytes_land_as_they_are_under_their_hash(settings: Settings) -> None:
    put(settings, "a.csv", b"one")
    land(settings, MONTH)
    file = read_landing(settings, MONTH).files[0]
    assert file.sha256 == hashlib.sha256(b"one").hexdigest()
    assert file.path(settings, MONTH).read_bytes() == b"one"


def test_hidden_files_markers_and_office_locks_are_no_exports(settings: Settings) -> None:
    for name in ("a.csv", ".a.csv", "~$a.csv", ".done", "a.csv.done", ".defects.csv"):
        put(settings, name, b"x")
    land(settings, MONTH)
    assert [file.source_file for file in read_landing(settings, MONTH).files] == ["a.csv"]


def test_a_replaced_file_leaves_its_old_bytes_and_keeps_first_receipts(settings: Settings) -> None:
    put(settings, "a.csv", b"one")
    land(settings, MONTH)
    first = read_landing(settings, MONTH).files[0]
    put(settings, "a.csv", b"two")
    land(settings, MONTH)
    assert first.path(settings, MONTH).read_bytes() == b"one"
    assert read_landing(settings, MONTH).files[0].sha256 != first.sha256
    put(settings, "a.csv", b"one")
    land(settings, MONTH)
    assert read_landing(settings, MONTH).files[0] == first


def test_what_a_killed_copy_left_is_swept_away(settings: Settings) -> None:
    put(settings, "a.csv", b"one")
    target = settings.lake_of("landing", MONTH)
    target.mkdir(parents=True)
    (target / ".half.part").write_bytes(b"on")
    land(settings, MONTH)
    assert sorted(path.name for path in target.iterdir()) == sorted(
        [hashlib.sha256(b"one").hexdigest(), "landing.json"]
    )


def test_an_empty_month_says_where_the_files_belong(settings: Settings) -> None:
    with pytest.raises(UserError, match="no export file") as error:
        land(settings, MONTH)
    assert str(settings.exports_of(MONTH)) in str(error.value)


def test_a_sample_month_is_marked(settings: Settings) -> None:
    put(settings, "a.csv", b"one")
    put(settings, ".sample", b"")
    land(settings, MONTH)
    assert read_landing(settings, MONTH).is_sample


@pytest.mark.parametrize("name", ["a\n.csv", os.fsdecode(b"a\xff.csv"), "a\x1b[31m.csv"])
def test_a_name_that_cannot_be_printed_is_refused(settings: Settings, name: str) -> None:
    put(settings, name, b"x")
    with pytest.raises(UserError, match="file name") as error:
        land(settings, MONTH)
    assert str(error.value).isprintable() or "\n  found" in str(error.value)
    str(error.value).encode()


def test_a_link_is_not_followed(settings: Settings) -> None:
    put(settings, "a.csv", b"one")
    (settings.exports_of(MONTH) / "b.csv").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match=r"b\.csv\n.*a link"):
        land(settings, MONTH)

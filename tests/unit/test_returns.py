"""Returns as people send them: the right numbers count, and each bad file is told of in a line, and stops no other."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ispeed.arrival_looks import Problem, ReturnsLook, read_look
from ispeed.arrivals import read_arrival
from ispeed.child import ReadingProcess
from ispeed.engine import open_engine
from ispeed.errors import UserError
from ispeed.month_content import workbook_policy
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.registry import sync_registry
from ispeed.return_folder import FILES_MAX
from ispeed.returns import Body, asked_bodies, deadline_of, missing_bodies
from ispeed.returns.collecting import Collected, collect_returns
from ispeed.returns.form import form_workbook
from ispeed.settings import Settings
from pipeline import settings_in
from return_forms import BAD, GOOD, IGNORED, LATE, Sent, as_typed, changed, copy_cells

MONTH = Month(2024, 10)
HAS_OFFICE = shutil.which("soffice") is not None
COUNTED = [sent for sent in GOOD if HAS_OFFICE or not sent.office]


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_in(tmp_path_factory.mktemp("returns"))
    sync_registry(settings)
    return settings


@pytest.fixture
def settings(synced: Settings, tmp_path: Path) -> Settings:
    """An empty folder of returns, and a lake that has the registry only."""
    shutil.copytree(synced.lake / "registry", tmp_path / "lake" / "registry")
    return replace(synced, lake=tmp_path / "lake", returns=tmp_path / "returns", share=tmp_path / "share")


def form_of(settings: Settings, code: str, month: Month = MONTH) -> bytes:
    policy = workbook_policy(read_policy(settings.policy, month.last_day), month)
    known = {body.code: body for body in asked_bodies(settings, month)}
    nobody = Body(code, "Cơ quan lạ", "department", None, deadline_of(settings, month))
    return form_workbook(policy, month, known.get(code, nobody))


def send(settings: Settings, sent: Sent) -> None:
    path = settings.returns / str(MONTH) / sent.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sent.make(form_of(settings, sent.body, Month.parse(sent.month))))
    os.utime(path, (sent.at.timestamp(), sent.at.timestamp()))


@pytest.fixture(scope="module")
def all_sent(synced: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Collected]:
    """Every file of `GOOD` and `BAD` in one folder, collected once."""
    settings = replace(synced, returns=tmp_path_factory.mktemp("sent"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_SCRATCH", str(tmp_path_factory.mktemp("office")))
        for sent in (*COUNTED, *BAD):
            send(settings, sent)
    for name in IGNORED:
        (settings.returns / str(MONTH) / name).write_bytes(b"lock")
    return settings, collect_returns(settings, MONTH)


@pytest.mark.parametrize("sent", GOOD, ids=lambda sent: sent.name)
def test_a_form_counts_however_it_was_saved(sent: Sent, all_sent: tuple[Settings, Collected]) -> None:
    if sent.office and not HAS_OFFICE:
        pytest.skip("soffice is not installed (Debian: libreoffice-calc)")
    settings, collected = all_sent
    [outcome] = [outcome for outcome in collected.outcomes if outcome.file == sent.name]
    assert (outcome.state, outcome.code) == ("accepted" if sent.counts else "superseded", sent.body)
    assert sent.told in outcome.message
    arrival = read_arrival(settings, MONTH, "returns")
    assert arrival is not None
    [row] = [row for row in arrival.document["rows"] if row["organisation_code"] == sent.body]
    if sent.counts:
        assert (row["headcount"], row["n_installed"], row["n_measured"]) == sent.counts
        assert (row["source_file"], row["is_late"]) == (sent.name, sent.at >= LATE)


@pytest.mark.parametrize("sent", BAD, ids=lambda sent: sent.name)
def test_what_cannot_count_is_refused_with_its_place_and_what_to_do(
    sent: Sent, all_sent: tuple[Settings, Collected]
) -> None:
    _, collected = all_sent
    [outcome] = [outcome for outcome in collected.outcomes if outcome.file == sent.name]
    assert outcome.state == "refused"
    assert sent.told in outcome.message
    assert outcome.message.startswith(sent.name)
    assert "; cần: " in outcome.message and "; cách sửa: " in outcome.message and "\n" not in outcome.message


def test_the_totals_are_those_added_up_by_hand(all_sent: tuple[Settings, Collected]) -> None:
    settings, collected = all_sent
    assert len(COUNTED) + len(BAD) >= 48
    assert Counter(outcome.state for outcome in collected.outcomes) == {
        "accepted": len(COUNTED) - 1,
        "superseded": 1,
        "refused": len(BAD),
    }
    arrival = read_arrival(settings, MONTH, "returns")
    assert arrival is not None
    rows = arrival.document["rows"]
    sums = [sum(row[name] for row in rows) for name in ("headcount", "n_installed", "n_measured")]
    # In the order of the table, without what LibreOffice saved; of two returns of one body the later.
    without_office = [
        50 + 169 + 63 + 38 + 1234 + 237 + 124 + 175 + 82 + 209 + 112 + 137 + 128 + 148 + 45,
        40 + 100 + 60 + 30 + 1100 + 200 + 124 + 10 + 30 + 8 + 45 + 100 + 0 + 140 + 30,
        30 + 80 + 50 + 25 + 1000 + 150 + 124 + 9 + 20 + 7 + 40 + 99 + 0 + 130 + 20,
    ]
    by_office = [204 + 183 + 196, 150 + 100 + 180, 100 + 90 + 170]
    assert sums == [one + other * HAS_OFFICE for one, other in zip(without_office, by_office, strict=True)]
    # 181 are asked; the others have not returned, the one whose files were all refused among them.
    missing = {body.code for body in collected.missing}
    assert (collected.n_asked, len(missing)) == (181, 181 - len(rows))
    assert "THANHTRA" in missing and "SO-NV" not in missing
    assert {body.code for body in missing_bodies(settings, MONTH)} == missing


def look_at(settings: Settings) -> ReturnsLook:
    look = read_look(settings, MONTH, "returns")
    assert isinstance(look, ReturnsLook)
    return look


def test_each_look_is_noted_with_who_has_not_returned_and_the_four_parts_of_each_refusal(
    all_sent: tuple[Settings, Collected],
) -> None:
    settings, collected = all_sent
    look = look_at(settings)
    assert (look.n_asked, look.n_returned, len(look.missing)) == (181, len(COUNTED) - 1, 181 - len(COUNTED) + 1)
    assert list(look.missing) == [body.name for body in collected.missing]
    assert [one.submitted_at for one in look.late] == ["2024-11-09T17:00:00+00:00"]
    assert look.deadline == "2024-11-10T00:00:00+07:00"
    # Part by part what stands in the line that the workbook has.
    lines = [f"{one.where}: {one.found}; cần: {one.expected}; cách sửa: {one.remedy}" for one in look.refused]
    assert lines == [outcome.message for outcome in collected.outcomes if outcome.state == "refused"]
    [of_nobody] = [one for one in look.refused if one.where.startswith("IMG_0001.jpg")]
    [of_body] = [one for one in look.refused if one.where.startswith("âm.xlsx")]
    assert (of_nobody.about, of_body.about) == ("", "Thanh tra tỉnh")


def test_a_look_that_finds_nothing_is_noted_too_and_one_that_cannot_be_read_is_none(settings: Settings) -> None:
    collect_returns(settings, MONTH)
    assert (look_at(settings).n_returned, len(look_at(settings).missing)) == (0, 181)
    send(settings, Sent("SO-NV", "1.xlsx", as_typed(50, 40, 30), ""))
    send(settings, Sent("SO-TP", "2.xlsx", as_typed(50, 60, 30), ""))
    collect_returns(settings, MONTH)
    [problem] = look_at(settings).refused
    assert (look_at(settings).n_returned, problem) == (
        1,
        Problem(
            "Sở Tư pháp",
            "2.xlsx, trang “Phiếu báo cáo”, ô Q15",
            "số người đã cài đặt 60 lớn hơn tổng số người 50 (120,0%)",
            "số người đã cài đặt không lớn hơn tổng số người",
            "kiểm tra hai số, sửa rồi gửi lại",
        ),
    )
    shutil.rmtree(settings.returns)
    collect_returns(settings, MONTH)
    assert (look_at(settings).n_returned, look_at(settings).refused) == (1, ())
    (settings.lake_of("returns", MONTH) / "look.json").write_text('{"n_asked": 1}', encoding="utf-8")
    assert read_look(settings, MONTH, "returns") is None


def test_every_byte_that_came_is_kept(all_sent: tuple[Settings, Collected]) -> None:
    settings, _ = all_sent
    landed = {path.read_bytes() for path in (settings.lake_of("returns", MONTH) / "landed").iterdir()}
    for path in (settings.returns / str(MONTH)).rglob("*"):
        assert path.is_dir() or path.name in IGNORED or path.read_bytes() in landed


def test_collected_again_nothing_is_new_also_where_files_were_copied_late(all_sent: tuple[Settings, Collected]) -> None:
    settings, collected = all_sent
    before = read_arrival(settings, MONTH, "returns")
    os.utime(settings.returns / str(MONTH) / "gtvt.xlsx")
    again = collect_returns(settings, MONTH)
    assert (again.outcomes, again.is_new) == (collected.outcomes, False)
    assert read_arrival(settings, MONTH, "returns") == before


def test_two_bodies_in_one_workbook_both_count(settings: Settings) -> None:
    def with_neighbour(book: object) -> None:
        other = as_book(as_typed(166, 20, 10)(form_of(settings, "UBND-569")))
        copy_cells(other["Phiếu báo cáo"], book.create_sheet("Cam Ranh"), 0, 0)  # type: ignore[attr-defined]

    send(settings, Sent("UBND-568", "hai.xlsx", changed(with_neighbour, 119, 50, 40), ""))
    collected = collect_returns(settings, MONTH)
    assert [(outcome.code, outcome.state, outcome.sheet) for outcome in collected.outcomes] == [
        ("UBND-569", "accepted", "Cam Ranh"),
        ("UBND-568", "accepted", "Phiếu báo cáo"),
    ]


def as_book(content: bytes):  # type: ignore[no-untyped-def]
    import io

    from openpyxl import load_workbook

    return load_workbook(io.BytesIO(content))


def test_a_bad_correction_leaves_the_good_return_standing(settings: Settings) -> None:
    send(settings, Sent("SO-NV", "1.xlsx", as_typed(50, 40, 30), ""))
    send(settings, Sent("SO-NV", "2.xlsx", as_typed(50, 40, 60), "", at=LATE))
    collected = collect_returns(settings, MONTH)
    assert [outcome.state for outcome in collected.outcomes] == ["accepted", "refused"]
    assert "SO-NV" not in {body.code for body in collected.missing}


def test_a_late_return_counts_and_says_so(all_sent: tuple[Settings, Collected]) -> None:
    _, collected = all_sent
    [outcome] = [outcome for outcome in collected.outcomes if outcome.file == "trễ.xlsx"]
    assert outcome.message.endswith("; gửi muộn, lúc 00:00 ngày 10/11/2024")
    assert sum("gửi muộn" in outcome.message for outcome in collected.outcomes) == 1


def test_names_that_no_program_can_show_stop_nothing(settings: Settings) -> None:
    folder = settings.returns / str(MONTH)
    send(settings, Sent("SO-NV", "=cmd.xlsx", as_typed(50, 40, 30), ""))
    (folder / "a\nb.xlsx").write_bytes(form_of(settings, "SO-TP"))
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.xlsx")).write_bytes(b"x")
    (folder / "link.xlsx").symlink_to("/etc/hostname")
    outcomes = {outcome.file: outcome for outcome in collect_returns(settings, MONTH).outcomes}
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "=cmd.xlsx": "accepted",
        "a\\nb.xlsx": "refused",
        "\\udcff.xlsx": "refused",
        "link.xlsx": "refused",
    }
    assert "liên kết" in outcomes["link.xlsx"].message


def test_folders_are_read_to_a_depth_and_links_are_told_of(settings: Settings) -> None:
    folder = settings.returns / str(MONTH)
    (folder / "1/2/3/4/5/6").mkdir(parents=True)
    send(settings, Sent("SO-NV", "1/2/3/4/5/a.xlsx", as_typed(50, 40, 30), ""))
    send(settings, Sent("SO-TP", "1/2/3/4/5/6/a.xlsx", as_typed(50, 40, 30), ""))
    (folder / "1" / "etc").symlink_to("/etc")
    outcomes = {outcome.file: outcome for outcome in collect_returns(settings, MONTH).outcomes}
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "1/2/3/4/5/a.xlsx": "accepted",
        "1/2/3/4/5/6": "refused",
        "1/etc": "refused",
    }
    assert "thư mục nằm sâu quá 5 cấp" in outcomes["1/2/3/4/5/6"].message
    assert "liên kết" in outcomes["1/etc"].message
    for number in range(FILES_MAX):
        (folder / str(number)).mkdir(exist_ok=True)
    with pytest.raises(UserError, match="more than 5,000 files and folders"):
        collect_returns(settings, MONTH)


def test_a_file_that_ends_its_reader_stops_no_other(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a crafted file may end it: the next file has a new one."""
    send(settings, Sent("SO-NV", "b.xlsx", as_typed(50, 40, 30), ""))
    send(settings, Sent("SO-TP", "a.csv", lambda form: b"x", ""))
    calls = []
    call = ReadingProcess.call

    def once_killed(self: ReadingProcess, name: str, *arguments: object) -> object:
        calls.append(name)
        if name == "a.csv":
            self._process.kill()
            self._process.wait()
        return call(self, name, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ReadingProcess, "call", once_killed)
    collected = collect_returns(settings, MONTH)
    assert calls == ["a.csv", "b.xlsx"]
    assert [outcome.state for outcome in collected.outcomes] == ["refused", "accepted"]


def test_without_any_file_nothing_is_noted_and_all_are_missing(settings: Settings) -> None:
    collected = collect_returns(settings, MONTH)
    assert (collected.outcomes, len(collected.missing), collected.is_new) == ((), 181, False)
    assert read_arrival(settings, MONTH, "returns") is None


def test_a_folder_that_was_emptied_takes_nothing_back(settings: Settings) -> None:
    send(settings, Sent("SO-NV", "1.xlsx", as_typed(50, 40, 30), ""))
    collect_returns(settings, MONTH)
    shutil.rmtree(settings.returns)
    assert len(collect_returns(settings, MONTH).missing) == 180
    assert "SO-NV" not in {body.code for body in missing_bodies(settings, MONTH)}


def test_who_is_asked_is_of_the_month_and_of_the_setting(synced: Settings) -> None:
    october, july = (Counter(body.kind for body in asked_bodies(synced, month)) for month in (MONTH, Month(2025, 7)))
    assert october == {"department": 21, "district": 9, "commune": 139, "youth_union": 1, "school": 11}
    # From 07/2025 there are no districts, and 65 communes.
    assert july["commune"] == 65 and "district" not in july
    schools = asked_bodies(replace(synced, returns_asked=("school",)), MONTH)
    assert {body.kind for body in schools} == {"school"} and len(schools) == 11
    assert str(deadline_of(synced, Month(2024, 12))) == "2025-01-10 00:00:00+07:00"


def test_a_commune_that_is_an_organisation_of_the_registry_is_asked_once(synced: Settings) -> None:
    with open_engine() as engine:
        columns = {"organisation_code": "text", "organisation_name": "text", "organisation_kind": "text"}
        engine.add_rows(
            "month_organisation", columns | {"headcount": "integer"}, [("22366", "UBND phường", "commune", 9)]
        )
        names = {"commune_code": "text", "commune_name": "text", "kind": "text"}
        engine.add_rows("month_commune", names, [("22366", "Phước Tiến", "phường"), ("22711", "Suối Tân", "xã")])
        engine.add_rows("asked_kind", {"kind": "text"}, [("commune",)])
        engine.create("asked_body", "report/asked_body.sql")
        found = engine.rows("select organisation_code, organisation_name from asked_body order by 1")
    assert [tuple(row.values()) for row in found] == [
        ("22366", "UBND phường"),
        ("22711", "Ủy ban nhân dân xã Suối Tân"),
    ]

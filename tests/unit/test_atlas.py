"""A month's figures of VNNIC: landed as they came, noted for the reports, and never lost to a bad answer."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from atlas_server import Reply, Site, listed, place, running_site
from ispeed import atlas
from ispeed.arrival_looks import AtlasLook, read_look
from ispeed.arrivals import read_arrival
from ispeed.atlas import compare_atlas
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.settings import PROJECT, Settings

MONTH = Month(2024, 10)
HERE = place("56", 784, 44.54, 46.01, 25.43, 6.74)
HANOI = place("01", 18866, 47.09, 48.02, 11.65, 4.92)
NHA_TRANG = place("22366", 31, 60.5, 20.25, 30.0, 5.5)
NOT_ENOUGH = place("22390", 12, 0, 0, 0, 0)
PROVINCES, COMMUNES = listed(HANOI, HERE), listed(NHA_TRANG, NOT_ENOUGH)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site that answers well, asked without pauses."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(atlas, "PAUSES", (0.0,))
    monkeypatch.setattr(atlas, "PAUSE_SECONDS", 0)
    with running_site() as site:
        site.answer = lambda network, place: PROVINCES if place == "-1" else COMMUNES
        yield site


@pytest.fixture
def asking(settings: Settings, site: Site) -> Settings:
    sync_registry(settings)
    return replace(settings, atlas_url=site.url, atlas_seconds=1)


def document(settings: Settings) -> Any:
    arrival = read_arrival(settings, MONTH, "atlas")
    return arrival and arrival.document


def shown(settings: Settings) -> str:
    arrival = read_arrival(settings, MONTH, "atlas")
    assert arrival is not None
    return arrival.origin["shown"]


def answer_but(site: Site, network: str, city: str, reply: Reply) -> None:
    """The site answers one question otherwise."""
    site.answer = lambda asked, place: (
        reply if (asked, place) == (network, city) else PROVINCES if place == "-1" else COMMUNES
    )


def test_four_questions_bring_the_province_and_its_communes_for_both_networks(asking: Settings, site: Site) -> None:
    assert compare_atlas(asking, MONTH) == {"n_rows": 6, "n_faults": 0, "is_changed": True}
    query = "/overview-place-map?year=2024&month=10&isp=ALL&cityId="
    assert site.asked == [f"/i-speed/{network}{query}{city}" for network in ("mobile", "ftth") for city in ("-1", "56")]
    noted = document(asking)
    assert noted["told"] == []
    assert [(row["network"], row["level"], row["code"]) for row in noted["rows"]] == [
        (network, level, code)
        for network in ("mobile", "fixed")
        for level, code in (("province", "56"), ("commune", "22366"), ("commune", "22390"))
    ]
    assert noted["rows"][0] == {
        "network": "mobile", "level": "province", "code": "56", "atlas_n_samples": 784,
        "atlas_download_mbps_median": 44.54, "atlas_upload_mbps_median": 46.01,
        "atlas_ping_ms_median": 25.43, "atlas_jitter_ms_median": 6.74,
    }  # fmt: skip
    # 0 is VNNIC's word for not enough samples.
    assert noted["rows"][2]["atlas_n_samples"] == 12
    assert noted["rows"][2]["atlas_download_mbps_median"] is None


def test_answers_land_as_they_came_with_address_status_and_moment(asking: Settings) -> None:
    compare_atlas(asking, MONTH)
    for part, body in zip(document(asking)["answers"], [PROVINCES.body, COMMUNES.body] * 2, strict=True):
        assert part["sha256"] == hashlib.sha256(body).hexdigest()
        landed = asking.lake_of("atlas", MONTH) / "answers" / part["sha256"]
        assert landed.read_bytes() == body
        assert (part["status"], part["content_type"], part["n_bytes"]) == (200, "application/json", len(body))
        assert part["url"].startswith(asking.atlas_url)
        assert part["fetched_at"].endswith("+00:00")


def test_the_same_answer_again_is_the_same_note_and_another_order_of_it_shows_the_same(
    asking: Settings, site: Site
) -> None:
    compare_atlas(asking, MONTH)
    first, first_shown = document(asking), shown(asking)
    assert compare_atlas(asking, MONTH)["is_changed"] is False
    assert document(asking) == first
    answer_but(site, "mobile", "-1", listed(HERE, HANOI))
    assert compare_atlas(asking, MONTH)["is_changed"] is False
    assert document(asking) != first
    assert shown(asking) == first_shown
    # Another province's figures are kept, and none of ours.
    answer_but(site, "mobile", "-1", listed(HERE, {**HANOI, "download": 99.0}))
    assert compare_atlas(asking, MONTH)["is_changed"] is False
    answer_but(site, "mobile", "-1", listed({**HERE, "download": 44.55}, HANOI))
    assert compare_atlas(asking, MONTH)["is_changed"] is True


BROKEN = {
    "silent": Reply(COMMUNES.body, how="silent"),
    "cut": Reply(COMMUNES.body, how="cut"),
    "500": Reply(b"oops", status=500),
    "404": Reply(b"none", status=404),
    "elsewhere": Reply(status=302, headers={"Location": "https://example.org/"}),
    "html": Reply(b"<html>", headers={"Content-Type": "text/html"}),
    "half": Reply(COMMUNES.body[:-20]),
    "huge": Reply(b" " * 2_000_001),
    "types": listed({**NHA_TRANG, "download": "60,5"}),
    "empty": listed(),
    "other units": listed(place("568", 300, 50.0, 20.0, 30.0, 5.0)),
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
def test_a_bad_answer_is_a_warning_and_what_landed_before_stays(
    asking: Settings, site: Site, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    compare_atlas(asking, MONTH)
    before = document(asking)
    answer_but(site, "mobile", "56", reply)
    with caplog.at_level(logging.WARNING):
        assert compare_atlas(asking, MONTH) == {"n_rows": 6, "n_faults": 1, "is_changed": False}
    assert document(asking) == before
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    for part in ("2024-10 (mobile, commune)", f"{asking.atlas_url}/mobile", "found:", "expected:", "what to do:"):
        assert part in warning


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
def test_a_month_of_bad_answers_only_notes_nothing_and_ends_well(asking: Settings, site: Site, reply: Reply) -> None:
    site.answer = lambda network, place: reply
    assert compare_atlas(replace(asking, atlas_seconds=0.2), MONTH) == {
        "n_rows": 0,
        "n_faults": 4,
        "is_changed": False,
    }
    assert document(asking) is None


def test_a_site_out_of_reach_leaves_what_landed_before(asking: Settings) -> None:
    compare_atlas(asking, MONTH)
    before = document(asking)
    nowhere = replace(asking, atlas_url="http://127.0.0.1:9/i-speed")
    assert compare_atlas(nowhere, MONTH) == {"n_rows": 6, "n_faults": 4, "is_changed": False}
    assert document(asking) == before


def test_each_asking_is_noted_with_its_warnings_and_the_answers_that_are_used(asking: Settings, site: Site) -> None:
    def look() -> AtlasLook:
        found = read_look(asking, MONTH, "atlas")
        assert isinstance(found, AtlasLook)
        return found

    site.answer = lambda network, place: Reply(status=404)
    compare_atlas(asking, MONTH)
    assert (look().answers, len(look().faults), look().fetched_at) == ((), 4, None)
    answer_but(site, "ftth", "56", Reply(status=404))
    compare_atlas(asking, MONTH)
    answers = [("Di động, cấp tỉnh", 2), ("Di động, cấp xã", 2), ("Cố định, cấp tỉnh", 2)]
    assert [(answer.about, answer.n_places) for answer in look().answers] == answers
    [fault] = look().faults
    url = f"{asking.atlas_url}/ftth/overview-place-map?year=2024&month=10&isp=ALL&cityId=56"
    assert (fault.about, fault.where, fault.found) == ("Cố định, cấp xã", url, "status 404 Not Found")
    assert fault.expected and fault.remedy
    first = look().answers
    # What is used stays, of when it came; the warnings are of the last asking only.
    answer_but(site, "", "", Reply())
    compare_atlas(asking, MONTH)
    assert (len(look().answers), look().answers[:3], look().faults) == (4, first, ())


def test_an_answer_that_cannot_be_read_is_kept_for_those_who_look(asking: Settings, site: Site) -> None:
    site.answer = lambda network, place: BROKEN["html"]
    compare_atlas(asking, MONTH)
    (landed,) = (asking.lake_of("atlas", MONTH) / "answers").iterdir()
    assert landed.read_bytes() == b"<html>"


def test_what_is_not_there_yet_is_told_and_comes_in_later(asking: Settings, site: Site) -> None:
    answer_but(site, "ftth", "56", listed())
    assert compare_atlas(asking, MONTH)["n_rows"] == 4
    assert document(asking)["told"] == ["Chưa có số liệu VNNIC cấp xã, mạng cố định"]
    answer_but(site, "", "", Reply())
    assert compare_atlas(asking, MONTH)["is_changed"] is True
    assert document(asking)["told"] == []


def test_codes_that_the_registry_does_not_have_are_noted_counted_and_kept(
    asking: Settings, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    strange = [place(f"9999{digit}", 40, 50.0, 20.0, 30.0, 5.0) for digit in range(6)]
    answer_but(site, "mobile", "56", listed(NHA_TRANG, *strange))
    with caplog.at_level(logging.WARNING):
        compare_atlas(asking, MONTH)
    codes = [row["code"] for row in strange]
    assert document(asking)["not_in_registry"] == {"mobile": codes, "fixed": []}
    assert [row["code"] for row in document(asking)["rows"] if row["network"] == "mobile"] == ["56", "22366", *codes]
    assert "mobile figures name 6 places that the registry as of the month does not have: 99990" in caplog.text


def test_codes_are_those_of_the_months_own_registry(asking: Settings, site: Site) -> None:
    # 22363 is a commune until 31/10/2024, and none from 01/07/2025.
    answer_but(site, "mobile", "56", listed(NHA_TRANG, place("22363", 40, 50.0, 20.0, 30.0, 5.0)))
    compare_atlas(asking, MONTH)
    assert document(asking)["not_in_registry"]["mobile"] == []
    july = Month(2025, 7)
    compare_atlas(asking, july)
    arrival = read_arrival(asking, july, "atlas")
    assert arrival is not None
    assert arrival.document["not_in_registry"]["mobile"] == ["22363"]


def test_places_left_out_are_told_in_the_workbooks_words(asking: Settings, site: Site) -> None:
    answer_but(site, "mobile", "56", listed(NHA_TRANG, {**NOT_ENOUGH, "ping": "x"}))
    compare_atlas(asking, MONTH)
    assert document(asking)["told"] == ["Số liệu VNNIC cấp xã, mạng di động: 1 dòng không đọc được, không dùng"]
    (part,) = [part for part in document(asking)["answers"] if part["left_out"]]
    assert part["left_out"] == ["row 2: ping 'x' is no number"]


def test_a_formula_in_a_code_reaches_no_note(asking: Settings, site: Site) -> None:
    answer_but(site, "mobile", "56", listed(NHA_TRANG, {**NOT_ENOUGH, "code": '=HYPERLINK("http://x")'}))
    compare_atlas(asking, MONTH)
    assert "HYPERLINK" not in json.dumps(document(asking)["rows"])


def test_a_month_without_a_registry_is_asked_all_the_same(settings: Settings, site: Site) -> None:
    asking = replace(settings, atlas_url=site.url)
    assert compare_atlas(asking, MONTH)["n_rows"] == 6
    assert document(asking)["not_in_registry"] == {}


def test_the_real_answer_replayed_gives_our_province_and_keeps_the_other_62(asking: Settings, site: Site) -> None:
    real = PROJECT.parent / "shared" / "vnnic" / "ftth_overview-place-map_2021-04.json"
    if not real.exists():
        pytest.skip(f"the real answer is not there: {real.name} in ../shared/vnnic")
    site.answer = lambda network, place: Reply(real.read_bytes()) if (network, place) == ("ftth", "-1") else listed()
    april = Month(2021, 4)
    assert compare_atlas(asking, april) == {"n_rows": 1, "n_faults": 3, "is_changed": True}
    arrival = read_arrival(asking, april, "atlas")
    assert arrival is not None
    assert arrival.document["rows"] == [
        {
            "network": "fixed", "level": "province", "code": "56", "atlas_n_samples": 784,
            "atlas_download_mbps_median": 44.54, "atlas_upload_mbps_median": 46.01,
            "atlas_ping_ms_median": 25.43, "atlas_jitter_ms_median": 6.74,
        }
    ]  # fmt: skip
    (part,) = arrival.document["answers"]
    assert (len(part["places"]), part["left_out"]) == (63, [])
    assert part["url"].endswith("/ftth/overview-place-map?year=2021&month=4&isp=ALL&cityId=-1")

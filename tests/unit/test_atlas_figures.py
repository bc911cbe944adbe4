"""VNNIC's answers, read: a real one, and every way in which one can be something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from atlas_server import listed, place
from ispeed.atlas_figures import Figure, Form, read_figures, read_form
from ispeed.errors import SiteFault, UserError
from ispeed.months import Month
from ispeed.settings import INCLUDE, PROJECT

FORM = read_form(INCLUDE / "atlas.yaml")
REAL = PROJECT.parent / "shared" / "vnnic" / "ftth_overview-place-map_2021-04.json"
KHANH_HOA = Figure("56", 784, 44.54, 46.01, 25.43, 6.74)


def read(*places: Any) -> tuple[Figure, ...]:
    return read_figures(FORM, "the site", listed(*places).body).figures


def left_out(*places: Any) -> tuple[str, ...]:
    good = place("56", 784, 44.54, 46.01, 25.43, 6.74)
    reading = read_figures(FORM, "the site", listed(good, *places).body)
    assert reading.figures == (KHANH_HOA,)
    return reading.left_out


def test_an_answer_is_read_by_code_whatever_its_order() -> None:
    told = [place("56", 784, 44.54, 46.01, 25.43, 6.74), place("01", 18866, 47.09, 48.02, 11.65, 4.92)]
    assert read(*told) == read(*reversed(told)) == (Figure("01", 18866, 47.09, 48.02, 11.65, 4.92), KHANH_HOA)


def test_the_real_answer_has_63_provinces_and_ours_among_them() -> None:
    if not REAL.exists():
        pytest.skip(f"the real answer is not there: {REAL.name} in ../shared/vnnic")
    reading = read_figures(FORM, REAL.name, REAL.read_bytes())
    figures = {figure.code: figure for figure in reading.figures}
    assert (len(figures), reading.left_out) == (63, ())
    assert figures["56"] == KHANH_HOA
    assert figures["04"].n_samples == 89 == min(figure.n_samples or 0 for figure in figures.values())
    assert all(None not in vars(figure).values() for figure in figures.values())


@pytest.mark.parametrize("nothing", [0, 0.0, None, -0.0])
def test_0_means_not_enough_samples_and_never_a_speed(nothing: Any) -> None:
    (figure,) = read(place("22366", 12, nothing, nothing, nothing, nothing))
    assert figure == Figure("22366", 12, None, None, None, None)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"code": "01", "value": 1, "download": 1, "upload": 1, "ping": 1}, "no jitter, only code, value, download"),
        (place("01", 1, "44.54", 1, 1, 1), "download '44.54' is no number"),
        (place("01", 1, True, 1, 1, 1), "download True is no number"),
        (place("01", 1, [1], 1, 1, 1), r"download \[1\] is no number"),
        (place("01", 1, -0.5, 1, 1, 1), "download -0.5 is not from 0"),
        (place("01", 1, 1, 1e300, 1, 1), "upload 1e\\+300 is not from 0 to 1,000,000"),
        (place("01", -1, 1, 1, 1, 1), "value -1 is no count"),
        (place("01", 1.5, 1, 1, 1, 1), "value 1.5 is no count"),
        (place("01", "1.017", 1, 1, 1, 1), "value '1.017' is no count"),
        (place(1, 1, 1, 1, 1, 1), "code 1 is no text of digits"),
        (place("=cmd()", 1, 1, 1, 1, 1), "code '=cmd\\(\\)' is no text of digits"),
        (place("٠١", 1, 1, 1, 1, 1), "is no text of digits"),
        (place("1" * 11, 1, 1, 1, 1, 1), "is no text of digits"),
        (["01", 1, 1, 1, 1, 1], "no object but"),
        (None, "no object but None"),
    ],
)
def test_a_place_that_cannot_be_read_is_left_out_and_told(row: Any, told: str) -> None:
    (found,) = left_out(row)
    assert found.startswith("row 2: ")
    pytest.raises(ValueError, _fail, found).match(told)


def _fail(text: str) -> None:
    raise ValueError(text)


def test_a_place_told_twice_alike_counts_once_and_told_differently_not_at_all() -> None:
    twice = place("01", 100, 1.0, 2.0, 3.0, 4.0)
    assert read(twice, twice) == (Figure("01", 100, 1.0, 2.0, 3.0, 4.0),)
    assert left_out(twice, {**twice, "download": 9.0}) == ("code 01: told twice, with different figures",)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"<!doctype html><title>404</title>", "no JSON .*<!doctype html>"),
        (b'[{"code":"56","value":784,"download":44.5', "no JSON"),
        (b"", "0 bytes that are no JSON"),
        (b"[" * 200_000, "no JSON"),
        (b"9" * 10_000, "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"\x1f\x8b\x08\x00 compressed", "no JSON"),
        (b'[{"code":"56","value":784,"download":NaN,"upload":1,"ping":1,"jitter":1}]', "NaN is no number"),
        (b'[{"code":"56","value":784,"download":1e999,"upload":1,"ping":1,"jitter":1}]', "none can be read: .*inf"),
        (b'{"categories":[],"series":[]}', "no list: .*categories"),
        (b'"56"', "no list"),
        (b"null", "no list: None"),
        (b"[]", "an empty list"),
        (b'[{"ma":"56","tai_xuong":44.54}]', "1 rows of which none can be read: row 1: no code, value"),
    ],
    ids=[
        *("html", "cut", "nothing", "deep", "long number", "utf-16", "compressed", "NaN", "infinite"),
        *("object", "text", "null", "empty list", "other names"),
    ],
)
def test_an_answer_in_another_form_is_told_with_what_came(body: bytes, found: str) -> None:
    with pytest.raises(SiteFault, match=found) as raised:
        read_figures(FORM, "https://site/x", body)
    assert raised.value.where == "https://site/x"
    assert "make atlas" in raised.value.remedy or "atlas.yaml" in raised.value.remedy
    assert len(str(raised.value)) < 2_000


def test_a_byte_order_mark_and_more_keys_do_no_harm() -> None:
    body = b"\xef\xbb\xbf" + json.dumps([{**place("56", 784, 44.54, 46.01, 25.43, 6.74), "rank": 1}]).encode()
    assert read_figures(FORM, "the site", body).figures == (KHANH_HOA,)


def test_the_questions_are_those_of_the_sites_own_page() -> None:
    asked = [FORM.path_of(Month(2021, 4), network, level, "56") for network, level in
             (("fixed", "province"), ("mobile", "commune"))]  # fmt: skip
    assert asked == [
        "/ftth/overview-place-map?year=2021&month=4&isp=ALL&cityId=-1",
        "/mobile/overview-place-map?year=2021&month=4&isp=ALL&cityId=56",
    ]


def test_a_column_that_is_called_otherwise_is_one_line_in_the_form(tmp_path: Path) -> None:
    form = changed_form(tmp_path, lambda document: document["columns"].update(n_samples="samples"))
    body = listed({**place("56", 1, 44.54, 46.01, 25.43, 6.74), "samples": 784}).body
    assert read_figures(form, "the site", body).figures == (KHANH_HOA,)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda document: document.pop("columns"), "columns"),
        (lambda document: document["networks"].pop("fixed"), "networks"),
        (lambda document: document["places"].update(province=-1), "places"),
        (lambda document: document.update(path="/x?{secret}"), "path or places"),
        (lambda document: document["places"].update(commune="{province_code.__class__}{}"), "path or places"),
    ],
)
def test_a_slip_in_the_form_is_named(tmp_path: Path, spoil: Any, named: str) -> None:
    with pytest.raises(UserError, match=named):
        changed_form(tmp_path, spoil)


def changed_form(folder: Path, change: Any) -> Form:
    document = yaml.safe_load((INCLUDE / "atlas.yaml").read_text(encoding="utf-8"))
    change(document)
    (folder / "atlas.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return read_form(folder / "atlas.yaml")

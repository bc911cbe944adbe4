"""Errors in Vietnamese: every text of the code has one, and what a value says cannot make another of it."""

from __future__ import annotations

import random
import re
import time
import unicodedata
from pathlib import Path

import pytest
import yaml

from error_templates import Code
from ispeed.error_texts import TEXTS, Template, fault_in_vietnamese, in_vietnamese, place_in_vietnamese, templates
from ispeed.errors import UserError

CATALOGUE = yaml.safe_load(TEXTS.read_text(encoding="utf-8"))
ENTRIES = CATALOGUE["places"] | CATALOGUE["texts"]
PLACE = re.compile(r"\{(\d+)(?::([ndwr]|t\??))?\}")
SAMPLES = {
    "": "Giá trị số 1",
    "n": "1,234.5",
    "d": "2024-10-31",
    "w": "core_measurement",
    "r": "'mẫu'",
    "t": "file mau.csv, row 7",
    "t?": "Giá trị",
}
IN_VIETNAMESE = {"n": "1.234,5", "t": "Tệp mau.csv, dòng 7"}

# What the walk cannot follow, and where its texts come from.
UNSEEN = {
    "*event['error']": "the four parts of an error that a trigger sent",
    "', '.join((f'{code} {name}' for code, name in sorted(names.items())))": "a list of codes and names",
    "'a key that files of this format do not have' if error.validator == 'not' else error.message": "jsonschema's",
    "expected": "policy.py: _EXPECTED; shared_folder.py: _ADVICE",
    "remedy": "shared_folder.py: _ADVICE",
    "found": "registry_checks.py: a code that is not known; returns: Vietnamese as it is",
    "text": "what the file system says, or the value of a setting",
    "name": "a file of a return",
    "folder": "the folder of returns",
    "entry.name": "an entry of the folder of returns",
    "*_NOT_READ[entry.why]": "Vietnamese by the code itself, as all of returns",
    "*_NOT_READ['size']": "the same",
    "*_NOT_READ['deep' if is_folder else 'no file']": "the same",
    "place": "boundaries.py: of each feature",
    "where": "an address in a folder elsewhere, or that of VNNIC",
    "engine": "a setting's value",
    "[f\"a change to what published months stand on: {', '.join(map(str, rewritten))}\", *lines]": (
        "registry_history.py: differences, a line each"
    ),
    "polygon.geom_type": "GeoJSON's word",
    "shapely.is_valid_reason(polygon)": "GEOS's words",
    "re.sub('//.*@', '//…@', text)": "a setting's value",
    "value.isoformat(' ')": "a cell's value",
    "req.full_url": "an address",
    "remote.uri": "an address",
}
# Values, exceptions' own texts and addresses: shown as they are.
UNSEEN_CALLS = re.compile(r"(repr|str|_without_password|shown|self\.shown|remote\.shown)\(.*")
# The entries of what the walk cannot follow, and of what the system says.
BY_HAND = (
    "a text",
    "a number above 0",
    "lists of commune codes",
    "a day from 1 to 28",
    "Mbps ",
    "a chance above",
    "for each indicator",
    "whole numbers for",
    "a number of months from",
    "a number for each",
    "a number of days,",
    "room for the revision",
    "make room on",
    "a place that may",
    "have the file closed",
    "the share, mounted",
    "mount it again",
    "a share that can",
    "mend it, then",
    # Of a wait: exports.ExportFolder, and how long it took.
    "a .done marker",
    "1 file, ",
    "{0:n} files, {1:n} bytes",
    "the folder cannot be read",
    "1 day, ",
    "{0:n} days, ",
    # Of differences between registries, and examples of rows.
    "{0:w} {1} ",
    "such as {0} row",
    "{0}: not text",
    # Of the boundaries' features, of a key in a table.
    "file {0}, feature",
    "KEY (",
)
OF_THE_SYSTEM = ("# What the system says of files and connections", "# What a schema and a decoder say")
# Not language, a part of what only a log tells, or (a place with or without a key) told by two entries.
NAMES = {
    "{0}, line {1}{2}",
    " and {0} more",
    "--every {0}",
    "code, value, download, upload, ping, jitter",
    "duckdb",
    "mobile",
    "not text",
    "“Duyệt phát hành”",
}


@pytest.fixture(scope="module")
def code() -> Code:
    walked = Code()
    walked.walk()
    return walked


def shape(template: str) -> str:
    return PLACE.sub(r"{\1}", template)


def sample(template: str, otherwise: str = "Giá trị số 1") -> str:
    return PLACE.sub(lambda place: SAMPLES[place[2]] if place[2] else otherwise, template)


def is_told_by(text: str, entry: str) -> bool:
    """Whether an entry is what a text is read by."""
    english = PLACE.sub(lambda place: IN_VIETNAMESE.get(place[2] or "", "?"), entry)
    return Template.of(entry, english).split(text)[0] > 0


def read(text: str) -> str | None:
    told = [one for one in (place_in_vietnamese(text), in_vietnamese(text)) if one != text]
    return told[0] if told else None


def of_the_system() -> set[str]:
    """The entries below those headings."""
    found: set[str] = set()
    heading = ""
    for line in TEXTS.read_text(encoding="utf-8").splitlines():
        heading = line.strip() if line.strip().startswith("#") else heading
        if heading in OF_THE_SYSTEM and line.startswith('  "'):
            found.add(yaml.safe_load(line.strip() + " x").popitem()[0])
    return found


def test_every_text_of_an_error_has_one_in_vietnamese(code: Code) -> None:
    shapes = {shape(entry) for entry in ENTRIES}
    missing = [
        (template, sorted(places)[0])
        for template, places in sorted(code.told.templates.items())
        if shape(template) not in shapes | NAMES
        # As one that is more general: `setting ISPEED_ENGINE` by `setting {0}`.
        and read(sample(template)) is None
        and read(sample(template, "tu_1")) is None
        # A body's return is told in Vietnamese by the code itself.
        and not all(place.startswith("returns/") for place in places)
    ]
    assert missing == []


def test_no_entry_is_left_over(code: Code) -> None:
    shapes = {shape(template) for template in code.told.templates}
    finished = [sample(template, value) for template in code.told.templates for value in ("Giá trị số 1", "tu_1", "7")]
    left_over = [
        entry
        for entry in ENTRIES
        if shape(entry) not in shapes
        and not entry.startswith(BY_HAND)
        and entry not in of_the_system()
        and not any(is_told_by(text, entry) for text in finished)
    ]
    assert left_over == []


def test_what_the_walk_cannot_follow_is_what_is_listed_here(code: Code) -> None:
    unseen = {expression for expression in code.told.unseen if not UNSEEN_CALLS.fullmatch(expression)}
    assert unseen == set(UNSEEN)


def test_the_walk_follows_helpers_constants_conditions_and_loops(tmp_path: Path) -> None:
    (tmp_path / "errors.py").write_text('REMEDY = "mend the constant"\n')
    (tmp_path / "a.py").write_text(
        """
from ispeed.errors import REMEDY, UserError

class Entry:
    place: str

    def at(self, column):
        return f"{self.place}, column {column}"

    def refuse(self):
        raise UserError(self.at("x"), "a" if self else "the other " f"of {len(self):,}", "more" + " text", REMEDY)

def told(found, *, remedy="the default remedy"):
    return UserError("here", found, "good", remedy)

def many(rows):
    found = [f"the row {row!r}" for row in rows]
    found.append("and the last one")
    raise UserError("rows", found, _expected(rows), "go on")

def _expected(rows):
    if rows:
        return "some of them"
    return "none of them"

told("what the caller says")
told("what another says", remedy="its own remedy")
for expected, remedy in (("the first pair", "its remedy"), ("the second pair", "that remedy")):
    pass
Entry("the place of it")
"""
    )
    walked = Code(tmp_path)
    assert set(walked.walk().templates) == {
        "the place of it, column x",
        "the other of {0:n}",
        "more text",
        "mend the constant",
        "here",
        "what the caller says",
        "what another says",
        "good",
        "the default remedy",
        "its own remedy",
        "rows",
        "the row {0:r}",
        "and the last one",
        "some of them",
        "none of them",
        "go on",
    }


@pytest.mark.parametrize("part", ["places", "texts"])
def test_each_entry_has_its_places_in_both_languages_and_is_found(part: str) -> None:
    tell = place_in_vietnamese if part == "places" else in_vietnamese
    wrong = []
    for english, vietnamese in CATALOGUE[part].items():
        numbers = [place[1] for place in PLACE.finditer(english)]
        # Several ways to tell one thing apart: of each kind the place is filled with what fits.
        told = {
            place[1]: IN_VIETNAMESE.get(place[2] or "", SAMPLES[place[2] or ""]) for place in PLACE.finditer(english)
        }
        expected = PLACE.sub(lambda place, told=told: told[place[1]], vietnamese)
        if sorted(numbers) != sorted({place[1] for place in PLACE.finditer(vietnamese)}):
            wrong.append((english, "other places"))
        elif tell(sample(english)) != expected:
            wrong.append((english, tell(sample(english))))
    assert wrong == []


def test_the_vietnamese_is_composed_and_not_english() -> None:
    for vietnamese in [*ENTRIES.values(), *CATALOGUE["faults"].values()]:
        assert vietnamese == unicodedata.normalize("NFC", vietnamese)
        assert "  " not in vietnamese and vietnamese == vietnamese.strip() or vietnamese.startswith(" từ ")
        assert not re.search(r"\b(the|and|of|is|with|from|row|rows|correct|mend)\b", vietnamese), vietnamese


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("file a.csv, row 1,234, column download_mbps", "Tệp a.csv, dòng 1.234, cột download_mbps"),
        ("file a,b: row 3.csv, row 7", "Tệp a,b: row 3.csv, dòng 7"),
        ("file a.xlsx, sheet 'Tháng 10', row 7", "Tệp a.xlsx, trang 'Tháng 10', dòng 7"),
        ("month 2024-10, checks of core_measurement", "Tháng 2024-10, các phép kiểm tra của bảng core_measurement"),
        ("setting ISPEED_EXPORTS", "Thiết lập ISPEED_EXPORTS"),
        ("sftp://kho@/exports/2024-10", "sftp://kho@/exports/2024-10"),
        # Two ways to read it: of which part, of a file of which name?
        ("file a, part b, part c", "file a, part b, part c"),
    ],
)
def test_a_place_is_told_with_its_values_as_they_are(where: str, told: str) -> None:
    assert place_in_vietnamese(where) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("12,345 bytes", "12.345 byte"),
        (
            "Mỗi khóa chỉ có một dòng: 12 rows\n    such as a.csv row 8114",
            "Mỗi khóa chỉ có một dòng: 12 dòng\nví dụ: a.csv, dòng 8114",
        ),
        (
            "2 files, 1,234 bytes, no .done marker (a.csv, b.csv), after waiting for 7 days, 0:00:00",
            "2 tệp, 1.234 byte, chưa có .done (a.csv, b.csv), sau khi chờ 7 ngày",
        ),
        ("[Errno 28] No space left on device: '/share/r1'", "Hết chỗ trống trên đĩa (lỗi 28): '/share/r1'"),
        (
            "file c.csv, row 7, column valid_to — found: 2024-01-01, before valid_from 2024-10-01 — "
            "expected: a day on or after it — what to do: correct one of the two",
            "Tệp c.csv, dòng 7, cột valid_to. Phát hiện: 2024-01-01, trước valid_from 2024-10-01. "
            "Yêu cầu: Ngày đó hoặc sau đó. Cần làm: Sửa một trong hai.",
        ),
        # Whatever is not ours stays whole.
        ("no such table: report_month", "no such table: report_month"),
        ("Invalid Input Error: CSV Error on Line: 5", "Invalid Input Error: CSV Error on Line: 5"),
        ("", ""),
    ],
)
def test_a_text_is_told_line_by_line_or_stays_whole(text: str, told: str) -> None:
    assert in_vietnamese(text) == told


def test_a_text_that_was_cut_stays_english() -> None:
    long = UserError("file a.csv", "x", "one of " + "y" * 5_000 + ", as shape * has it", "correct it").expected
    assert in_vietnamese(long).startswith("Một trong các giá trị: yyy")
    assert in_vietnamese("a name that leads elsewhere: '" + "y" * 5_000).startswith("a name that leads")


def test_hostile_values_never_make_a_text_that_says_something_else() -> None:
    """Whatever is told is some entry of the catalogue, filled with values of which that entry makes this very text."""
    chance = random.Random(7)
    everything = list(templates())
    fragments = [part for one in everything for part in one.between if part.strip()] + [
        "7",
        "1,234",
        "'x'",
        "a.csv",
        "",
    ]
    n_told = n_kept = 0
    for _ in range(3_000):
        english, vietnamese = chance.choice(list(CATALOGUE["texts"].items()))
        values = {
            place[1]: (
                SAMPLES[place[2]]
                if place[2] in ("n", "d", "r")
                else "".join(chance.choices(fragments, k=chance.randint(1, 3))).strip()
            )
            for place in PLACE.finditer(english)
        }
        text = PLACE.sub(lambda place, values=values: values[place[1]], english)
        told = in_vietnamese(text)
        if told == text:
            n_kept += 1
            continue
        n_told += 1
        made = [one for one in templates("texts") if (split := one.split(text))[0] == 1 and _fills(one, split[1], told)]
        assert made, (text, told)
    # Most texts are without places or with values that imitate nothing; some must have been left in English.
    assert n_told > 1_500 and n_kept > 20


def _fills(one: Template, values: tuple[str, ...], told: str) -> bool:
    """Whether the Vietnamese of an entry with these values, or with what they are in Vietnamese, is what was told."""
    pattern = re.escape(one.vietnamese)
    for (number, kind), value in zip(one.places, values, strict=True):
        inner = {value, in_vietnamese(value), place_in_vietnamese(value)} if kind.startswith("t") else {value}
        inner = {value.translate(str.maketrans(",.", ".,"))} if kind == "n" else inner
        filled = "(?:" + "|".join(map(re.escape, inner)) + ")"
        pattern = re.sub(r"\\\{" + number + r"\\\}", lambda _, filled=filled: filled, pattern)
    return re.fullmatch(pattern, told, re.DOTALL) is not None


def test_a_value_that_imitates_a_text_leaves_it_in_english() -> None:
    # A cell that says what another error would say.
    value = "5 columns x; the headers are: y"
    assert in_vietnamese(f"{value}, a number that was rounded") == f"{value}, a number that was rounded"
    assert in_vietnamese("22a, a number that was rounded") == "22a, là số đã bị làm tròn"


def test_a_text_made_to_be_slow_is_not() -> None:
    started = time.perf_counter()
    for text in (", row 7, column a" * 120, " — found: " * 200, "a: b, while c holds it until 2024-10-01 " * 50):
        in_vietnamese(text[:2_000])
        place_in_vietnamese(("file " + text)[:2_000])
    assert time.perf_counter() - started < 5


def test_a_fault_is_told_by_its_kind() -> None:
    assert fault_in_vietnamese("OperationalError").startswith("Mất kết nối với cơ sở dữ liệu")
    assert fault_in_vietnamese("SomethingNobodyKnows") == "Chương trình hoặc máy chủ gặp sự cố ngoài dự kiến"

"""The parts of a workbook against the Open XML schemas, and what Excel repairs though the schemas allow it."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from openpyxl.utils import range_boundaries
from test_workbook import MONTHS

from ispeed.workbook.book import write_workbook

audit = pytest.importorskip("openxml_audit", reason="openxml-audit is not installed")

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
Edit = Callable[[str], str]


def schema_faults(path: Path) -> list[str]:
    """Elements, their order, attributes and their values, relationships: as the Open XML SDK's schemas have them."""
    result = audit.OpenXmlValidator(file_format=audit.FileFormat.OFFICE_2019).validate(str(path))
    return [f"{error.part_uri} {error.description}" for error in result.errors]


def repairs(path: Path) -> Iterator[str]:
    """What the schemas do not say and Excel offers to repair."""
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    yield from _content_types(parts)
    yield from _relationships(parts)
    n_styles = len(ElementTree.fromstring(parts["xl/styles.xml"]).findall(f"{MAIN}cellXfs/{MAIN}xf"))
    ids: set[str] = set()
    names: set[str] = set()
    for name in sorted(parts):
        root = ElementTree.fromstring(parts[name]) if name.endswith(".xml") else None
        if root is None:
            continue
        if name.startswith("xl/tables/"):
            yield from _table(name, root, ids, names)
        if name.startswith("xl/worksheets/sheet"):
            yield from _sheet(name, root, n_styles)
        if name == "xl/workbook.xml":
            for defined in root.iter(f"{MAIN}definedName"):
                if not re.fullmatch(r"(?:_xlnm\.)?[A-Za-z_][\w.]*", defined.attrib["name"]):
                    yield f"{name}: the name {defined.attrib['name']}"


def _content_types(parts: dict[str, bytes]) -> Iterator[str]:
    types = ElementTree.fromstring(parts["[Content_Types].xml"])
    named = {entry.attrib["PartName"] for entry in types if "PartName" in entry.attrib}
    endings = {entry.attrib["Extension"] for entry in types if "Extension" in entry.attrib} - {"xml"}
    for name in parts:
        if name != "[Content_Types].xml" and f"/{name}" not in named and name.rsplit(".", 1)[-1] not in endings:
            yield f"{name} has no content type"
    yield from (f"{name} is named and not there" for name in sorted(named) if name[1:] not in parts)


def _relationships(parts: dict[str, bytes]) -> Iterator[str]:
    for name in sorted(name for name in parts if name.endswith(".rels")):
        base = posixpath.dirname(posixpath.dirname(name))
        for one in ElementTree.fromstring(parts[name]):
            target = one.attrib["Target"]
            path = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(base, target))
            if path not in parts:
                yield f"{name} leads to {target}"


def _table(name: str, root: ElementTree.Element, ids: set[str], names: set[str]) -> Iterator[str]:
    columns = root.findall(f"{MAIN}tableColumns/{MAIN}tableColumn")
    left, _, right, _ = range_boundaries(root.attrib["ref"])
    texts = [column.attrib["name"].casefold() for column in columns]
    counted = {part.attrib["count"] for part in root.iter(f"{MAIN}tableColumns")}
    if len(columns) != right - left + 1 or counted != {str(len(columns))}:
        yield f"{name}: {len(columns)} columns in {root.attrib['ref']}"
    if len(set(texts)) != len(texts) or not all(texts):
        yield f"{name}: column names that are not unique"
    filtered = root.find(f"{MAIN}autoFilter")
    if filtered is not None and filtered.attrib["ref"] != root.attrib["ref"]:
        yield f"{name}: a filter of {filtered.attrib['ref']}"
    for value, taken in ((root.attrib["id"], ids), (root.attrib["displayName"].casefold(), names)):
        if value in taken:
            yield f"{name}: a second {value}"
        taken.add(value)


def _sheet(name: str, root: ElementTree.Element, n_styles: int) -> Iterator[str]:
    cells = [cell.attrib["r"] for cell in root.iter(f"{MAIN}c")]
    if len(set(cells)) != len(cells):
        yield f"{name}: a cell twice"
    rows = [int(row.attrib["r"]) for row in root.iter(f"{MAIN}row")]
    if rows != sorted(set(rows)):
        yield f"{name}: rows out of order"
    for cell in root.iter(f"{MAIN}c"):
        if int(cell.get("s", "0")) >= n_styles:
            yield f"{name}: style {cell.attrib['s']} of {cell.attrib['r']}"
    merged: set[tuple[int, int]] = set()
    for area in root.iter(f"{MAIN}mergeCell"):
        left, top, right, bottom = range_boundaries(area.attrib["ref"])
        places = {(row, column) for row in range(top, bottom + 1) for column in range(left, right + 1)}
        if places & merged:
            yield f"{name}: merged cells over others, {area.attrib['ref']}"
        merged |= places


def put(old: str, new: str) -> Edit:
    def edit(part: str) -> str:
        assert old in part, old
        return part.replace(old, new, 1)

    return edit


def change(pattern: str, new: str) -> Edit:
    def edit(part: str) -> str:
        changed, found = re.subn(pattern, new, part, count=1, flags=re.DOTALL)
        assert found, pattern
        return changed

    return edit


SHEET, TABLE = "xl/worksheets/sheet2.xml", "xl/tables/table2.xml"
AGAINST_THE_SCHEMA: dict[str, tuple[str, Edit | None]] = {
    "elements out of order": (SHEET, change(r"(<pageMargins[^>]*/>)(<pageSetup[^>]*/>)", r"\2\1")),
    "merged cells behind the paper": (SHEET, change(r"(<mergeCells.*?</mergeCells>)(.*)(</worksheet>)", r"\2\1\3")),
    "a word for a number": (SHEET, put('paperSize="9"', 'paperSize="nine"')),
    "an unknown element": (SHEET, put("<sheetData", "<colour/><sheetData")),
    "a text that is not there": (SHEET, change(r't="s"><v>\d+</v>', 't="s"><v>99999</v>')),
}
REPAIRED: dict[str, tuple[str, Edit | None]] = {
    "a table that is not there": (TABLE, None),
    "a part without a type": (
        "[Content_Types].xml",
        change(r'<Override PartName="/xl/worksheets/sheet3.xml"[^>]*/>', ""),
    ),
    "two tables of one id": (TABLE, put(' id="2"', ' id="1"')),
    "two tables of one name": (TABLE, put('displayName="phu_luc_ii"', 'displayName="Phu_Luc_I"')),
    "two columns of one name": (TABLE, put('name="Mẫu đại diện"', 'name="lượt đo"')),
    "a filter beside its table": (TABLE, change(r'<autoFilter ref="[^"]*"', '<autoFilter ref="A1:B2"')),
    "another number of columns": (TABLE, change(r'<tableColumns count="\d+"', '<tableColumns count="3"')),
    "a name with a space": ("xl/workbook.xml", put("_xlnm.Print_Area", "Print Area")),
    "a style that is not there": (SHEET, change(r' s="\d+"', ' s="9999"')),
    "merged cells over others": (SHEET, put("</mergeCells>", '<mergeCell ref="A2:B3"/></mergeCells>')),
    "a cell twice": (SHEET, change(r'(<c r="A8".*?</c>)', r"\1\1")),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "book.xlsx"
    write_workbook(MONTHS["a month"], path)
    return path


def edited(good: Path, path: Path, part: str, edit: Edit | None) -> Path:
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != part:
                new.writestr(name, old.read(name))
            elif edit:
                new.writestr(name, edit(old.read(name).decode()))
    return path


@pytest.mark.parametrize("month", MONTHS)
def test_every_part_follows_its_schema_and_nothing_is_there_to_repair(month: str, tmp_path: Path) -> None:
    write_workbook(MONTHS[month], tmp_path / "book.xlsx")
    assert schema_faults(tmp_path / "book.xlsx") == []
    assert list(repairs(tmp_path / "book.xlsx")) == []


@pytest.mark.parametrize("name", AGAINST_THE_SCHEMA)
def test_what_is_against_the_schema_is_seen(name: str, good: Path, tmp_path: Path) -> None:
    assert len(schema_faults(edited(good, tmp_path / "broken.xlsx", *AGAINST_THE_SCHEMA[name]))) > 0


@pytest.mark.parametrize("name", REPAIRED)
def test_what_excel_would_repair_is_seen(name: str, good: Path, tmp_path: Path) -> None:
    assert len(list(repairs(edited(good, tmp_path / "broken.xlsx", *REPAIRED[name])))) > 0

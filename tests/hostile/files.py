"""Hostile files, and the end that each must come to: one table, by format.

A case is a name, the files of a month, and its end: `refused` (one clear error: where it is, and words that it has) or
`counted` (so many rows accepted, and the numbers of those that are not by quarantine reason; raw is their sum).
"""

from __future__ import annotations

import json
import os
import random
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from making import (
    HEADERS,
    MIB,
    array,
    bent,
    book,
    cp1258,
    csv,
    edited,
    forged,
    gzip_bomb,
    gzipped,
    int96_parquet,
    lines,
    linked,
    literal,
    measured_parquet,
    overlapping,
    packed_csv,
    part_of,
    record,
    row,
    rows,
    sheet,
    with_part,
    write_rows,
    zip_bomb,
    zipped,
)

Content = bytes | Callable[[], bytes]


@dataclass(frozen=True)
class Refused:
    """One error: `where` (the file, if nothing else) stands in its first line, all of `named` anywhere in it."""

    named: tuple[str, ...]
    where: str | None


@dataclass(frozen=True)
class Counted:
    """Every row in its place. `quarantined` has row numbers by reason, `values` what the accepted rows hold, in order.

    Where none is accepted the month stops, and the counts are noted all the same.
    """

    accepted: int
    quarantined: Mapping[str, Sequence[int]]
    values: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Case:
    """A file named as its format is, or `file`, and others beside it; `arrange` makes what is none.

    `shape` changes keys of every shape of the contract, `settings` some settings. A bomb is measured, too.
    """

    name: str
    content: Content
    end: Refused | Counted
    file: str = ""
    beside: Mapping[str, Content] = field(default_factory=dict)
    arrange: Callable[[Path], None] | None = None
    shape: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_bomb: bool = False


def refused(*named: str, where: str | None = None) -> Refused:
    return Refused(named, where)


def counted(accepted: int, values: Mapping[str, Sequence[Any]] | None = None, **quarantined: Sequence[int]) -> Counted:
    return Counted(accepted, quarantined, values or {})


def ids(*numbers: int) -> dict[str, list[str]]:
    return {"measurement_id": [f"m{number}" for number in numbers]}


def bare(record: Sequence[Any]) -> str:
    """A record of csv without quotes, whatever it holds."""
    return ",".join(map(str, record))


BOM = "\ufeff".encode()
NOISE = random.Random(2024).randbytes(200_000)
EIGHT = datetime(2024, 10, 1, 8)
SWAPPED = ["10/15/2024 08:00:00", "10/01/2024 08:00:00"]
NO_TIMES = [
    "31/09/2024 08:00:00",
    "00/00/0000 00:00:00",
    "01/10/2024 24:00:00",
    "01/10/2024 8:00 AM",
    "epoch",
    "45566.5",
]
NO_NUMBERS = ["inf", "-Infinity", "NaN", "1e400", "0x10", "1_000", "\u0663", "\uff12", "1 000", "--1", "1e", "."]
FORMULAS = ["=1+1", "+1", "-1", "@x", "=cmd|'/c calc'!A0"]

CSV = [
    Case("empty", b"", refused("row 1", "nothing")),
    Case("white space only", b" \r\n\t\n  \n", refused("row 1", "nothing")),
    Case("NUL bytes only", bytes(5_000), refused("row 1", "measured_at")),
    Case("header only", csv, counted(0)),
    Case("random bytes", NOISE, refused("row 1", "bytes that are no text")),
    Case("a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + NOISE, refused("row 1")),
    Case("a workbook named csv", sheet(row(2)), refused("row 1")),
    Case("gzip named csv", gzipped(csv(row(2))), refused("row 1")),
    Case("wrong delimiter", csv(row(2), delimiter=";"), refused("row 1", "measured_at")),
    Case("a line sep= first", b"sep=,\n" + csv(row(2)), refused("row 1", "measured_at")),
    Case("a title first", b"October\n" + csv(row(2)), refused("row 1", "measured_at")),
    Case(
        "10,000 columns",
        csv(header=[*HEADERS, *map(str, range(10_000))]),
        refused("10,006 columns", "ISPEED_COLUMNS_MAX"),
    ),
    Case("900 strange headers", csv(header=["x" * 99] * 900), refused("row 1", "measured_at")),
    Case(
        "line breaks and an escape sequence in headers",
        csv(header=["Mã\nphép\rđo", "\x1b[31mThời gian đo"]),
        refused("row 1", "measured_at"),
    ),
    Case(
        "a header twice, in other letters",
        csv(header=[*HEADERS, unicodedata.normalize("NFD", " mã  XÃ ")]),
        refused("row 1", "2 headers for commune_code"),
    ),
    Case("a header again below", csv(row(2), HEADERS, row(4)), counted(2, ids(2, 4), unreadable_row=[3])),
    Case("a hostile header", csv([*row(2), "x"], header=[*HEADERS, '"); drop table read_text; --']), counted(1)),
    Case(
        "a field over the limit",
        csv(row(2), row(3, operator="x" * 100_001), row(4)),
        counted(2, ids(2, 4), unreadable_row=[3]),
    ),
    Case(
        "a record of 5 MB",
        csv(row(2), row(3, operator="x" * 5_000_000), row(4)),
        counted(2, ids(2, 4), unreadable_row=[3]),
    ),
    Case("too short", csv(row(2), row(3)[:-1], row(4)), counted(2, ids(2, 4), unreadable_row=[3])),
    Case("too long", csv(row(2), [*row(3), "x"], row(4)), counted(2, ids(2, 4), unreadable_row=[3])),
    Case(
        "a surplus field that is empty", csv(row(2), [*row(3), ""], row(4)), counted(2, ids(2, 4), unreadable_row=[3])
    ),
    Case("a row of commas", csv(row(2), ",,,,,", row(4)), counted(2, missing_required=[3])),
    Case(
        "a thousand-comma cell, quoted and bare",
        csv(row(2), row(3, down="1,234.5"), bare(row(4, down="1,234.5")), row(5)),
        counted(2, ids(2, 5), unreadable_row=[3, 4]),
    ),
    Case(
        "decimal comma where the point is declared, quoted and bare",
        csv(row(2), row(3, down="12,5"), bare(row(4, down="12,5")), row(5)),
        counted(2, ids(2, 5), unreadable_row=[3, 4]),
    ),
    Case(
        "quoted newlines",
        csv(row(2, operator="a\nb"), row(3), row(4, operator="x\r\n\r\ny"), row(5, down=-1)),
        counted(3, ids(2, 3, 4), implausible_value=[5]),
    ),
    Case("an unclosed quote", csv(row(2), 'm3,"open', *rows(4, 5)), refused("row 3", "a quote that does not close")),
    Case(
        "an unclosed quote in the last row",
        csv(row(2), bare(row(3)[:-1]) + ',"open'),
        refused("row 3", "a quote that does not close"),
    ),
    Case(
        "two open quotes that close each other rows later",
        csv(row(2), bare(row(3)[:-1]) + ',"', *rows(4, 5), bare(row(6)[:-1]) + ',"', row(7)),
        refused("row 3", "a quote that does not close"),
    ),
    Case(
        "a quote within a bare field",
        csv(row(2), bare(row(3, operator='P. "Vĩnh Hải"')), row(4)),
        counted(3, {"operator": ["Viettel", 'P. "Vĩnh Hải"', "Viettel"]}),
    ),
    Case("CR alone ends lines", csv(*rows(2, 3, 4), end="\r"), counted(3, ids(2, 3, 4))),
    Case(
        "lines that end in each way",
        (csv(row(2)) + b"".join(csv(row(n), header=None, end=end) for n, end in ((3, "\r\n"), (4, "\r")))),
        counted(3, ids(2, 3, 4)),
    ),
    Case("U+2028 ends lines", csv(*rows(2, 3), end="\u2028"), counted(0)),
    Case("empty lines", csv("", "", row(4), "", row(6), "", ""), counted(2, ids(4, 6))),
    Case("a BOM at the start, and another", BOM + BOM + csv(row(2)), counted(1, ids(2))),
    Case(
        "a BOM in the middle, where another export begins",
        BOM + csv(row(2)) + BOM + csv(row(4)),
        counted(2, ids(2, 4), unreadable_row=[3]),
    ),
    Case(
        "a BOM in the middle, before the same row",
        csv(row(2)) + BOM + csv(row(2), row(4), header=None),
        counted(2, ids(2, 4), duplicate=[3]),
    ),
    Case(
        "marks without a width, and spaces of other kinds",
        csv(row(2, id="\u200bm2\u00a0"), row(3, id="m2\u2060\u3000"), row(4, tech="\u00a04G\u200b")),
        counted(2, ids(2, 4), duplicate=[3]),
    ),
    Case(
        "NUL bytes in fields",
        csv(row(2, id="m\0002"), row(3, down="\0003.5"), row(4, tech="4G\0")),
        counted(3, ids(2, 3, 4)),
    ),
    Case(
        "NUL bytes at the end, as after a crash",
        csv(*rows(2, 3)) + bytes(4096),
        counted(2, ids(2, 3), unreadable_row=[4]),
    ),
    Case(
        "half a character at the end of a field",
        csv(row(2), bare(row(3, operator="Đ")).encode()[:-1], row(4)),
        counted(2, ids(2, 4), unreadable_row=[3]),
    ),
    Case(
        "half a character at the end of the file",
        csv(row(2), row(3, operator="Đ"))[:-2],
        counted(1, ids(2), unreadable_row=[3]),
    ),
    Case(
        "half a character in the header",
        csv(row(2)).replace("ờ".encode(), "ờ".encode()[:2]),
        refused("row 1", "measured_at"),
    ),
    Case(
        "bytes that UTF-8 forbids",
        csv(row(2), *(bare(row(3)).encode() + bad for bad in (b"\xc0\xaf", b"\xed\xa0\x80", b"\xff"))),
        counted(1, ids(2), unreadable_row=[3, 4, 5]),
    ),
    Case(
        "a TCVN3 row in UTF-8",
        csv(row(2), bare(row(3, operator="Thành phố")).encode("tcvn3"), row(4)),
        counted(2, ids(2, 4), unreadable_row=[3]),
    ),
    Case("TCVN3 for UTF-8", csv(row(2), encoding="tcvn3"), refused("row 1", "measured_at")),
    Case(
        "CP1258, whose letters are apart from their tones",
        b"\n".join(map(cp1258, [",".join(HEADERS), bare(row(2, tech="Cố định")), bare(row(3))])),
        counted(2, {"technology": ["Cố định", "4G"]}),
        shape={"encoding": "cp1258"},
    ),
    Case("UTF-16 for UTF-8", csv(row(2)).decode().encode("utf-16"), refused("row 1")),
    Case("UTF-16 without BOM", csv(row(2)).decode().encode("utf-16-le"), refused("row 1")),
    Case(
        "UTF-16 as declared, without BOM",
        csv(row(2)).decode().encode("utf-16-le"),
        refused("BOM", "utf-16"),
        shape={"encoding": "utf-16"},
    ),
    Case(
        "UTF-16 as declared, half a character short",
        csv(*rows(2, 3)).decode().encode("utf-16")[:-3],
        refused("line 3", "utf-16"),
        shape={"encoding": "utf-16"},
    ),
    Case("UTF-8 for UTF-16", csv(row(2)), refused("BOM", "utf-16"), shape={"encoding": "utf-16"}),
    Case(
        "Excel's 5.3033E+11 in codes, with either decimal mark",
        csv(row(2), row(3, commune="5.3033E+11"), row(4, id="5,3033E+11"), row(5, commune="1E+05")),
        counted(1, ids(2), unreadable_row=[3, 4, 5]),
    ),
    Case(
        "NaN for codes", csv(row(2), row(3, id="nan"), row(4, commune="NaN")), counted(1, ids(2), unreadable_row=[3, 4])
    ),
    Case(
        "day and month swapped",
        csv(row(2), *(row(n, at=at) for n, at in enumerate(SWAPPED, 3))),
        counted(1, ids(2), bad_timestamp=[3], other_month=[4]),
    ),
    Case(
        "times that are none",
        csv(row(2), *(row(n, at=at) for n, at in enumerate(NO_TIMES, 3))),
        counted(1, ids(2), bad_timestamp=range(3, 9)),
    ),
    Case(
        "the first year and the last",
        csv(row(2), row(3, at="01/01/0001 00:00:00"), row(4, at="31/12/9999 23:59:59")),
        counted(1, ids(2), other_month=[3], future_timestamp=[4]),
    ),
    Case("only another month", csv(*rows(2, 3, at="01/09/2024 08:00:00")), counted(0, other_month=[2, 3])),
    Case("every row twice", csv(*rows(2, 3), *rows(2, 3)), counted(2, ids(2, 3), duplicate=[4, 5])),
    Case(
        "rows without an id, twice",
        csv(row(2, id="-"), row(2, id=""), row(3, id="NULL")),
        counted(2, {"measurement_id": [None, None]}, duplicate=[3]),
    ),
    Case(
        "one file under two names",
        csv(*rows(2, 3)),
        counted(2, ids(2, 3), duplicate=[2, 3]),
        beside={"b.csv": csv(*rows(2, 3))},
    ),
    Case(
        "negative, zero and impossible figures",
        csv(row(2), *(row(n, down=down) for n, down in enumerate([-1, 0, "-0.0", "1e10"], 3))),
        counted(1, ids(2), implausible_value=[3, 4, 5, 6]),
    ),
    Case(
        "figures that are none",
        csv(row(2), *(row(n, down=down) for n, down in enumerate(NO_NUMBERS, 3))),
        counted(1, ids(2), unreadable_row=range(3, 15)),
    ),
    Case(
        "coordinates 0,0, swapped, and outside",
        csv(
            *([*row(n), *place] for n, place in enumerate([(0, 0), (109.19, 12.24), (-33, 151), ("12,24", "x")], 2)),
            header=[*HEADERS, "Vĩ độ", "Kinh độ"],
        ),
        counted(3, {"latitude": [0, 109.19, -33], "longitude": [0, 12.24, 151]}, unreadable_row=[5]),
    ),
    Case(
        "texts that a spreadsheet would run",
        csv(*(row(n, operator=text) for n, text in enumerate([*FORMULAS, "\t=1", "\r=1"], 2))),
        counted(7, {"operator": [*FORMULAS, "=1", "=1"]}),
    ),
    Case(
        "figures with a sign or a formula's",
        csv(row(2, down="+2.5"), row(3, down="=3.5"), row(4, down="'4.5"), row(5, down="@5.5")),
        counted(1, {"download_mbps": [2.5]}, unreadable_row=[3, 4, 5]),
    ),
    Case(
        "a file over the limit",
        csv(*rows(*range(2, 99))),
        refused("ISPEED_FILE_BYTES_MAX"),
        settings={"file_bytes_max": 1_000},
    ),
    Case("more rows than the limit", csv(*rows(*range(2, 99))), refused("ISPEED_ROWS_MAX"), settings={"rows_max": 50}),
]

GZIP = [
    Case("cut off", gzipped(packed_csv(*range(2, 60)))[:-100], refused("damaged gzip")),
    Case("cut in the checksum", gzipped(packed_csv(2))[:-4], refused("damaged gzip")),
    Case("a wrong checksum", gzipped(packed_csv(2))[:-8] + gzipped(packed_csv(3))[-8:], refused("damaged gzip")),
    Case("no gzip", packed_csv(2), refused("damaged gzip")),
    Case("empty", b"", refused("row 1", "nothing")),
    Case("garbage behind", gzipped(packed_csv(2)) + b"x", refused("damaged gzip")),
    Case("zeros behind", gzipped(packed_csv(*[2, 3])) + bytes(512), counted(2, ids(2, 3))),
    Case("two members", gzipped(packed_csv(2, 3)) + gzipped(packed_csv(4, header=None)), counted(3, ids(2, 3, 4))),
    Case(
        "two members, parted within a character",
        gzipped(packed_csv(2)[:2]) + gzipped(packed_csv(2)[2:]),
        counted(1, ids(2)),
    ),
    Case(
        "two members, each with a header",
        gzipped(packed_csv(2)) + gzipped(packed_csv(4)),
        counted(2, ids(2, 4), unreadable_row=[3]),
    ),
    Case(
        "two members, the second cut off",
        gzipped(packed_csv(2)) + gzipped(packed_csv(4))[:-20],
        refused("damaged gzip"),
    ),
    Case("gzip in gzip", gzipped(gzipped(packed_csv(2))), refused("row 1")),
    Case("a bomb of 2 GB", gzip_bomb(2048 * MIB), refused("ISPEED_EXPANSION_MAX"), is_bomb=True),
    Case(
        "100,000 members of nothing", gzipped(packed_csv(2)) + gzipped(b"") * 100_000, counted(1, ids(2)), is_bomb=True
    ),
]

ZIP = [
    Case("no archive", lambda: NOISE, refused("damaged zip")),
    Case("cut off", lambda: zipped(("a.csv", csv(row(2))))[:-30], refused("damaged zip")),
    Case("no member", zipped, refused("without files")),
    Case("an empty member", lambda: zipped(("a.csv", "")), refused("/a.csv, row 1", "nothing")),
    Case("a stray member", lambda: zipped(("a.pdf", "x")), refused("/a.pdf", "no shape")),
    Case("a locked member", lambda: forged(zipped(("a.csv", csv(row(2)))), flags=1), refused("password")),
    Case(
        "a member with a wrong checksum",
        lambda: forged(zipped(("a.csv", csv(row(2)))), crc=1),
        refused("/a.csv", "damaged zip"),
    ),
    Case(
        "an unknown packing method",
        lambda: forged(zipped(("a.csv", csv(row(2)))), method=99),
        refused("member 'a.csv'", "method 99"),
    ),
    Case(
        "LZMA, which takes memory as the archive says",
        lambda: zipped(("a.csv", csv(row(2))), method=zipfile.ZIP_LZMA),
        refused("member 'a.csv'", "method 14"),
    ),
    Case("a name twice", lambda: zipped(("a.csv", ""), ("a.csv", "")), refused("2 members named a.csv")),
    Case(
        "names that differ in case, and a file of that name beside",
        lambda: zipped(("a.csv", csv(row(2))), ("A.csv", csv(row(3)))),
        counted(3, ids(4, 3, 2)),
        beside={"a.csv": csv(row(4))},
    ),
    Case(
        "a folder that holds bytes itself",
        lambda: zipped(("a.csv", csv(row(2))), ("b.csv/", csv(row(3)))),
        refused("member 'b.csv/'", "a folder"),
    ),
    Case("a link", lambda: zipped(linked("a.csv", "/etc/hostname")), refused("member 'a.csv'", "a link")),
    *(
        Case(f"a member {name!r}", partial(zipped, (name, csv(row(2)))), refused("member", "leads elsewhere"))
        for name in (
            "../../x.csv",
            "/etc/x.csv",
            "a\\..\\..\\x.csv",
            "C:x.csv",
            "\\\\host\\x.csv",
            "x\n.csv",
            "\u202ex.csv",
        )
    ),
    Case(
        "a NUL byte in a member's name",
        lambda: zipped(("x.csv#.exe", csv(row(2)))).replace(b"#", b"\0"),
        refused("member 'x.csv\\x00.exe'", "leads elsewhere"),
    ),
    Case(
        "1,001 members",
        lambda: zipped(*((f"{n}.csv", "") for n in range(1_001))),
        refused("1,001 members", "ISPEED_ARCHIVE_MEMBERS_MAX"),
    ),
    Case(
        "one archive behind another",
        lambda: zipped(("a.csv", csv(row(2)))) + zipped(("b.csv", csv(row(3)))),
        refused("before the first member"),
    ),
    Case(
        "an archive behind, without its end",
        lambda: zipped(("a.csv", csv(row(2)))) + zipped(("b.csv", csv(row(3))))[:-22],
        refused("bytes behind its end"),
    ),
    Case(
        "a member declared shorter, with the checksum of what is left",
        lambda: forged(zipped(("a.csv", csv(*rows(2, 3)))), size=len(csv(row(2))), crc=zlib.crc32(csv(row(2)))),
        refused("/a.csv", "damaged zip"),
    ),
    Case(
        "a member declared longer",
        lambda: forged(zipped(("a.csv", csv(row(2)))), size=8_000),
        refused("/a.csv", "longer or shorter"),
    ),
    Case(
        "members that overlap",
        lambda: overlapping(["a.csv", "b.csv"], csv(*rows(*range(2, 50)))),
        refused("'b.csv' overlaps"),
    ),
    Case("zip in zip", lambda: zipped(("b.zip", zip_bomb(MIB))), refused("member 'b.zip'", "in an archive")),
    Case("gzip in zip", lambda: zipped(("b.csv.gz", b"")), refused("member 'b.csv.gz'", "in an archive")),
    Case("zip in zip, named csv", lambda: zipped(("b.csv", zip_bomb(MIB))), refused("/b.csv, row 1")),
    Case("a bomb of 2 GB", lambda: zip_bomb(2047 * MIB), refused("ISPEED_EXPANSION_MAX"), is_bomb=True),
    Case(
        "a bomb of 2 GB, declared as 1,000 bytes",
        lambda: zip_bomb(2047 * MIB, n_declared=1_000),
        refused("/a.csv", "damaged zip"),
        is_bomb=True,
    ),
    Case(
        "a bomb of 250 members that overlap",
        lambda: overlapping([f"{n}.csv" for n in range(250)], b"0" * 8 * MIB),
        refused("ISPEED_EXPANSION_MAX"),
        is_bomb=True,
    ),
    Case(
        "a bomb in a workbook in an archive",
        lambda: zipped(("a.xlsx", with_part(sheet(row(2)), "xl/media/x.bin", bytes(200 * MIB)))),
        refused("ISPEED_EXPANSION_MAX"),
        is_bomb=True,
    ),
]

SHEET, STRINGS, BOOK = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml"
XXE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)) + "]>"
)
FAR_CELLS = "".join(f'<row r="{n}"><c r="XFD{n}"><v>{n}</v></c></row>' for n in range(3, 20_003))
MERGED = '</sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>'


def edited_sheet(old: str, new: str, *numbers: int, count: int = 1) -> bytes:
    return edited(sheet(*rows(*(numbers or (2, 3, 4)))), SHEET, old, new, count)


def formatted(cell: str, value: Any, form: str) -> Callable[[Any, Any], None]:
    """A value in a cell, with a number format."""
    return lambda book, made: made.write(cell, value, book.add_format({"num_format": form}))


def dated(book: Any, made: Any) -> None:
    made.write_datetime("B2", EIGHT, book.add_format({"num_format": "dd/mm/yyyy hh:mm"}))


def sheets_of(*titles: str, hidden: str = "") -> bytes:
    """Measurements on each sheet: m2 on the first, m3 on the second …"""

    def fill(workbook: Any) -> None:
        for number, title in enumerate(titles, start=2):
            made = workbook.add_worksheet(title)
            write_rows(made, HEADERS, row(number))
            (made.hide if title == hidden else made.activate)()

    return book(fill)


def no_workbook() -> bytes:
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    return zipped(
        ("[Content_Types].xml", f'<Types xmlns="{types}"><Default Extension="xml" ContentType="text/xml"/></Types>')
    )


def padded(content: bytes) -> bytes:
    """A workbook with a picture that deflate cannot pack, so that the ratio of the whole stays modest."""
    return with_part(content, "xl/media/image1.png", random.Random(1).randbytes(2 * MIB))


XLSX = [
    *(
        Case(f"{what} named xlsx", make, refused("no readable xlsx workbook"))
        for what, make in {
            "nothing": bytes,
            "random bytes": lambda: NOISE,
            "a web page": lambda: b"<html><table><tr><td>1</td></tr></table></html>",
            "an old or locked workbook": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
            "csv": lambda: csv(row(2)),
            "zip": lambda: zipped(("a.csv", csv(row(2)))),
            "another office document": no_workbook,
        }.items()
    ),
    Case("cut off", lambda: sheet(row(2))[:-40], refused("no readable xlsx workbook")),
    Case("without its sheet", lambda: edited(sheet(), BOOK, "<sheets>.*</sheets>", ""), refused("none")),
    Case(
        "a sheet that lies outside",
        lambda: edited(sheet(), "xl/_rels/workbook.xml.rels", "worksheets/sheet1.xml", "../../../../etc/passwd"),
        refused("none", "a visible sheet"),
    ),
    Case("an external entity", lambda: edited_sheet("<worksheet", XXE + "<worksheet"), refused(SHEET, "document type")),
    Case(
        "a billion laughs",
        lambda: edited(sheet(row(2, operator="@")), STRINGS, "<sst(.*)@", LAUGHS + "<sst>&a9;"),
        refused(STRINGS, "document type"),
        is_bomb=True,
    ),
    Case(
        "a billion laughs in a part that is not named as one",
        lambda: edited(
            with_part(sheet(row(2)), "xl/x.dat", LAUGHS.encode() + part_of(sheet(row(2)), STRINGS)),
            "[Content_Types].xml",
            STRINGS,
            "xl/x.dat",
        ),
        refused("xl/x.dat", "document type"),
    ),
    Case("another encoding", lambda: edited_sheet("UTF-8", "ISO-8859-1"), refused(SHEET, "ISO-8859-1")),
    Case("a control character", lambda: edited(sheet(row(2)), STRINGS, "Viettel", "a\x01"), refused()),
    Case(
        "a text at XFD1048576",
        lambda: sheet(row(2), then=lambda _, made: made.write("XFD1048576", "x")),
        counted(1, ids(2), unreadable_row=[1_048_576]),
        is_bomb=True,
    ),
    Case("a border at XFD1048576", lambda: sheet(row(2), then=formatted("XFD1048576", None, "0")), counted(1, ids(2))),
    Case(
        "20,000 rows with a cell at XFD each",
        lambda: edited(sheet(row(2)), SHEET, "</sheetData>", FAR_CELLS + "</sheetData>"),
        counted(1, ids(2), unreadable_row=range(3, 20_003)),
        is_bomb=True,
    ),
    Case("a cell beyond XFD", lambda: edited_sheet('r="F3"', 'r="XFE3"'), refused("row 3", "beyond column XFD")),
    Case("a cell far beyond", lambda: edited_sheet('r="F3"', 'r="ZZZZ3"'), refused("ZZZZ")),
    Case(
        "rows shifted to the right",
        lambda: sheet(row(2), ["", *row(3)], row(4), [None, None, *row(5)]),
        counted(2, ids(2, 4), unreadable_row=[3, 5]),
    ),
    Case(
        "a remark without a header",
        lambda: sheet(row(2), [*row(3), "checked"], [*row(4), " "], [*row(5), None, 0]),
        counted(2, ids(2, 4), unreadable_row=[3, 5]),
    ),
    *(
        Case(
            f"row {number} where row 3 belongs",
            partial(edited_sheet, '<row r="3"', f'<row r="{number}"', 2, 3, 4),
            refused(f"row {number}", "rows that rise"),
        )
        for number in ("2", "0", "-5", "1048577", "99999999999")
    ),
    Case(
        "a cell twice, and one of another row",
        lambda: edited(edited_sheet('r="E3"', 'r="D3"'), SHEET, 'r="D4"', 'r="D9"'),
        counted(1, ids(2), unreadable_row=[3, 4]),
    ),
    Case(
        "no numbers of rows and cells", lambda: edited_sheet(' r="[A-Z]*[0-9]*"', "", count=0), counted(3, ids(2, 3, 4))
    ),
    *(
        Case(
            f"dimensions {given}",
            partial(edited_sheet, 'dimension ref="[^"]*"', f'dimension ref="{given}"'),
            counted(3),
        )
        for given in ("A1:B1", "A1:XFD1048576")
    ),
    Case("a hidden sheet, not named", lambda: sheets_of("ẩn", "hiện", hidden="ẩn"), counted(1, ids(3))),
    Case(
        "a hidden sheet, named", lambda: sheets_of("ẩn", "hiện", hidden="ẩn"), counted(1, ids(2)), shape={"sheet": "ẩn"}
    ),
    Case(
        "hidden rows and columns",
        lambda: sheet(
            *rows(2, 3),
            then=lambda _, made: (
                made.set_row(2, 15, None, {"hidden": True}),
                made.set_column("D:E", 9, None, {"hidden": True}),
            ),
        ),
        counted(2, {"download_mbps": [2.5, 3.5]}),
    ),
    Case("two sheets of measurements", lambda: sheets_of("tuần 1", "tuần 2"), refused("'tuần 1' and 'tuần 2'")),
    Case("no sheet of that name", lambda: sheets_of("tuần 1"), refused("'tuần 1'", "'x'"), shape={"sheet": "x"}),
    Case(
        "title rows and empty rows",
        lambda: book(lambda made: write_rows(made.add_worksheet(), ["Tháng 10"], [], HEADERS, row(4), [], row(6))),
        counted(2, ids(4, 6)),
    ),
    Case(
        "the header below row 30",
        lambda: book(lambda made: write_rows(made.add_worksheet(), *[["x"]] * 30, HEADERS, row(32))),
        refused("sheet 'Sheet1'", "30 rows"),
    ),
    Case(
        "10,000 columns",
        lambda: book(lambda made: write_rows(made.add_worksheet(), [*HEADERS, *range(10_000)])),
        refused("10,006 columns", "ISPEED_COLUMNS_MAX"),
    ),
    Case(
        "cells merged over rows, and over columns",
        lambda: sheet(
            *rows(2, 3, 4, 5),
            then=lambda _, made: (made.merge_range("E2:E4", "22375"), made.merge_range("E5:F5", "22375 Viettel")),
        ),
        counted(3, {"commune_code": ["22375"] * 3}, unreadable_row=[5]),
    ),
    Case(
        "the whole sheet merged into one cell",
        lambda: edited_sheet("</sheetData>", MERGED),
        counted(0, unreadable_row=[2, 3, 4]),
    ),
    Case(
        "formulas without values",
        lambda: edited_sheet('"D3"><v>3.5</v>', '"D3"><f>1+1</f>'),
        refused("sheet 'Sheet1', cell D3", "a formula without its result"),
    ),
    Case(
        "formulas with values",
        lambda: edited_sheet('"D3"><v>3.5</v>', '"D3"><f>1+1</f><v>2</v>'),
        counted(3, {"download_mbps": [2.5, 2, 4.5]}),
    ),
    Case(
        "error cells",
        lambda: sheet(
            row(2),
            row(3, down="#N/A"),
            *rows(4, 5),
            then=lambda _, made: (
                made.write_formula("F4", "=1/0", None, "#DIV/0!"),
                made.write_formula("D5", "=NA()", None, "#N/A"),
            ),
        ),
        counted(1, ids(2), unreadable_row=[3, 4, 5]),
    ),
    Case(
        "numbers as text, and truth values",
        lambda: sheet(row(2, down="2.5"), row(3, down=" 3.5 "), row(4, down="1,234.5"), row(5, down=True)),
        counted(2, {"download_mbps": [2.5, 3.5]}, unreadable_row=[4, 5]),
    ),
    Case(
        "codes as numbers: with zeros, with 15 digits, with 18",
        lambda: sheet(
            row(2), row(3, commune=530330123456), row(4, commune=530330123456789012), then=formatted("E2", 123, "00000")
        ),
        counted(2, {"commune_code": ["00123", "530330123456"]}, unreadable_row=[4]),
    ),
    Case(
        "numbers that none can be",
        lambda: edited(edited_sheet("<v>3.5</v>", "<v>1E400</v>"), SHEET, "<v>4.5</v>", f"<v>{'9' * 4_000}</v>"),
        counted(1, ids(2), unreadable_row=[3, 4]),
    ),
    *(
        Case(
            f"dates as {what} from {1904 if is_1904 else 1900}",
            partial(sheet, row(2, at=serial), then=then, date_1904=is_1904),
            counted(1, {"measured_at": [EIGHT]}),
        )
        for is_1904, serial in ((False, 45_566 + 1 / 3), (True, 45_566 - 1_462 + 1 / 3))
        for what, then in (("serials", None), ("dates", dated))
    ),
    Case(
        "serials of no date",
        lambda: sheet(row(2), *(row(n, at=at) for n, at in enumerate([-1, 1e10, 0, 60], 3))),
        counted(1, ids(2), bad_timestamp=[3, 4, 5], other_month=[6]),
    ),
    Case(
        "a date that Excel shows as ####",
        lambda: sheet(*rows(2, 3), then=formatted("B3", 1e10, "dd/mm/yyyy")),
        counted(1, ids(2), unreadable_row=[3]),
    ),
    Case(
        "a field over the limit",
        lambda: edited(padded(sheet(row(2), row(3, operator="@"))), STRINGS, "@", "x" * 100_001),
        counted(1, ids(2), unreadable_row=[3]),
    ),
    Case(
        "one long text in 20,000 cells",
        lambda: edited(sheet(*rows(*range(2, 20_002), operator="@")), STRINGS, "@", "x" * 90_000),
        refused("ISPEED_EXPANSION_MAX"),
        is_bomb=True,
    ),
    Case(
        "five million cells in a row",
        lambda: padded(edited_sheet("</row></sheetData>", "<c/>" * 5_000_000 + "</row></sheetData>")),
        refused("ISPEED_EXPANSION_MAX"),
        is_bomb=True,
    ),
    Case(
        "five million elements behind the rows",
        lambda: padded(edited_sheet("</sheetData>", "</sheetData>" + "<x/>" * 5_000_000)),
        refused("ISPEED_EXPANSION_MAX"),
        is_bomb=True,
    ),
    Case(
        "200,000 elements, each in the other",
        lambda: padded(edited_sheet("</sheetData>", "</sheetData>" + "<x>" * 200_000 + "</x>" * 200_000)),
        counted(3, ids(2, 3, 4)),
        is_bomb=True,
    ),
]

JSON = [
    Case("empty", b"", refused("measured_at")),
    Case("random bytes", NOISE, refused("does not end")),
    *(
        Case(f"{text[:9]!r} at the top", partial(bytes, text), refused("an array of objects"))
        for text in (b"42", b'"x"', b"null", b"NaN", lines(record(1)), b'{"data": []}')
    ),
    Case("an array of none", b"[]", refused("measured_at")),
    Case("cut off", array(record(1), record(2))[:-30], refused("does not end")),
    Case("cut off behind a comma", array(record(1), b" ")[:-1], refused("does not end")),
    Case("cut off before the bracket", array(record(1))[:-1], refused("does not end")),
    Case("garbage behind", array(record(1)) + b"x]", refused("Malformed JSON")),
    Case("two arrays", array(record(1)) + array(record(2)), refused("Malformed JSON")),
    Case("UTF-16 for UTF-8", array(record(1)).decode().encode("utf-16"), refused()),
    Case(
        "elements that are no objects",
        array(record(1), b"5", b'"x"', b"null", array(record(2)), b"{}", record(7)),
        counted(2, ids(1, 7), unreadable_row=[2, 3, 4, 5], missing_required=[6]),
    ),
    Case(
        "a key twice, as it is and escaped",
        array(record(1), literal(2, down='1, "Download (Mbps)": 2'), literal(3, down='1, "Download (Mbp\\u0073)": 2')),
        counted(1, ids(1), unreadable_row=[2, 3]),
    ),
    Case(
        "two keys for one column",
        array(record(1), {**record(2), "mã xã": "22366"}),
        refused("2 headers for commune_code"),
    ),
    Case(
        "hostile keys",
        array({**record(1), "a/b~c": 1, "'; drop table x; --": 1, "": 3, "\0": 2, "$.x": 3, "a\nb": 3}),
        counted(1, ids(1)),
    ),
    Case(
        "an object or a list for a field",
        array(record(1), record(2, operator={"a": 1}), record(3, down=[1])),
        counted(1, ids(1), unreadable_row=[2, 3]),
    ),
    Case(
        "truth values and null",
        array(record(1), record(2, down=True), record(3, down=None)),
        counted(1, ids(1), unreadable_row=[2], missing_required=[3]),
    ),
    Case(
        "10,000 keys",
        array(dict.fromkeys(map(str, range(10_000)), 1), record(2)),
        refused("10,006 columns", "ISPEED_COLUMNS_MAX"),
    ),
    Case("a lone surrogate in an array", array(literal(1, operator='"\\ud800"')), refused("surrogate")),
    Case(
        "100,000 levels for a field, in an array",
        array(record(1), literal(2, operator="[" * 100_000 + "]" * 100_000)),
        counted(1, ids(1), unreadable_row=[2]),
        is_bomb=True,
    ),
    Case("a million open brackets", b"[" * 1_000_000, refused("does not end"), is_bomb=True),
    Case(
        "a field over the limit, and records of 5 MB",
        array(record(1), *(record(2, operator="x" * n) for n in (100_001, 5_000_000)), record(4)),
        counted(2, ids(1, 4), unreadable_row=[2, 3]),
    ),
]

JSONL = [
    Case(
        "another key in each of 2,000 lines",
        lines(*({**record(n), str(n): n} for n in range(1, 2_000))),
        refused("2,005 columns", "ISPEED_COLUMNS_MAX"),
    ),
    Case(
        "numbers that JSON does not have, and huge ones",
        lines(
            record(1),
            *(literal(2, down=text) for text in ("NaN", "-Infinity", "1e400", "9" * 400, "+1", ".5", "0x10", "01")),
        ),
        counted(1, ids(1), unreadable_row=range(2, 10)),
    ),
    Case(
        "codes as numbers: whole, 5.3033E+11, with 18 digits and a fraction, NaN",
        lines(
            *(
                literal(n, commune=code)
                for n, code in enumerate(["22366", "22366.0", "9" * 24, "5.3033E+11", "5.3e11"], 1)
            ),
            literal(6, commune="530330123456789012.0"),
            literal(7, id="NaN"),
            literal(8, commune='"5.3033E+11"'),
        ),
        counted(3, {"commune_code": ["22366", "22366", "9" * 24]}, unreadable_row=[4, 5, 6, 7, 8]),
    ),
    Case(
        "lone surrogates and control characters",
        lines(
            record(1),
            *(literal(2, operator=f'"{text}"') for text in ("\\ud800", "\\udc00x", "\x01", "\x1f", "\\u0000a")),
        ),
        counted(2, {"operator": ["Viettel", "a"]}, unreadable_row=[2, 3, 4, 5]),
    ),
    Case(
        "broken lines",
        lines(record(1), b'{"Download', record(3), b"}", lines(record(5), record(6), end=b""), b"// x"),
        counted(2, ids(1, 3), unreadable_row=[2, 4, 5, 6]),
    ),
    Case("blank lines", lines(b"", record(2), b" \t", b"", record(5), b""), counted(2, ids(2, 5))),
    Case("lines that end in CR LF", lines(record(1), b"", record(3), end=b"\r\n"), counted(2, ids(1, 3))),
    Case("BOMs within", BOM + lines(record(1)) + BOM + lines(record(2)), counted(2, ids(1, 2))),
    Case("an object over several lines", json.dumps(record(1), indent=1).encode(), refused("measured_at")),
    Case("half a character", lines(record(1), b'{"Nh\xc3": 1}', record(3)), counted(2, ids(1, 3), unreadable_row=[2])),
    Case(
        "100,000 levels, in lines",
        lines(
            record(1),
            b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            b'{"x": ' * 100_000 + b"1" + b"}" * 100_000,
            b"[" * 100_000,
        ),
        counted(1, ids(1), unreadable_row=[2, 3, 4]),
        is_bomb=True,
    ),
]

PARQUET = [
    *(
        Case(f"{what} named parquet", make, refused("no readable Parquet file"))
        for what, make in {
            "nothing": bytes,
            "random bytes": lambda: NOISE,
            "csv": lambda: csv(row(2)),
            "gzip": lambda: gzipped(measured_parquet()),
        }.items()
    ),
    *(
        Case(what, partial(bend, measured_parquet()), refused("no readable Parquet file"))
        for what, bend in {
            "cut off": lambda content: content[:-200],
            "cut off at the front": lambda content: content[200:],
            "garbage behind": lambda content: content + b"x",
            "a wrong mark at the front": lambda content: b"PARX" + content[4:],
            "a wrong mark at the end": lambda content: content[:-4] + b"PARX",
            "encrypted": lambda content: b"PARE" + content[4:-4] + b"PARE",
            "a footer of 2 GB": lambda content: content[:-8] + b"\xff\xff\xff\x7fPAR1",
            "a footer of zeros": lambda content: content[:-300] + bytes(292) + content[-8:],
            "data of zeros": lambda content: content[:4] + bytes(60) + content[64:],
        }.items()
    ),
    Case("no row", lambda: measured_parquet(n_rows=0), counted(0)),
    Case(
        "nested columns that are not declared",
        lambda: measured_parquet("{'a': [1], 'b': {'Mã xã': 3}} as x", "map {'k': 1} as y", "[n] as z"),
        counted(2, ids(1, 2)),
    ),
    Case(
        "nested columns that are declared",
        lambda: measured_parquet(operator="case when n = 2 then {'a': n} end"),
        counted(1, ids(1), unreadable_row=[2]),
    ),
    Case(
        "decimals",
        lambda: measured_parquet(down="cast(n + 0.25 as decimal(38, 10))"),
        counted(2, {"download_mbps": [1.25, 2.25]}),
    ),
    Case(
        "times with a zone",
        lambda: measured_parquet(at="timestamptz '2024-10-01 01:00:00+00'"),
        counted(2, {"measured_at": [EIGHT] * 2}),
    ),
    Case("times as INT96", int96_parquet, counted(1, {"measured_at": [EIGHT]})),
    Case(
        "times without end, a time of day, a number",
        lambda: measured_parquet(at="case n when 1 then timestamp 'infinity' else timestamp '290000-01-01' end"),
        counted(0, bad_timestamp=[1, 2, 1, 2, 1, 2]),
        beside={
            "b.parquet": lambda: measured_parquet(at="time '08:00:00'"),
            "c.parquet": lambda: measured_parquet(at="1727744400"),
        },
    ),
    Case(
        "texts kept as bytes, one of them no text",
        lambda: measured_parquet(
            tech="encode('Cố định')", operator="case n when 1 then encode('Viettel') else '\\xFF'::blob end"
        ),
        counted(1, {"technology": ["Cố định"], "operator": ["Viettel"]}, unreadable_row=[2]),
    ),
    Case(
        "a text that is none",
        lambda: bent(measured_parquet(operator="'Viettel'"), b"Viettel", b"V\xff\xfettel"),
        refused("no readable Parquet file"),
    ),
    Case(
        "a column twice, in other letters",
        lambda: bent(measured_parquet("n as zzzzzzz"), b"zzzzzzz", "mã xã".encode()),
        refused("row 1", "2 headers for commune_code"),
    ),
    Case(
        "figures NaN and infinite",
        lambda: measured_parquet(down="case n when 1 then 'nan'::double else 'inf'::double end"),
        counted(0, unreadable_row=[1, 2]),
    ),
    Case(
        "codes as numbers: exact, not exact, NaN",
        lambda: measured_parquet(commune="case n when 1 then 22366 else 530330123456789012 end::double"),
        counted(1, {"commune_code": ["22366"]}, unreadable_row=[2, 1, 2]),
        beside={
            "b.parquet": lambda: measured_parquet(
                id="(n + 5)::float", commune="case n when 1 then 'nan' else '530330123456' end::float"
            )
        },
    ),
    Case(
        "1,500 columns",
        lambda: measured_parquet(*(f"1 as x{n}" for n in range(1_500))),
        refused("1,506 columns", "ISPEED_COLUMNS_MAX"),
    ),
    Case(
        "hostile names",
        lambda: measured_parquet('1 as "x""; drop table y; --"', "2 as file_row_number", "3 as filename", '4 as " "'),
        counted(2, ids(1, 2)),
    ),
    Case(
        "a field over the limit",
        lambda: measured_parquet(operator="repeat('x', 60000 * n::int)"),
        counted(1, ids(1), unreadable_row=[2]),
    ),
    Case(
        "three million rows of nothing",
        lambda: measured_parquet(id="'m'", at="'x'", down="1", n_rows=3_000_000),
        refused("ISPEED_EXPANSION_MAX"),
        is_bomb=True,
    ),
    Case(
        "one long text in 3,000 rows",
        lambda: measured_parquet(operator="repeat('x', 90000)", n_rows=3_000),
        refused("ISPEED_EXPANSION_MAX"),
        is_bomb=True,
    ),
]


def link(name: str, target: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).symlink_to(target)


def pipe(name: str) -> Callable[[Path], None]:
    return lambda folder: os.mkfifo(folder / name)


def subfolder(name: str) -> Callable[[Path], None]:
    """A folder in the folder of the month, with an export in it."""

    def arrange(folder: Path) -> None:
        (folder / name).mkdir()
        (folder / name / "c.csv").write_bytes(csv(row(9)))

    return arrange


ONE = csv(row(2))
NAMES = [
    *(
        Case(f"a name with {what}", ONE, refused(repr(name), "cannot be printed", where="2024-10"), name)
        for what, name in {
            "a line break": "a\n.csv",
            "an escape sequence": "a\x1b[31m.csv",
            "a mark that turns the line": "a\u202evsc.csv",
            "a byte that is no text": os.fsdecode(b"a\xff.csv"),
        }.items()
    ),
    Case(
        "strange names that are harmless",
        csv(row(1), row(30, down="x")),
        counted(11, unreadable_row=[3] * 11),
        "A.CSV",
        {
            name: csv(row(number), row(30, down="x"))
            for number, name in enumerate(
                (
                    "-rf.csv",
                    "a" * 251 + ".csv",
                    unicodedata.normalize("NFD", "đo tháng mười.csv"),
                    "📶.csv",
                    "a∕..∕b.csv",
                    "*[a]?.csv",
                    "=1+1.csv",
                    "<img src=x onerror=alert(1)>.csv",
                    "'; drop table staging_measurement; --.csv",
                    "%s {x} $path.csv",
                ),
                start=2,
            )
        },
    ),
    *(
        Case(f"a name {name!r}", ONE, refused(repr(name), "leads elsewhere", where="2024-10"), name)
        for name in ("..\\..\\x.csv", "C:\\x.csv")
    ),
    Case("a name that no shape fits", ONE, refused("no shape"), "a.csv "),
    Case(
        "names that are wildcards for DuckDB's readers",
        measured_parquet,
        counted(4, ids(1, 2, 4, 3)),
        "*.parquet",
        {"[a].json": array(record(3)), "?.jsonl": lines(record(4))},
    ),
    Case("hidden files and office locks beside", ONE, counted(1, ids(2)), "a.csv", {".b.csv": ONE, "~$a.csv": ONE}),
    *(
        Case(f"a link to {what}", ONE, refused("a link", where="file b.csv"), "a.csv", arrange=link("b.csv", target))
        for what, target in {"a file": "a.csv", "nothing": "/nowhere", "a folder": "/etc", "itself": "b.csv"}.items()
    ),
    Case("a folder named as an export", ONE, refused("a folder", where="x.csv"), "a.csv", arrange=subfolder("x.csv")),
    Case("another folder", ONE, counted(1, ids(2)), "a.csv", arrange=subfolder("tháng 9")),
    Case("a pipe", ONE, refused("a pipe", where="file b.csv"), "a.csv", arrange=pipe("b.csv")),
    Case("a pipe named as an archive", ONE, refused("a pipe", where="file b.zip"), "a.csv", arrange=pipe("b.zip")),
]

GROUPS = {
    "a.csv": CSV,
    "a.csv.gz": GZIP,
    "a.zip": ZIP,
    "a.xlsx": XLSX,
    "a.json": JSON,
    "a.jsonl": JSONL,
    "a.parquet": PARQUET,
    "": NAMES,
}
CASES = {
    f"{file.removeprefix('a.') or 'names'}: {case.name}": replace(case, file=case.file or file)
    for file, cases in GROUPS.items()
    for case in cases
}

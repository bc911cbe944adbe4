"""A clean csv, polluted in its structure in every way: each row is read as it was, or rejected by its number, or the
file is refused with one clear error. Nothing is read wrong without a word.

The idea is that of the Pollock benchmark of csv readers: one clean file, polluted in one dimension at a time, here also
in two. What a polluted file should yield comes from the plan of the pollution, which knows where each clean row stands.
What leaves a file as well formed as before can be seen by nobody: a value moved from one text column to another, two
faults in a record that cancel each other, a code page that gives each byte another letter and still the right headers.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from test_round_trip import seen, tone_apart

from ispeed.checks import check_staging
from ispeed.contracts import read_contract
from ispeed.engine import Engine, open_engine
from ispeed.errors import UserError
from ispeed.landing import LandedFile, land
from ispeed.months import Month
from ispeed.records import read_records
from ispeed.settings import Settings
from ispeed.staging import stage
from pipeline import settings_in

pytestmark = pytest.mark.tells

MONTH = Month(2024, 10)
HEADERS = {
    "measurement_id": "Mã phép đo",
    "measured_at": "Thời gian đo",
    "technology": "Loại mạng",
    "download_mbps": "Download (Mbps)",
    "upload_mbps": "Upload (Mbps)",
    "commune_code": "Mã xã",
    "commune_name": "Xã/Phường",
    "operator": "Nhà mạng",
    "device_model": "Thiết bị",
}
WIDTH = len(HEADERS)
Fields = tuple[str, ...]
CLEAN: tuple[Fields, ...] = (
    ("m1", "01/10/2024 08:00:00", "4G", "41.5", "12", "22366", "Phường Lộc Thọ", "Viettel", "SM-G991B"),
    ("m2", "02/10/2024 08:00:00", "5G", "305.25", "31", "22333", "Xã Vĩnh Hòa", "VinaPhone", ""),
    ("m3", "03/10/2024 08:00:00", "WiFi", "88", "", "", "", "MobiFone", 'Redmi 13", 5G; "pro"'),
    ("m4", "04/10/2024 08:00:00", "4G", "7.25", "3", "22408", "Xã Cam Hải Đông", "", ""),
    ("m5", "05/10/2024 08:00:00", "Cố định", "93", "90", "22501", "Thị trấn Vạn Giã", "Viettel", "bàn\nlàm việc"),
    ("m6", "06/10/2024 08:00:00", "3G", "1.5", "", "22366", "Phường Lộc Thọ", "Viettel", "it's | a\tphone"),
)


@dataclass(frozen=True)
class Record:
    """One record of a polluted file, and the clean rows that it is or was made from.

    `raw` is written as it stands instead of the fields. A touched record need not be read, but then must be rejected.
    """

    fields: Fields = ()
    rows: tuple[int, ...] = ()
    is_touched: bool = False
    raw: str | bytes | None = None
    end: str | None = None


@dataclass(frozen=True)
class File:
    """A csv as it is written and as it is declared: sound if that is the same, and then to be read whole."""

    records: tuple[Record, ...]
    truth: tuple[Fields, ...] = CLEAN
    delimiter: str = ","
    quote: str = '"'
    escape: str = ""  # none: a quote is doubled
    quotes: str = "needed"
    end: str = "\n"
    encoding: str = "utf-8"
    start: bytes = b""
    declared: tuple[tuple[str, str], ...] = ()
    bend: Callable[[bytes], bytes] = bytes
    is_sound: bool = True

    def content(self) -> bytes:
        parts = [self.start]
        for record in self.records:
            raw = self.line(record.fields) if record.raw is None else record.raw
            end = self.end if record.end is None else record.end
            parts += [raw if isinstance(raw, bytes) else encoded(raw, self.encoding), encoded(end, self.encoding)]
        return self.bend(b"".join(parts))

    def line(self, fields: Fields) -> str:
        return self.delimiter.join(map(self.quoted, fields))

    def quoted(self, value: str) -> str:
        is_needed = self.quotes == "all" or bool({self.delimiter, self.quote, "\n", "\r"} & set(value))
        if not self.quote or not (is_needed or (self.quotes == "texts" and not re.fullmatch(r"[0-9.]*", value))):
            return value
        return self.quote + value.replace(self.quote, (self.escape or self.quote) + self.quote) + self.quote

    def place(self, row: int) -> int:
        return next(place for place, record in enumerate(self.records) if row in record.rows)

    def put(self, row: int, *records: Record) -> File:
        """The file with other records in the place of a row."""
        place = self.place(row)
        return replace(self, records=self.records[:place] + records + self.records[place + 1 :], is_sound=False)

    def now(self, row: int) -> Fields:
        """The fields of a row as they are by now."""
        return self.records[self.place(row)].fields

    def fields(self, row: int, fields: Sequence[str]) -> File:
        return self.put(row, Record(tuple(fields), (row,), is_touched=True))

    def raw(self, row: int, raw: str | bytes) -> File:
        return self.put(row, Record(self.now(row), (row,), is_touched=True, raw=raw))

    def insert(self, place: int, *records: Record) -> File:
        return replace(self, records=self.records[:place] + records + self.records[place:])

    def each(self, change: Callable[[Fields], Fields]) -> File:
        """The file with the fields of every record changed, the header's too."""
        records = (replace(record, fields=change(record.fields) if record.fields else ()) for record in self.records)
        return replace(self, records=tuple(records))

    def header(self, change: Callable[[Fields], Sequence[str]]) -> File:
        first = self.records[0]
        return replace(self, records=(replace(first, fields=tuple(change(first.fields))), *self.records[1:]))

    def unsound(self, touches_rows: bool = False) -> File:
        records = (replace(record, is_touched=record.is_touched or touches_rows) for record in self.records)
        return replace(self, records=tuple(records), is_sound=False)

    def declare(self, **shape: str) -> File:
        return replace(self, declared=tuple((dict(self.declared) | shape).items()))


Pollution = Callable[[File], File]


def encoded(text: str, encoding: str) -> bytes:
    if encoding == "cp1258":
        text = "".join(tone_apart(letter) for letter in text)
    return text.encode({"utf-16": "utf-16-le", "utf-8-sig": "utf-8"}.get(encoding, encoding))


def clean() -> File:
    rows = (Record(fields, (number,)) for number, fields in enumerate(CLEAN))
    return File((Record(tuple(HEADERS.values())), *rows))


# --- the pollutions ---------------------------------------------------------------------------------------------------


def delimiters() -> Iterator[tuple[str, Pollution]]:
    for mark in (",", ";", "\t", "|", "^", "~", ":", " ", "\x1f", "；", "§"):
        yield f"{mark!r} declared", lambda file, mark=mark: replace(file, delimiter=mark).declare(delimiter=mark)
        if mark != ",":
            yield f"{mark!r} undeclared", lambda file, mark=mark: replace(file, delimiter=mark).unsound(True)
    for mark in (";", "\t", "|", ", ", ",,", " "):
        yield f"one row by {mark!r}", lambda file, mark=mark: file.raw(0, mark.join(map(file.quoted, file.now(0))))
    yield "a decimal comma", lambda file: file.raw(0, file.line(file.now(0)).replace("41.5", "41,5"))
    yield "thousands with the delimiter", lambda file: file.raw(1, file.line(file.now(1)).replace("305.25", "1,305.25"))


def telling(file: File, row: int, at: int, form: str | None) -> File:
    """The file where a field has another text, if any: one with quotes in it, which is as good as any other."""
    if form is None:
        return file
    fields = list(file.truth[row])
    fields[at] = form.replace("{}", fields[at])
    return replace(file, truth=(*file.truth[:row], tuple(fields), *file.truth[row + 1 :]))


def without_quotes(file: File) -> File:
    """The file written without any: what needs them is left out of the clean rows too."""

    def plain(fields: Fields) -> Fields:
        return tuple(re.sub("[\"',;|\t\n]", "", value) for value in fields)

    return replace(file.each(plain), quote="", truth=tuple(map(plain, file.truth)))


def quotes() -> Iterator[tuple[str, Pollution]]:
    for quotes in ("needed", "texts", "all"):
        for mark in ('"', "'", "`"):
            yield (
                f"{mark} around {quotes}, declared",
                lambda file, mark=mark, quotes=quotes: replace(file, quote=mark, quotes=quotes).declare(quote=mark),
            )
    yield "none, declared", lambda file: without_quotes(file).declare(quote="")
    yield "none needed", without_quotes
    for mark, declared in (("'", '"'), ('"', "'"), ('"', ""), ("`", '"')):
        yield (
            f"{mark} around all, declared {declared or 'none'}",
            lambda file, mark=mark, declared=declared: (
                replace(file, quote=mark, quotes="all").declare(quote=declared).unsound(True)
            ),
        )
        yield (
            f"{mark} around all of one row, declared {declared or 'none'}",
            lambda file, mark=mark, declared=declared: (
                without_quotes(file)
                .declare(quote=declared)
                .raw(1, file.delimiter.join(f"{mark}{value}{mark}" for value in file.now(1)))
            ),
        )

    def bare(file: File) -> File:
        file = file.raw(2, file.delimiter.join(file.now(2)))
        upper, _, lower = file.delimiter.join(file.now(4)).partition("\n")
        return file.put(4, Record((), (4,), True, upper), Record((), (), True, lower))

    yield "none where they are needed", bare
    for at in (0, 3, 6, WIDTH - 1):

        def stray(file: File, made: str, at: int = at, row: int = 0) -> File:
            texts = [
                made.replace("{}", value) if place == at else file.quoted(value)
                for place, value in enumerate(file.now(row))
            ]
            return file.raw(row, file.delimiter.join(texts))

        for name, made in {
            "opened only": '"{}',
            "closed only": '{}"',
            "doubled": '""{}""',
            "opened twice": '""{}',
            "closed twice": '"{}""',
            "a text behind it": '"{}"x',
            "a text before it": 'x"{}"',
            "two in a field": '"{}" "{}"',
            "two in a field, apart": '"{}"  "{}"',
            "one blank before": ' "{}"',
            "two blanks before": '  "{}"',
            "a tab before": '\t"{}"',
            "a blank behind": '"{}" ',
            "a tab behind": '"{}"\t',
            "curly": "“{}”",
            "tripled": '"""{}"""',
            "alone": '"',
        }.items():
            literal = {"closed only": '{}"', "a text before it": 'x"{}"', "curly": "“{}”", "tripled": '"{}"'}.get(name)
            yield (
                f"{name}, column {at}",
                lambda file, stray=stray, made=made, literal=literal, at=at: telling(stray(file, made), 0, at, literal),
            )

        def over_rows(file: File, at: int = at, to: int = at) -> File:
            """One quote before a field, and one behind a field of a row below: all between is one field."""
            upper = [('"' if place == at else "") + value for place, value in enumerate(file.now(0))]
            lower = [value + ('"' if place == to else "") for place, value in enumerate(file.now(3))]
            return file.raw(0, file.delimiter.join(upper)).raw(3, file.delimiter.join(lower))

        def over_next(file: File, over: Callable[..., File] = over_rows, at: int = at) -> File:
            file = without_quotes(file)
            upper = [('"' if place == at else "") + value for place, value in enumerate(file.now(0))]
            lower = [value + ('"' if place == at else "") for place, value in enumerate(file.now(1))]
            return file.raw(0, file.delimiter.join(upper)).raw(1, file.delimiter.join(lower))

        yield f"open over three rows, column {at}", lambda file, over=over_rows: over(without_quotes(file))
        yield f"open into the next row, column {at}", over_next
        yield (
            f"open over rows from column {at} to another",
            lambda file, over=over_rows, at=at: over(without_quotes(file), to=(at + 2) % WIDTH),
        )


def escapes() -> Iterator[tuple[str, Pollution]]:
    yield "doubled", lambda file: replace(file, quotes="all")
    yield "by a backslash", lambda file: replace(file, escape="\\").fields(2, file.now(2))
    yield "by a backslash, all quoted", lambda file: replace(file, escape="\\", quotes="all").fields(2, file.now(2))
    for text in ("a\\", "\\", 'a\\"', "\\n", '"', '""', '","', "''", '"\n"', "\n", "a,\nb", ' "x', "x ", ' ""'):

        def holding(file: File, text: str = text) -> File:
            truth = (*file.truth[:5], (*file.truth[5][:-1], text))
            sound = file.put(5, Record(truth[5], (5,)))
            return replace(sound, truth=truth, is_sound=file.is_sound)

        yield f"a text {text!r}", holding
    for raw in (r"x\,y", '"x\\"y"', '"x\\",y"', '"x\\""', '"x\\"",""'):
        yield f"raw {raw!r}", lambda file, raw=raw: file.raw(0, file.line(file.now(0)[:-1]) + file.delimiter + raw)


def line_ends() -> Iterator[tuple[str, Pollution]]:
    for end in ("\n", "\r\n", "\r"):
        yield f"{end!r}", lambda file, end=end: replace(file, end=end)
        yield (
            f"{end!r}, the last missing",
            lambda file, end=end: replace(
                file, end=end, records=(*file.records[:-1], replace(file.records[-1], end=""))
            ),
        )
        for n_lines in (1, 2, 1000):
            yield (
                f"{n_lines} blank lines of {end!r} in the middle",
                lambda file, end=end, n_lines=n_lines: replace(file, end=end).insert(4, *[Record(raw="")] * n_lines),
            )
        yield (
            f"blank lines of {end!r} below",
            lambda file, end=end: replace(file, end=end).insert(len(file.records), *[Record(raw="")] * 3),
        )
        yield (
            f"{end!r} between all",
            lambda file, end=end: replace(
                file, end=end, records=tuple(part for record in file.records for part in (record, Record(raw="")))
            ),
        )
        yield f"{end!r} first", lambda file, end=end: replace(file, end=end).insert(0, Record(raw="")).unsound(True)
    for end, blank in (("\r", "\r\n"), ("\n", "\r")):

        def spaced(file: File, end: str = end, blank: str = blank) -> File:
            pairs = ((replace(record, end=end), Record(raw="", end=blank)) for record in file.records)
            return replace(file, records=tuple(itertools.chain(*pairs)))

        yield f"{end + blank!r}", spaced
    for turns in itertools.permutations(("\n", "\r\n", "\r")):
        yield (
            f"mixed {turns}",
            lambda file, turns=turns: replace(
                file, records=tuple(replace(one, end=turns[n % 3]) for n, one in enumerate(file.records))
            ),
        )
    for end in ("\v", "\f", "\x1c", "\x85", "\u2028", ";\n", "\\n", " \n", ",\n"):
        yield f"{end!r} undeclared", lambda file, end=end: replace(file, end=end).unsound(True)
    for line in ("  ", "\t", "\x00", "\x1a", "\ufeff", '""', "#", "-- end --", "," * (WIDTH - 1)):
        yield (
            f"a line {line!r}",
            lambda file, line=line: file.insert(4, Record(raw=line.replace(",", file.delimiter))).unsound(),
        )
    for end in ("\r", "\n", "\r\n", "\n\n"):
        for at in (0, 3, 6):

            def broken(file: File, end: str = end, at: int = at) -> File:
                fields = file.now(0)
                upper = file.line((*fields[:at], fields[at][:1]))
                lower = file.line((fields[at][1:], *fields[at + 1 :]))
                blank = [Record(raw="", end="\n")] if end == "\n\n" else []
                end = "\n" if blank else end
                upper_half, lower_half = Record((), (0,), True, upper, end), Record((), (0,), True, lower)
                return file.put(0, upper_half, *blank, lower_half)

            yield f"{end!r} inside column {at}", broken
    yield (
        "a line end lost",
        lambda file: file.put(0, Record((), (0, 1), True, file.line(file.now(0)) + file.line(file.now(1)))).put(1),
    )


def headers() -> Iterator[tuple[str, Pollution]]:
    names = tuple(HEADERS.values())
    yield "none", lambda file: replace(file, records=file.records[1:]).unsound(True)
    yield "twice", lambda file: file.insert(1, Record(names)).unsound()
    yield "again in the middle", lambda file: file.insert(4, Record(names)).unsound()
    yield "again at the end", lambda file: file.insert(len(file.records), Record(names)).unsound()
    yield "again after blank lines", lambda file: file.insert(4, Record(raw=""), Record(names)).unsound()
    yield "a row of units", lambda file: file.insert(1, Record(("", "", "", "Mbps", "Mbps", "", "", "", ""))).unsound()
    yield "a row of empty fields", lambda file: file.insert(1, Record(("",) * WIDTH)).unsound()
    for line in ("Báo cáo tháng 10", "sep=,", "# made by a portal", "Báo cáo,,,,,,,,", '"a\nb"'):
        yield f"{line!r} above", lambda file, line=line: file.insert(0, Record(raw=line)).unsound(True)
    for name in ("Mã phép đo", "Download (Mbps)"):
        for value in ("", "x"):
            yield (
                f"{name} there twice, once with {value!r}",
                lambda file, name=name, value=value: file.each(
                    lambda fields: (*fields, name if fields[0] == names[0] else value)
                ).unsound(True),
            )
    yield "of undeclared columns twice", lambda file: file.each(lambda fields: ("ghi chú", *fields, "ghi chú"))
    yield "without a name first", lambda file: file.each(lambda fields: ("" if fields[0] == names[0] else "7", *fields))
    for order in ((8, 7, 6, 5, 4, 3, 2, 1, 0), (1, 0, 2, 3, 4, 5, 6, 7, 8), (8, 0, 1, 2, 3, 4, 5, 6, 7)):
        yield f"in order {order}", lambda file, order=order: file.each(lambda fields: tuple(fields[n] for n in order))
    for column in (0, 4, 5, 8):

        def without(file: File, column: int = column) -> File:
            def cut(fields: Fields, put: Fields = ()) -> Fields:
                return (*fields[:column], *put, *fields[column + 1 :])

            return replace(file.each(cut), truth=tuple(cut(fields, ("",)) for fields in file.truth))

        yield f"without column {column}", without
    for column in (1, 2, 3):
        yield (
            f"without the required column {column}",
            lambda file, column=column: file.each(lambda fields: fields[:column] + fields[column + 1 :]).unsound(True),
        )
    yield "one short", lambda file: file.header(lambda fields: fields[:-1]).unsound(True)
    yield "one long", lambda file: file.header(lambda fields: (*fields, "thêm")).unsound(True)
    yield (
        "one long in the middle",
        lambda file: file.header(lambda fields: (*fields[:2], "x", *fields[2:])).unsound(True),
    )
    for n_more in (1, 2):
        more = ("",) * n_more
        yield f"and rows end in {n_more} delimiters", lambda file, more=more: file.each(lambda each: each + more)
        yield (
            f"alone ends in {n_more} delimiters",
            lambda file, more=more: file.header(lambda header: header + more).unsound(True),
        )
        yield (
            f"alone does not end in {n_more} delimiters",
            lambda file, more=more: file.each(lambda each: each + more).header(lambda _: names).unsound(True),
        )
        for row, fields in (
            (1, (*CLEAN[1][:4], "", *CLEAN[1][4:], *more)),
            (0, (*CLEAN[0][:4], "", *CLEAN[0][4:], *more[1:])),
            (0, (*CLEAN[0], *more[1:], "x")),
            (0, CLEAN[0]),
        ):
            yield (
                f"and rows end in {n_more} delimiters, but for {fields[3:]}",
                lambda file, more=more, fields=fields, row=row: file.each(lambda each: each + more).fields(row, fields),
            )
    for name, change in {"upper": str.upper, "lower": str.lower, "blanks": "\u00a0 {} ".format}.items():
        yield f"in other letters: {name}", lambda file, change=change: file.header(lambda all: [*map(change, all)])
    yield (
        "quoted over lines",
        lambda file: file.each(lambda fields: (*fields, "ghi\n\nchú" if fields[0] == names[0] else "x")),
    )
    yield "opened only", lambda file: file.insert(0, Record(raw='"' + file.line(names))).put(0).unsound(True)
    yield (
        "with a quote that takes in rows",
        lambda file: replace(
            without_quotes(file),
            records=(
                Record(raw=file.line(names[:-1]) + file.delimiter + '"' + names[-1]),
                *without_quotes(file).raw(2, file.delimiter.join((*file.now(2)[:-1], 'x"'))).records[1:],
            ),
        ).unsound(True),
    )


def lengths() -> Iterator[tuple[str, Pollution]]:
    def change(row: int, made: Callable[[Fields], Fields]) -> Pollution:
        return lambda file: file.fields(row, made(file.now(row)))

    def write(row: int, made: Callable[[Fields], Sequence[str]]) -> Pollution:
        return lambda file: file.raw(row, file.delimiter.join(made(tuple(map(file.quoted, file.now(row))))))

    for row in (0, 1, 3):
        for at in range(WIDTH + 1):
            for stray in ("", "x", " ", "0"):
                yield (
                    f"row {row} with a stray {stray!r} at {at}",
                    change(row, lambda fields, at=at, stray=stray: (*fields[:at], stray, *fields[at:])),
                )
            yield (
                f"row {row} with a stray quoted field at {at}",
                write(row, lambda fields, at=at: (*fields[:at], '""', *fields[at:])),
            )
        for at in range(WIDTH):
            yield f"row {row} without field {at}", change(row, lambda fields, at=at: fields[:at] + fields[at + 1 :])
        for at in range(1, 4):
            yield (
                f"row {row} moved at {at} and cut",
                change(row, lambda fields, at=at: (*fields[:at], "", *fields[at:-1])),
            )
        for more in itertools.chain.from_iterable(([mark] * 2, [mark] * 3, [mark] * 40) for mark in ("", " ", "x")):
            yield (
                f"row {row} with {len(more)} more {more[0]!r}",
                change(row, lambda fields, more=more: (*fields, *more)),
            )
        yield f"row {row} with empty fields and one more", change(row, lambda fields: (*fields, "", "", "x"))
        for n_left in range(1, WIDTH):
            yield f"row {row} cut to {n_left}", change(row, lambda fields, n_left=n_left: fields[:n_left])
        for blank in ("\t", "\u00a0", " ", "\x00"):
            yield f"row {row} and {blank!r}", write(row, lambda fields, blank=blank: (*fields, blank))
    names = tuple(HEADERS.values())
    yield (
        "every row one longer",
        lambda file: file.each(lambda fields: (*fields, "x")).header(lambda _: names).unsound(True),
    )
    yield (
        "every row one shorter",
        lambda file: file.each(lambda fields: fields[:-1]).header(lambda _: names).unsound(True),
    )


def encodings() -> Iterator[tuple[str, Pollution]]:
    marks = {"utf-8": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}

    def writes(encoding: str, declared: str, start: bytes = b"", is_sound: bool = True) -> Pollution:
        def write(file: File) -> File:
            written = replace(file, encoding=encoding, start=start).declare(encoding=declared)
            return written if is_sound else written.unsound(True)

        return write

    for encoding in ("utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "cp1258", "tcvn3", "gb18030"):
        yield f"{encoding} declared", writes(encoding, encoding)
        if encoding != "utf-8":
            yield f"{encoding} read as utf-8", writes(encoding, "utf-8", is_sound=encoding == "utf-8-sig")
    for encoding, mark in marks.items():
        yield f"{encoding} with a mark", writes(encoding, encoding, mark)
        yield f"{encoding} with two marks", writes(encoding, encoding, mark * 2)
        if encoding != "utf-8":
            yield f"utf-16 by its mark {mark!r}", writes(encoding, "utf-16", mark)
            yield f"{encoding} with a mark, read as utf-8", writes(encoding, "utf-8", mark, False)
    for encoding, declared in (
        ("utf-16-be", "utf-16"),
        ("utf-16-be", "utf-16-le"),
        ("utf-8", "utf-16"),
        ("utf-8", "cp1258"),
        ("utf-8", "tcvn3"),
        ("utf-8", "latin-1"),
        ("utf-8", "gbk"),
        ("cp1258", "tcvn3"),
        ("tcvn3", "cp1258"),
        ("gb18030", "cp1258"),
    ):
        yield f"{encoding} read as {declared}", writes(encoding, declared, is_sound=False)

    def twice(content: bytes) -> bytes:
        return content.decode("latin-1").encode("utf-8")

    yield "utf-8 taken for latin-1", lambda file: replace(file, bend=twice).unsound(True)
    for row in range(len(CLEAN)):

        def marked(file: File, row: int = row) -> File:
            record = file.records[file.place(row)]
            raw = file.line(record.fields) if record.raw is None else record.raw
            return replace(file.put(row, replace(record, raw="\ufeff" + str(raw))), is_sound=file.is_sound)

        yield f"a byte order mark before row {row}", marked
    yield (
        "files put together",
        lambda file: file.insert(4, Record(raw="\ufeff" + file.line(tuple(HEADERS.values())))).unsound(),
    )

    letters = {
        "GBK": "芽庄".encode("gbk") + b"\xff",
        "latin-1": "Nha Trang é".encode("latin-1"),
        "half at the end": "Phường".encode()[:5],
        "half in the middle": b"Ph\xc6ng",
        "overlong": b"\xc0\xaf",
        "a surrogate": b"\xed\xa0\x80",
        "beyond Unicode": b"\xf4\x90\x80\x80",
        "no byte of text": b"\xff\xfe",
        "a lone tail": b"\x80",
    }
    for name, letter in letters.items():
        for at in (0, 6, WIDTH - 1):
            for quote in (b"", b'"'):

                def bad(file: File, letter: bytes = letter, at: int = at, quote: bytes = quote) -> File:
                    values = [value.encode() for value in file.now(0)]
                    values[at] = quote + letter + quote
                    return file.raw(0, file.delimiter.encode().join(values))

                yield f"{name} in column {at}, {'quoted' if quote else 'bare'}", bad
    for quote in (b"", b'"'):
        yield (
            f"half a character at the end of the file{quote!r}",
            lambda file, quote=quote: replace(
                without_quotes(file).raw(5, file.line(file.now(5)[:-1]).encode() + b"," + quote + b"x\xe1\xbb"),
                end="\n",
            ),
        )

    def bent(change: Callable[[bytes], bytes]) -> Pollution:
        return lambda file: replace(file, encoding="utf-16-le", bend=change).declare(encoding="utf-16-le").unsound(True)

    yield "utf-16 with a byte lost", bent(lambda content: content[:401] + content[402:])
    yield "utf-16 with a byte too many", bent(lambda content: content[:401] + b"\0" + content[401:])
    yield "utf-16 cut in a character", bent(lambda content: content[:-1])
    for at in (0, 3, 6):

        def nul(file: File, at: int = at) -> File:
            return file.fields(0, [value + "\0" * (place == at) for place, value in enumerate(file.now(0))])

        yield f"a NUL in column {at}", nul


DIMENSIONS: Mapping[str, Callable[[], Iterator[tuple[str, Pollution]]]] = {
    "delimiter": delimiters,
    "quote": quotes,
    "escape": escapes,
    "line end": line_ends,
    "header": headers,
    "row length": lengths,
    "encoding": encodings,
}

# --- what becomes of them ---------------------------------------------------------------------------------------------


class Reader:
    """Files as the pipeline reads them, without the files of a month around them."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.settings: Settings = settings_in(folder)
        self.contract = read_contract(self.settings.source)
        self.engine = engine
        self.settings.lake_of("landing", MONTH).mkdir(parents=True)

    def read(self, content: bytes, **shape: str) -> dict[int, dict[str, Any]]:
        """The records of a file by row number."""
        landed = LandedFile("polluted.csv", "0" * 64, len(content), "2024-11-01T00:00:00+00:00")
        landed.path(self.settings, MONTH).write_bytes(content)
        contract = replace(self.contract, shapes=(replace(self.contract.shapes[0], **shape),))
        read_records(self.engine, self.settings, MONTH, contract, landed)
        return {row["row_number"]: row for row in self.engine.rows("select * from source_record")}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with open_engine() as engine:
        yield Reader(tmp_path_factory.mktemp("pollution"), engine)


def is_rejected(found: Mapping[str, Any]) -> bool:
    """Whether a record goes to the quarantine: it could not be read, or is no measurement."""
    if found["reject_message"] is not None:
        return True
    texts = {name: seen(found[name]) for name in HEADERS}
    try:
        datetime.strptime(texts["measured_at"] or "", "%d/%m/%Y %H:%M:%S")
        float(texts["download_mbps"] or "")
        float(texts["upload_mbps"] or "0")
    except ValueError:
        return True
    return texts["technology"] is None


def beside_fragments(file: File) -> set[int]:
    """The places of records next to a line with one field: it may be a part of one, so they need not be read either."""
    mark = dict(file.declared).get("delimiter", ",")
    lines = [file.line(record.fields) if record.raw is None else str(record.raw) for record in file.records]
    whole = [place for place, line in enumerate(lines) if mark in line]
    fragments = [place for place, line in enumerate(lines) if mark not in line and line.strip()]
    found = set()
    for fragment in fragments:
        found |= {
            *[place for place in whole if place < fragment][-1:],
            *[place for place in whole if place > fragment][:1],
        }
    return found


def outcome(reader: Reader, file: File) -> tuple[Counter[str], list[str]]:
    """How many of the clean rows are read, rejected, refused; and what went wrong without a word."""
    try:
        found = reader.read(file.content(), **dict(file.declared))
    except UserError as error:
        faults = ["refused although it is sound: " + str(error)] if file.is_sound else []
        if "polluted.csv" not in error.where or not all((error.found, error.expected, error.remedy)):
            faults.append("not a clear error: " + str(error))
        return Counter(refused=len(CLEAN)), faults
    counts: Counter[str] = Counter()
    faults = []
    beside = beside_fragments(file)
    for number, record in enumerate(file.records[1:], start=2):
        came = found.pop(number, None)
        if came is None:
            if record.raw != "" and record.rows:
                faults.append(f"row {number} is lost")
        elif is_rejected(came):
            counts["rejected"] += 1
            if record.rows and not record.is_touched and number - 1 not in beside:
                faults.append(f"row {number} is rejected although it is sound: {came['reject_message']}")
        elif [seen(came[name]) for name in HEADERS] == [seen(text) for row in record.rows for text in file.truth[row]]:
            counts["read"] += 1
        else:
            faults.append(f"row {number} is read wrong: {[came[name] for name in HEADERS]}")
    faults += [f"row {number} is in no record of the file: {came}" for number, came in found.items()]
    return counts, faults


def tell(name: str, counts: Mapping[str, Counter[str]]) -> None:
    for kind, of_kind in counts.items():
        shares = ", ".join(
            f"{of_kind[end] / max(of_kind.total(), 1):4.0%} {end}" for end in ("read", "rejected", "refused")
        )
        print(f"{name:12} {kind:22} {of_kind.total():5} rows: {shares}", end="")


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_a_polluted_row_is_read_right_or_rejected(reader: Reader, dimension: str) -> None:
    counts: dict[str, Counter[str]] = {"as declared": Counter(), "other than declared": Counter()}
    faults = []
    for name, pollute in DIMENSIONS[dimension]():
        file = pollute(clean())
        ends, silent = outcome(reader, file)
        counts["as declared" if file.is_sound else "other than declared"] += ends
        faults += [f"{name}: {fault}" for fault in silent]
    tell(dimension, counts)
    assert not faults, "\n".join(faults)


# What goes together: how all is written, then what becomes of the header, then of rows.
PAIRED = (
    ("delimiter", "';' declared", "'\\t' declared", "'|' undeclared"),
    ("quote", "' around all, declared", "none, declared"),
    ("encoding", "utf-16-le declared", "cp1258 declared", "utf-8 with a mark", "utf-16-be read as utf-8"),
    (
        "header",
        "again in the middle",
        "in order (8, 0, 1, 2, 3, 4, 5, 6, 7)",
        "and rows end in 1 delimiters",
        "alone ends in 1 delimiters",
        "without column 4",
    ),
    ("line end", "'\\r\\n'", "'\\r'", "mixed ('\\r', '\\n', '\\r\\n')", "'\\n', the last missing"),
    ("line end", "2 blank lines of '\\n' in the middle", "a line '  '"),
    ("quote", "opened only, column 6", "two in a field, column 6", "two blanks before, column 0"),
    ("quote", "open over three rows, column 3", "open into the next row, column 0"),
    ("delimiter", "one row by '|'"),
    ("row length", "row 3 with a stray '' at 2", "row 1 with a stray '' at 9", "row 3 cut to 2"),
)


def test_two_pollutions_at_once_are_no_more_silent_than_one(reader: Reader) -> None:
    chosen = [(dimension, name, dict(DIMENSIONS[dimension]())[name]) for dimension, *names in PAIRED for name in names]
    counts: dict[str, Counter[str]] = {"as declared": Counter(), "other than declared": Counter()}
    faults = []
    for (one, name, pollute), (other, other_name, pollute_too) in itertools.combinations(chosen, 2):
        if one == other:
            continue
        file = pollute_too(pollute(clean()))
        ends, silent = outcome(reader, file)
        counts["as declared" if file.is_sound else "other than declared"] += ends
        faults += [f"{name}, then {other_name}: {fault}" for fault in silent]
    tell("two at once", counts)
    assert not faults, "\n".join(faults)


def test_lines_within_quotes_are_no_records_however_long_the_file(reader: Reader) -> None:
    """Threads that each parse a part of a file of more than 8 MB start anywhere, also among lines like these."""
    lines = "\n".join(["01/10/2024 08:00:00,4G,1,x", "so it says", "here", "again"] * 8)
    records = "".join(f'01/10/2024 08:00:00,4G,{number},"{lines}"\n' for number in range(25_000))
    found = reader.read(f"Thời gian đo,Loại mạng,Download (Mbps),Thiết bị\n{records}".encode())
    assert [found[number]["download_mbps"] for number in sorted(found)] == [str(number) for number in range(25_000)]


def test_what_is_rejected_is_in_the_quarantine_by_number_with_its_text(tmp_path: Path) -> None:
    polluted = {
        3: 'm2,02/10/2024 08:00:00,5G,,305.25,31,22333,"Xã, Vĩnh Hòa",VinaPhone,',
        4: "m3,03/10/2024 08:00:00",
        6: 'm4,04/10/2024 08:00:00,4G,7.25,3,22408,"Xã "Cam" Hải Đông",,',
        7: ",".join(HEADERS.values()),
    }
    header, good, *_ = clean().content().decode().splitlines()
    lines = [header, good, polluted[3], polluted[4], "", polluted[6], polluted[7], good.replace("m1", "m7")]
    settings = settings_in(tmp_path)
    settings.exports_of(MONTH).mkdir(parents=True)
    (settings.exports_of(MONTH) / "polluted.csv").write_text("\n".join(lines), encoding="utf-8")
    for step in (land, stage, check_staging):
        step(settings, MONTH)
    with open_engine() as engine:
        engine.read_parquet("kept", settings.lake_of("quarantine", MONTH) / "quarantine_measurement.parquet")
        engine.read_parquet("staging", *settings.lake_of("staging", MONTH).glob("*.parquet"))
        kept = engine.rows("select row_number, reason, original_text from kept order by row_number")
        numbers = engine.rows("select row_number, measurement_id from staging order by row_number")
    assert [(row["row_number"], row["reason"]) for row in kept] == [(n, "unreadable_row") for n in (3, 4, 6, 7)]
    assert [row["original_text"] for row in kept[:3]] == [polluted[number] for number in (3, 4, 6)]
    assert [row["row_number"] for row in numbers] == [2, 3, 4, 6, 7, 8]
    assert [row["measurement_id"] for row in numbers if row["row_number"] in (2, 8)] == ["m1", "m7"]

"""What an unknown export's bytes and values say of how it is written, and where they leave a doubt.

Nothing here reads a month: the pipeline reads what a source contract declares. This is for who writes the first one.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import statistics
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final

from ispeed import tcvn3
from ispeed.errors import UserError

BYTES_MAX: Final = 64 << 20
_ENCODINGS: Final = ("utf-8", "tcvn3", "cp1258", "cp1252", "gb18030")
_DELIMITERS: Final = (",", ";", "\t", "|")
_VOWELS: Final = "aăâeêioôơuưy"
_TONES: Final = ("", "\u0300", "\u0301", "\u0309", "\u0303", "\u0323")
_VIETNAMESE: Final = frozenset(
    letter
    for lower in [*(unicodedata.normalize("NFC", vowel + tone) for vowel in _VOWELS for tone in _TONES), "đ"]
    for letter in (lower, lower.upper())
)
_WORD: Final = re.compile(r"""[^\s,;|"']*[^\x00-\x7f\s][^\s,;|"']*""")
# Decimal and thousands marks in the order in which they are taken where several fit.
_MARKS: Final = ((".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", " "))
_DAYS: Final = (
    "%d/%m/%Y",
    "%Y-%m-%d",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%Y%m%d",
    "%d/%m/%y",
)
_TIMES: Final = ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M:%SZ", "T%H:%M:%S.%fZ", " %H:%M:%S.%f", " %I:%M:%S %p")
_DIGITS: Final = {"%d": 2, "%m": 2, "%Y": 4, "%y": 2, "%H": 2, "%I": 2, "%M": 2, "%S": 2}
# Written for "nothing" by programs that have no other way; no figure of a speed test.
SENTINELS: Final = frozenset({"2147483647", "-2147483648", "4294967295", "9223372036854775807", "-9999", "-999"})
_MAYBE_SENTINELS: Final = frozenset({"-1", "255", "65535", "32767", "999", "9999", "99999", "999999"})
_WORDS_FOR_NOTHING: Final = frozenset({"null", "none", "nan", "n/a", "na", "#n/a", "-", "--", "\\n", "(null)", "nil"})


@dataclass(frozen=True)
class Column:
    """One column of the sample: its header, its place, and its values as written, without outer spaces."""

    header: str
    place: int
    values: tuple[str, ...]

    @cached_property
    def filled(self) -> list[str]:
        return [value for value in self.values if value and value.lower() not in _WORDS_FOR_NOTHING]

    @cached_property
    def share_of_numbers(self) -> float:
        filled = [value for value in self.filled if value not in SENTINELS]
        return sum(_looks_like_number(value) for value in filled) / len(filled) if filled else 0.0


@dataclass(frozen=True)
class Look:
    """What was seen of a file. `doubts` are sentences on what the bytes and values do not settle."""

    encoding: str
    delimiter: str
    quote: str
    columns: tuple[Column, ...]
    n_rows: int
    is_whole: bool
    doubts: tuple[str, ...]


def look_at(path: Path) -> Look:
    """Look at a csv or csv.gz file (its first 64 MiB). Raises `UserError` where it is neither, or holds no table."""
    data, is_whole = _read(path)
    doubts = [] if is_whole else [f"only the first {BYTES_MAX >> 20} MiB were looked at"]
    encoding, text, of_encoding = _decode(data)
    if not is_whole:
        text = text[: text.rfind("\n") + 1]
    doubts += of_encoding
    delimiter, of_delimiter = _delimiter_of(text)
    doubts += of_delimiter
    quote = _quote_of(text, delimiter)
    if "\\" + quote in text:
        doubts.append(
            f"a backslash stands before a quote: a quote within quotes is read where it is doubled ({quote * 2})"
        )
    records = list(_records(text, delimiter, quote))
    if len(records) < 2:
        raise UserError(
            f"file {path.name}", "no row under a header", "a header row and measurements", "give a fuller file"
        )
    header, rows = records[0], records[1:]
    of_other_length = [number for number, row in enumerate(rows, start=2) if len(row) != len(header)]
    if of_other_length:
        doubts.append(
            f"{len(of_other_length):,} of {len(rows):,} rows do not have the header's {len(header)} fields "
            f"(the first is record {of_other_length[0]}): they will be put aside as unreadable_row"
        )
    if sum(bool(re.fullmatch(r"[+-]?[\d.,]+", text.strip())) for text in header) * 2 > len(header):
        doubts.append("the first row looks like measurements, not like a header row")
    whole = [row for row in rows if len(row) == len(header)]
    columns = tuple(
        Column(name.strip().lstrip("\ufeff"), place, tuple(row[place].strip() for row in whole))
        for place, name in enumerate(header)
    )
    repeated = [name for name, n in Counter(column.header for column in columns).items() if n > 1]
    if repeated:
        doubts.append("headers that stand more than once: " + ", ".join(map(repr, repeated)))
    return Look(encoding, delimiter, quote, columns, len(rows), is_whole, tuple(doubts))


def marks_of(columns: Sequence[Column]) -> tuple[str, str, list[str]]:
    """Decimal and thousands marks that fit the most numbers of all these columns, and doubts."""
    numbers = [
        value for column in columns if column.share_of_numbers > 0.5 for value in column.filled if "," in value
        or "." in value or " " in value
    ]  # fmt: skip
    fits = {marks: sum(bool(_number_of(*marks).fullmatch(value)) for value in numbers) for marks in _MARKS}
    best = max(_MARKS, key=lambda marks: fits[marks])
    doubts = []
    others = [marks for marks in _MARKS if marks != best and numbers and fits[marks] == fits[best]]
    for decimal, thousands in others:
        # With a mark that stands in no number it is the same reading.
        example = next((v for v in numbers if _plain(v, decimal, thousands) != _plain(v, *best)), None)
        if example is not None:
            doubts.append(
                f"decimal {best[0]!r} is taken; all numbers also fit decimal {decimal!r} with thousands "
                f"{thousands!r}, by which {example} would be {_plain(example, decimal, thousands)}"
            )
    strange = len(numbers) - fits[best]
    if strange:
        value = next(value for value in numbers if not _number_of(*best).fullmatch(value))
        doubts.append(f"{strange:,} numbers do not fit decimal {best[0]!r}, thousands {best[1]!r}, such as {value!r}")
    return *best, doubts


def timestamp_formats_of(column: Column) -> tuple[list[str], list[str]]:
    """Formats that together fit the values of a column, the fewest found, and doubts; none where none fits."""
    left = Counter(column.filled)
    n_values = sum(left.values())
    chosen: list[str] = []
    doubts: list[str] = []
    while left and len(chosen) < 3:
        sample = list(left)
        tried = [
            day + time
            for time in _TIMES
            for day in _DAYS
            if _fits(day + time, sample[0]) or _fits(day + time, sample[-1])
        ]
        fits = {form: sum(n for value, n in left.items() if _fits(form, value)) for form in tried}
        best = max(fits, key=lambda form: fits[form], default=None)
        if best is None or not fits[best]:
            break
        ambiguous = [form for form, n in fits.items() if form != best and n == fits[best]]
        if ambiguous:
            doubts.append(
                f"{column.header}: {best} is taken, since in Vietnam the day stands first; "
                f"{' and '.join(ambiguous)} would fit the same {fits[best]:,} values: no day of them is above 12"
            )
        chosen.append(best)
        left = Counter({value: n for value, n in left.items() if not _fits(best, value)})
    if len(chosen) > 1:
        doubts.append(f"{column.header}: times are written in {len(chosen)} ways: {', '.join(chosen)}")
    if chosen and left:
        n_left = sum(left.values())
        doubts.append(
            f"{column.header}: {n_left:,} of {n_values:,} values fit none of {chosen}, such as {next(iter(left))!r}"
        )
    if not chosen and column.filled:
        value = column.filled[0]
        what = {10: "seconds since 1970", 13: "milliseconds since 1970"}.get(len(value)) if value.isdigit() else None
        if re.fullmatch(r"[34]\d{4}([.,]\d+)?", value):
            what = "a day as Excel counts it"
        if what:
            doubts.append(f"{column.header}: {value!r} may be {what}, which no format declares: export it as text")
    return chosen, doubts


def nothing_marks_of(columns: Sequence[Column]) -> tuple[list[str], list[str]]:
    """Texts that stand for "nothing" in these columns, and doubts."""
    marks: dict[str, list[str]] = {}
    doubts = []
    for column in columns:
        counts = Counter(column.values)
        for value in counts:
            if value and value.lower() in _WORDS_FOR_NOTHING or value in SENTINELS:
                marks.setdefault(value, []).append(f"{column.header} ({counts[value]:,} rows)")
        if column.share_of_numbers == 1.0:
            numbers = [float(v) for v in column.filled if re.fullmatch(r"[+-]?\d+(\.\d+)?", v) and v not in SENTINELS]
            for value in _MAYBE_SENTINELS & counts.keys():
                rest = [number for number in numbers if number != float(value)]
                is_apart = rest and not min(rest) - 1 <= float(value) <= max(rest) + 1
                if counts[value] > 1 and is_apart:
                    doubts.append(
                        f"{column.header}: {value} in {counts[value]:,} rows lies apart from the other values "
                        f"({min(rest):g} to {max(rest):g}): it may stand for nothing; if so, add it to missing"
                    )
    for mark, places in marks.items():
        doubts.append(f"{mark!r} is taken to stand for nothing, in every column: seen in {', '.join(places)}")
    return list(marks), doubts


def poor_columns_of(columns: Sequence[Column], private: Sequence[Column]) -> list[str]:
    """Sentences on columns that are empty or say the same in every row; values of private ones are not told."""
    doubts = []
    for column in columns:
        values = set(column.values)
        if values <= {""}:
            doubts.append(f"{column.header}: empty in every row")
        elif len(values) == 1 and len(column.values) > 1:
            what = "the same value" if column in private else repr(next(iter(values)))
            doubts.append(f"{column.header}: {what} in every row")
    return doubts


def median_of(column: Column, decimal: str, thousands: str) -> float | None:
    """The median of a column's numbers, None where it has none."""
    plain = (_plain(value, decimal, thousands) for value in column.filled if value not in SENTINELS)
    numbers = [float(value) for value in plain if re.fullmatch(r"[+-]?\d+(\.\d+)?", value)]
    return statistics.median(numbers) if numbers else None


def _read(path: Path) -> tuple[bytes, bool]:
    try:
        with path.open("rb") as plain:
            is_gzip = plain.read(2) == b"\x1f\x8b"
        if is_gzip != path.name.lower().endswith(".gz"):
            raise UserError(
                f"file {path.name}",
                "gzip bytes" if is_gzip else "a name in .gz, but no gzip bytes",
                "a name that ends in .gz, and gzip bytes, or neither",
                "rename the file",
            )
        with gzip.open(path) if is_gzip else path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise UserError(f"file {path}", "nothing", "an export file", "give the path of one: FILE=…") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"file {path}", str(error), "a readable csv or csv.gz file", "fetch it again") from error
    if data.startswith((b"PK\x03\x04", b"PAR1")) or data.lstrip()[:1] in (b"{", b"["):
        raise UserError(
            f"file {path.name}",
            "a workbook, an archive, Parquet or JSON",
            "a csv or csv.gz file",
            "write its contract by hand, from include/sources/ispeed.yaml",
        )
    return data[:BYTES_MAX], len(data) <= BYTES_MAX


def _decode(data: bytes) -> tuple[str, str, list[str]]:
    """Encoding, text, and doubts: by the byte order mark, else by which reading looks like words of one script."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return encoding, data.decode(encoding, errors="replace").lstrip("\ufeff"), []
    head = data[:4096]
    if head.count(0) > len(head) // 4:
        encoding = "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
        return (
            encoding,
            data.decode(encoding, errors="replace"),
            [f"{encoding} is taken by its zero bytes: no mark says so"],
        )
    if data.isascii():
        return "utf-8", data.decode("ascii"), []
    tcvn3.register()
    texts = {name: data.decode(name, errors="replace") for name in _ENCODINGS}
    scores = {name: _likeness(text) for name, text in texts.items()}
    best = max(scores, key=lambda name: scores[name])
    doubts = []
    others = [name for name in scores if name != best and texts[name] != texts[best]]
    close = [name for name in others if scores[name] > scores[best] - 0.1]
    wrong_without_failing = ["utf-8"] if "utf-8" in others and "\ufffd" not in texts["utf-8"] else []
    for name in dict.fromkeys([*wrong_without_failing, *close]):
        doubts.append(
            f"encoding {best} is taken; {name} reads the same bytes without failing, but as other words: "
            f"{_compared(texts[best], texts[name])}"
        )
    if scores[best] < 0.9:
        doubts.append(f"no encoding tried ({', '.join(scores)}) reads all words well; {best} reads {scores[best]:.0%}")
    n_lost = texts[best].count("\ufffd")
    if n_lost:
        line = texts[best][: texts[best].index("\ufffd")].count("\n") + 1
        doubts.append(f"{n_lost:,} bytes are not {best}, first in line {line:,}: their rows will be put aside")
    return best, texts[best], doubts


def _likeness(text: str) -> float:
    """The share of characters beyond ASCII that stand as they do in words; each distinct word counts once."""
    words = {unicodedata.normalize("NFC", match[0]) for match in islice(_WORD.finditer(text), 200_000)}
    found = [_is_likely(word, place) for word in words for place, letter in enumerate(word) if not letter.isascii()]
    return sum(found) / len(found) if found else 0.0


def _is_likely(word: str, place: int) -> float:
    letter, before, after = word[place], word[place - 1 : place], word[place + 1 : place + 2]
    if "\u4e00" <= letter <= "\u9fff":
        return not any(near.isalpha() and not "\u4e00" <= near <= "\u9fff" for near in (before, after))
    if letter in "–—‘’“”…°•²³·":
        return not (before.isalpha() and after.isalpha())
    if not unicodedata.name(letter, "").startswith("LATIN"):
        return 0.0
    if letter.isupper() and before.islower():
        return 0.0
    return 1.0 if letter in _VIETNAMESE else 0.5


def _compared(best: str, other: str) -> str:
    """The first words that two readings differ in, with their lines."""
    found = []
    for number, (line, line_of_other) in enumerate(zip(best.split("\n"), other.split("\n"), strict=False), start=1):
        if line != line_of_other:
            words = (next((match[0] for match in _WORD.finditer(text)), "") for text in (line, line_of_other))
            found.append("line {}: {!r}, not {!r}".format(f"{number:,}", *words))
        if len(found) == 3:
            break
    return "; ".join(found)


def _delimiter_of(text: str) -> tuple[str, list[str]]:
    """The mark by which the most of the first rows have as many fields as the header, at least two."""
    widths: dict[str, tuple[float, int]] = {}
    for delimiter in _DELIMITERS:
        records = list(islice(_records(text, delimiter), 1_000))
        width = len(records[0]) if records else 0
        if width > 1:
            widths[delimiter] = (sum(len(record) == width for record in records) / len(records), width)
    if not widths:
        return ",", ["no delimiter splits the header row: one column, or a mark that was not tried (, ; tab |)"]
    best = max(widths, key=lambda delimiter: widths[delimiter])
    rivals = [mark for mark, (share, _) in widths.items() if mark != best and share > 0.95]
    return best, [f"delimiter {best!r} is taken; {mark!r} would split the rows evenly too" for mark in rivals]


def _quote_of(text: str, delimiter: str) -> str:
    """The mark that most fields stand between, the double one where none does."""
    edge = re.escape(delimiter)
    counts = {
        quote: len(
            re.findall(rf"(?:^|{edge}){quote}[^{quote}\n]*{quote}(?={edge}|\r?$)", text[: 1 << 20], re.MULTILINE)
        )
        for quote in ('"', "'")
    }
    return max(counts, key=lambda quote: counts[quote])


def _records(text: str, delimiter: str, quote: str = '"') -> Iterator[list[str]]:
    lines = io.StringIO(text, newline="")
    try:
        yield from (record for record in csv.reader(lines, delimiter=delimiter, quotechar=quote) if record)
    except csv.Error:
        return


def _looks_like_number(value: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(\d[\d., ]*|\.\d+)([eE][+-]?\d+)?", value))


def _number_of(decimal: str, thousands: str) -> re.Pattern[str]:
    whole = rf"(\d+|\d{{1,3}}({re.escape(thousands)}\d{{3}})+)" if thousands else r"\d*"
    return re.compile(rf"[+-]?{whole}({re.escape(decimal)}\d*)?([eE][+-]?\d+)?")


def _plain(value: str, decimal: str, thousands: str) -> str:
    return value.replace(thousands, "").replace(decimal, ".") if thousands else value.replace(decimal, ".")


def _fits(form: str, value: str) -> bool:
    """Whether staging would read a value by a format: strptime alone takes 1/10/24 for %d/%m/%Y too."""
    parts = re.split(r"(%.)", form)
    pattern = "".join(
        rf"\d{{{_DIGITS[part]}}}" if part in _DIGITS else ".+" if part.startswith("%") else re.escape(part)
        for part in parts
    )
    if not re.fullmatch(pattern, value):
        return False
    try:
        datetime.strptime(value, form)
    except ValueError:
        return False
    return True

"""What the values of an unknown export's columns say of how they are written, and where they leave a doubt.

For who writes a source contract: the pipeline itself reads what the contract declares, and nothing else.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ispeed.contracts import UNITS, reads_time

# Decimal and thousands marks in the order in which they are taken where several fit.
_MARKS: Final = ((".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", " "), (",", "\u00a0"), (".", "\u00a0"))
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
_TIMES: Final = ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M", "T%H:%M:%S.%f", " %H:%M:%S.%f", " %I:%M:%S %p")
_OFFSET: Final = re.compile(r"(?:Z|[+-]\d\d(?::?\d\d)?)$")
# Written for "nothing" by programs that have no other way; no figure of a speed test.
SENTINELS: Final = frozenset({"2147483647", "-2147483648", "4294967295", "9223372036854775807", "-9999", "-999"})
_MAYBE_SENTINELS: Final = frozenset({"-1", "255", "65535", "32767", "999", "9999", "99999", "999999"})
_WORDS_FOR_NOTHING: Final = frozenset(
    {"null", "none", "nan", "n/a", "na", "#n/a", "-", "--", "\\n", "(null)", "nil", "unknown", "không xác định"}
)
# How headers name units, by what our column's name ends with; beside each whether it can mean nothing else.
_PER_SECOND: Final = r"(?:/ ?s(?:ec)?|/ ?giây|ps|[ _-]?per[ _-]?sec(?:ond)?)"
_SPEED: Final = re.compile(
    rf"(?<![A-Za-z])(kilo|mega|giga|[kmg])?[ _-]?(bits?|bytes?|b){_PER_SECOND}(?![A-Za-z])", re.I
)
_TIME_UNITS: Final = (
    ("ms", re.compile(r"(?<![A-Za-z/])(?:ms|msec|millis|milliseconds?|mili ?giây)(?![A-Za-z])", re.I)),
    ("us", re.compile(r"(?<![A-Za-z/])(?:us|µs|μs|microseconds?)(?![A-Za-z])", re.I)),
    ("s", re.compile(r"(?<![A-Za-z/])(?:s|secs?|seconds?|giây)(?![A-Za-z])", re.I)),
)
_LENGTH_UNITS: Final = (
    ("km", re.compile(r"(?<![A-Za-z])km(?![A-Za-z])", re.I)),
    ("m", re.compile(r"(?<![A-Za-z])(?:m|meters?|metres?|mét)(?![A-Za-z])", re.I)),
)
# Units that a header may leave out, the likelier first.
_COMMON: Final = {"mbps": ("Mbit/s", "kbit/s", "bit/s", "B/s", "kB/s", "MB/s"), "ms": ("ms", "s", "us")}
# Where the median of a month's figures may lie, in our unit.
_LIKELY: Final = {"download_mbps": (0.5, 2_000), "upload_mbps": (0.2, 2_000), "ping_ms": (1, 1_000)}


@dataclass(frozen=True)
class Column:
    """One column of the sample: its header, its place, and its values as text without outer spaces.

    `written` are the values that the file itself holds as text; the others are its numbers, and `n_times` its dates.
    """

    header: str
    place: int
    values: tuple[str, ...]
    written: tuple[str, ...]
    n_times: int = 0

    @cached_property
    def filled(self) -> list[str]:
        return _filled(self.values)

    @cached_property
    def share_of_numbers(self) -> float:
        filled = [value for value in self.filled if value not in SENTINELS]
        return sum(_looks_like_number(value) for value in filled) / len(filled) if filled else 0.0

    @property
    def has_times_alone(self) -> bool:
        """Whether its values are dates of the file's own, and so need no format."""
        return self.n_times > 0 and not _filled(self.written)


@dataclass(frozen=True)
class Unit:
    """A unit of a contract, and why it is not sure; empty where it is."""

    name: str
    doubt: str = ""


def marks_of(columns: Sequence[Column]) -> tuple[str, str, list[str]]:
    """Decimal and thousands marks that fit the most numbers written as text in all these columns, and doubts."""
    numbers = [
        value
        for column in columns
        if column.share_of_numbers > 0.5
        for value in _filled(column.written)
        if re.search(r"[,. \u00a0]", value)
    ]
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


def offset_of(column: Column) -> str:
    """What all written times of a column end in to say their zone, such as Z or +07:00; empty where they do not."""
    endings = Counter(
        found[0] if (found := _OFFSET.search(value)) and ":" in value else "" for value in _filled(column.written)
    )
    return next(iter(endings)) if len(endings) == 1 else ""


def timestamp_formats_of(column: Column) -> tuple[list[str], list[str]]:
    """Formats that together fit the written times of a column, the fewest found, and doubts; none where none fits."""
    offset = offset_of(column)
    left = Counter(_filled(column.written))
    n_values = sum(left.values())
    chosen: list[str] = []
    doubts: list[str] = []
    forms = [day + time + offset for time in _TIMES for day in _DAYS]
    forms += [re.sub("%([dmHI])", r"%-\1", form) for form in forms if "%Y%m%d" not in form]
    while left and len(chosen) < 3:
        sample = list(left)
        tried = [form for form in forms if reads_time(form, sample[0]) or reads_time(form, sample[-1])]
        fits = {form: sum(n for value, n in left.items() if reads_time(form, value)) for form in tried}
        best = max(fits, key=lambda form: fits[form], default=None)
        if best is None or not fits[best]:
            break
        ambiguous = [
            form for form, n in fits.items() if n == fits[best] and form.replace("%-", "%") != best.replace("%-", "%")
        ]
        # What is written with zeros fits without them too.
        ambiguous = [form for form in ambiguous if "%-" not in form or "%-" in best]
        if ambiguous:
            doubts.append(
                f"{column.header}: {best} is taken, since in Vietnam the day stands first; "
                f"{' and '.join(ambiguous)} would fit the same {fits[best]:,} values: no day of them is above 12"
            )
        chosen.append(best)
        left = Counter({value: n for value, n in left.items() if not reads_time(best, value)})
    if len(chosen) > 1:
        doubts.append(f"{column.header}: times are written in {len(chosen)} ways: {', '.join(chosen)}")
    if chosen and left:
        n_left = sum(left.values())
        doubts.append(
            f"{column.header}: {n_left:,} of {n_values:,} values fit none of {chosen}, such as {next(iter(left))!r}"
        )
    return chosen, doubts


def is_dated(column: Column) -> bool:
    """Whether all values of a column are times of our days, so that they can be little else."""
    if column.has_times_alone:
        return True
    formats = timestamp_formats_of(column)[0] if column.written else []
    return bool(formats) and all(
        re.search(r"(?<!\d)20\d\d", value) and any(reads_time(form, value) for form in formats)
        for value in set(column.filled)
    )


def time_hint(column: Column, format: str) -> str:
    """What times that fit no format may be instead; empty where that cannot be said."""
    value = next(iter(column.filled), "")
    if re.fullmatch(r"[34]\d{4}([.,]\d+)?", value):
        if format == "xlsx" and value not in column.written:
            return f"{column.header}: {value!r} is read as a day that Excel counts"
        return (
            f"{column.header}: {value!r} may be a day as Excel counts it, which no format declares: export it as text"
        )
    unit = {10: "seconds", 13: "milliseconds"}.get(len(value)) if value.isdigit() else None
    return (
        f"{column.header}: {value!r} may be {unit} since 1970, which no format declares: export it as text"
        if unit
        else ""
    )


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


def unit_of(ours: str, column: Column, median: float | None) -> Unit | None:
    """The unit of a column of figures, by its header, else by where its median lies; None for columns without one."""
    kind = ours.rpartition("_")[2]
    named = _named_unit(kind, column.header)
    header = column.header
    if kind not in ("mbps", "ms", "pct", "m"):
        return None
    if named is None:
        return _unit_by_values(ours, column, median)
    if median is None or ours not in _LIKELY or _is_likely(ours, named.name, median):
        return Unit(named.name, f"{header!r}: {named.doubt}" if named.doubt else "")
    return Unit(
        named.name,
        f"{header!r} has the median {median:g}, which is not likely in {named.name}: look at its unit",
    )


def median_of(column: Column, decimal: str, thousands: str) -> float | None:
    """The median of a column's numbers, None where it has none."""
    plain = (_plain(value, decimal, thousands) for value in column.filled if value not in SENTINELS)
    numbers = [float(value) for value in plain if re.fullmatch(r"[+-]?\d+(\.\d+)?", value)]
    return statistics.median(numbers) if numbers else None


def words_of_header(header: str) -> str:
    """The words of a name in camel case, apart."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header)


def _named_unit(kind: str, header: str) -> Unit | None:
    text = words_of_header(header)
    if kind == "mbps" and (found := _SPEED.search(text)):
        scale, what = (found[1] or "")[:1].lower(), found[2]
        is_bytes = what.lower().startswith("byte") or (what == "B" and ("/" in found[0] or not found[0].isupper()))
        unit = {"": "", "k": "k", "m": "M", "g": "G"}[scale] + ("B/s" if is_bytes else "bit/s")
        said = found[0]
        if unit == "GB/s":
            return Unit("Gbit/s", f"{said} may be gigabytes, which no unit of a contract is; Gbit/s is taken")
        if len(what) == 1 and said.isupper():
            other, mine = ("bits", "bytes") if is_bytes else ("bytes", "bits")
            return Unit(unit, f"{said} is taken for {mine}; it may also be {other}")
        if what == "b" and "/" in said:
            return Unit(unit, f"{said} is taken for bits ({unit}); some write it for bytes")
        return Unit(unit)
    for units in {"ms": (_TIME_UNITS,), "m": (_LENGTH_UNITS,)}.get(kind, ()):
        for unit, pattern in units:
            if pattern.search(text):
                return Unit(unit)
    if kind == "pct" and re.search(r"%|pct|percent|phần trăm", text, re.I):
        return Unit("%")
    return None


def _unit_by_values(ours: str, column: Column, median: float | None) -> Unit:
    kind, header = ours.rpartition("_")[2], column.header
    own = {"mbps": "Mbit/s", "ms": "ms", "pct": "%", "m": "m"}[kind]
    if kind == "pct" and column.filled and all(re.fullmatch(r"0([.,]\d+)?|1([.,]0+)?", v) for v in column.filled):
        return Unit("share", f"{header!r} names no unit and has no value above 1; share (0 to 1) is taken, not %")
    if median is None or ours not in _LIKELY or _is_likely(ours, own, median):
        return Unit(own, f"{header!r} names no unit; {own} is taken")
    likely = [unit for unit in _COMMON[kind] if _is_likely(ours, unit, median)]
    if not likely:
        return Unit(own, f"{header!r} names no unit, and its median {median:g} is likely in none; {own} is taken")
    others = [f"{unit} ({_in_ours(ours, unit, median):g})" for unit in likely[1:]]
    return Unit(
        likely[0],
        f"{header!r} names no unit; by its median {median:g}, {likely[0]} is taken "
        f"({_in_ours(ours, likely[0], median):g} {own})"
        + (f"; it may also be {' or '.join(others)}" if others else ""),
    )


def _in_ours(ours: str, unit: str, value: float) -> float:
    times, per = UNITS[ours.rpartition("_")[2]][unit]
    return value * times / per


def _is_likely(ours: str, unit: str, median: float) -> bool:
    least, most = _LIKELY[ours]
    return least <= _in_ours(ours, unit, median) <= most


def _filled(values: Iterable[str]) -> list[str]:
    return [value for value in values if value and value.lower() not in _WORDS_FOR_NOTHING]


def _looks_like_number(value: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(\d[\d., \u00a0]*|\.\d+)([eE][+-]?\d+)?", value))


def _number_of(decimal: str, thousands: str) -> re.Pattern[str]:
    whole = rf"(\d+|\d{{1,3}}({re.escape(thousands)}\d{{3}})+)" if thousands else r"\d*"
    return re.compile(rf"[+-]?{whole}({re.escape(decimal)}\d*)?([eE][+-]?\d+)?")


def _plain(value: str, decimal: str, thousands: str) -> str:
    return value.replace(thousands, "").replace(decimal, ".") if thousands else value.replace(decimal, ".")

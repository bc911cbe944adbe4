"""The lines of a csv, told from its bytes before it is parsed: may they be read side by side, and which are odd?

Where each line is a record of its own, threads may parse a file at many places at once; and where a line holds nothing
but plain characters, what its fields say needs no cleaning. A line that is not plain is odd: it is left to the exact
reader. What makes one odd is listed in `_odd_places`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

RECORD_BYTES_MAX = 2_000_000
_BLOCK_BYTES = 1 << 20
_LF, _CR, _BLANK, _PLUS, _MINUS, _UNDERSCORE = b"\n\r +-_"
_EXPONENTS = tuple(b"eE")
# The first bytes of UTF-8 letters that neither normalisation nor trimming changes: Latin ones with marks, in one piece.
# 0xE1 0xBA and 0xE1 0xBB begin those of Vietnamese.
_LAST_PLAIN_LEAD, _FIRST_LEAD, _VIETNAMESE_LEAD, _VIETNAMESE_SECOND = 0xC6, 0xC2, 0xE1, (0xBA, 0xBB)


@dataclass(frozen=True)
class Marks:
    """The bytes of a csv that have a meaning, -1 for none. `last_bytes`: those that a missing last field may end with."""

    delimiter: int
    quote: int
    last_bytes: tuple[int, ...]
    line_bytes_max: int

    @classmethod
    def of(cls, delimiter: str, quote: str, missing: Sequence[str], line_bytes_max: int) -> Marks:
        """Of a contract's texts; a mark for "missing" may be a text of any length."""
        last = {delimiter.encode()[-1], *(quote.encode()[-1:]), *(text.encode()[-1] for text in missing if text)}
        return cls(ord(delimiter), ord(quote) if quote else -1, tuple(sorted(last)), line_bytes_max)


@dataclass(frozen=True)
class Lines:
    """A text in which each line is a record. Numbers count from 1, the header; `odd` and `empty` are sorted."""

    n_lines: int
    odd: Places
    empty: Places


def read_lines(path: Path, marks: Marks, n_columns: int) -> Lines | None:
    """What the bytes of a UTF-8 text tell of its lines; None where a record may take several, or line ends differ."""
    odd: list[Places] = []
    empty: list[Places] = []
    n_lines = n_returns = 0
    for block in _blocks(path):
        controls = np.flatnonzero(block < _BLANK)
        newlines = controls[block[controls] == _LF]
        if not len(newlines):
            return None
        if len(controls) > len(newlines):
            returns = controls[block[controls] == _CR]
            if not np.isin(returns + 1, newlines, assume_unique=True).all():
                return None
            n_returns += len(returns)
        quotes = np.flatnonzero(block == marks.quote) if marks.quote >= 0 else np.zeros(0, np.int64)
        if not _close_in_line(quotes, newlines):
            return None
        places = _odd_places(block, newlines, controls, quotes, marks)
        places = np.concatenate((places, _excused_places(block, newlines, quotes, marks, n_columns)))
        if len(places):
            odd.append(np.unique(np.searchsorted(newlines, places)) + n_lines + 1)
        n_bytes = np.diff(newlines, prepend=-1)
        is_empty = (n_bytes == 1) | ((n_bytes == 2) & (block[newlines - 1] == _CR))
        if is_empty.any():
            empty.append(np.flatnonzero(is_empty) + n_lines + 1)
        n_lines += len(newlines)
    # Line ends of two kinds; the last line may do without.
    if n_returns not in (0, n_lines - 1, n_lines):
        return None
    return Lines(n_lines, _joined(odd), _joined(empty))


def copy_lines(path: Path, target: Path, lines: Places) -> None:
    """Write the header of a text and these of its lines, sorted, to `target`."""
    wanted = np.unique(np.concatenate(([1], lines)))
    n_lines = 0
    with target.open("wb") as file:
        for block in _blocks(path):
            newlines = np.flatnonzero(block == _LF)
            first, last = np.searchsorted(wanted, (n_lines + 1, n_lines + len(newlines) + 1))
            for place in wanted[first:last] - n_lines - 1:
                start = newlines[place - 1] + 1 if place else 0
                file.write(block[start : newlines[place] + 1].tobytes())
            n_lines += len(newlines)


def _blocks(path: Path) -> Iterator[Bytes]:
    """The bytes in parts of whole lines; a line end stands behind the last one, whether the file has it or not.

    Part of a line alone is one that is too long to be a record.
    """
    rest = b""
    with path.open("rb") as file:
        while read := file.read(_BLOCK_BYTES):
            read = rest + read
            cut = read.rfind(b"\n") + 1
            if cut:
                yield np.frombuffer(read, np.uint8, cut)
            rest = read[cut:]
            if len(rest) > RECORD_BYTES_MAX:
                yield np.frombuffer(rest, np.uint8)
                return
    if rest:
        yield np.frombuffer(rest + b"\n", np.uint8)


def _close_in_line(quotes: Places, newlines: Places) -> bool:
    """Whether each quote has its fellow in its own line."""
    lines = np.searchsorted(newlines, quotes)
    return len(quotes) % 2 == 0 and bool((lines[::2] == lines[1::2]).all())


def _excused_places(block: Bytes, newlines: Places, quotes: Places, marks: Marks, n_columns: int) -> Places:
    """Ends of lines with too many or too few fields whose last one is a missing value: a parser may overlook that one."""
    ends = newlines - 1
    ends = ends - (block[np.maximum(ends, 0)] == _CR)
    is_asked = np.isin(block[np.maximum(ends, 0)], marks.last_bytes)
    if not is_asked.any():
        return np.zeros(0, np.int64)
    delimiters = np.flatnonzero(block == marks.delimiter)
    starts = np.concatenate(([0], newlines[:-1] + 1))
    n_found = np.searchsorted(delimiters, newlines) - np.searchsorted(delimiters, starts)
    within = np.searchsorted(delimiters, quotes[1::2]) - np.searchsorted(delimiters, quotes[::2])
    np.subtract.at(n_found, np.searchsorted(newlines, quotes[::2]), within)
    return newlines[is_asked & (n_found != n_columns - 1)]


def _odd_places(block: Bytes, newlines: Places, controls: Places, quotes: Places, marks: Marks) -> Places:
    """Where something stands for which a line is odd: what the quick reader and the exact one might read differently."""
    found: list[Any] = []
    # Control characters; the return before a line end is part of it.
    if len(controls) > len(newlines):
        found.append(controls[(block[controls] != _LF) & (block[controls] != _CR)])
    # Letters that may be written in two ways, marks without a width, spaces of other kinds, bytes that are no text.
    if (block >= _FIRST_LEAD).any():
        leads = np.flatnonzero((block > _LAST_PLAIN_LEAD) | (block == _FIRST_LEAD))
        second = block[np.minimum(leads + 1, len(block) - 1)]
        is_vietnamese = (block[leads] == _VIETNAMESE_LEAD) & np.isin(second, _VIETNAMESE_SECOND)
        found.append(leads[~is_vietnamese])
    # Blanks at either end of a field, and two of them together.
    blank = block == _BLANK
    edge = blank | (block == marks.delimiter) | (block == _LF) | (block == _CR) | (block == marks.quote)
    beside = (blank[:-1] & edge[1:]) | (edge[:-1] & blank[1:])
    if beside.any():
        found.append(np.flatnonzero(beside) + 1)
    if block[0] == _BLANK:
        found.append(np.zeros(1, np.int64))
    # A quote elsewhere than around a field.
    if len(quotes):
        before = block[np.maximum(quotes[::2] - 1, 0)]
        opens = (before == marks.delimiter) | (before == _LF) | (quotes[::2] == 0)
        behind = block[np.minimum(quotes[1::2] + 1, len(block) - 1)]
        closes = (behind == marks.delimiter) | (behind == _LF) | (behind == _CR)
        found.append(quotes[::2][~(opens & closes)])
    # 5.3033E+11, +-5 and 1_000: a code that lost its digits, and what only some take for numbers.
    plus = np.flatnonzero(block == _PLUS)
    if len(plus):
        before, behind = block[np.maximum(plus - 1, 0)], block[np.minimum(plus + 1, len(block) - 1)]
        found.append(plus[np.isin(before, _EXPONENTS) | (behind == _MINUS)])
    underscores = np.flatnonzero(block == _UNDERSCORE)
    if len(underscores):
        before, behind = block[np.maximum(underscores - 1, 0)], block[np.minimum(underscores + 1, len(block) - 1)]
        found.append(underscores[_is_digit(before) & _is_digit(behind)])
    is_long = np.diff(newlines, prepend=-1) > marks.line_bytes_max
    if is_long.any():
        found.append(newlines[is_long])
    return _joined(found)


def _is_digit(values: Bytes) -> npt.NDArray[np.bool_]:
    return (values >= ord("0")) & (values <= ord("9"))


def _joined(parts: Sequence[Places]) -> Places:
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)

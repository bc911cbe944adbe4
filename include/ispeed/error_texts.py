"""The texts of errors in Vietnamese, for who reads them on the page in Airflow and in messages.

Code, logs and terminals are English. `include/errors_vi.yaml` has each text as the code has it, with numbered places,
and the same in Vietnamese. Which one a finished text was made of is found by the text itself: an error that was noted
by a process that is gone is told as well as one at hand. What is not sure stays English as a whole: no template fits,
the one that fits does so in two ways, or two fit of which neither is a special case of the other. So a value that
imitates a text of ours can have a text left in English, and never one told that says something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from ispeed.settings import INCLUDE

TEXTS: Final = INCLUDE / "errors_vi.yaml"
_PLACE: Final = re.compile(r"\{(\d+)(?::([ndwr]|t\??))?\}")
# What may stand in a place: a number, a day, one word, a value in quotes (`!r`).
_FITS: Final = {
    "n": re.compile(r"-?\d[\d,]*(\.\d+)?(e[+-]?\d+)?"),
    "d": re.compile(r"\d{4}-\d\d-\d\d"),
    "w": re.compile(r"[^\s,:;]+"),
    "r": re.compile(r"'([^'\\]|\\.)*'|\"([^\"\\]|\\.)*\""),
}
# Stands for any value where it is asked which template is a special case of which.
_ANYTHING: Final = "\ufffc"
_FILLINGS: Final = {"n": "0", "d": "2024-10-01", "r": f"'{_ANYTHING}'"}
_DEEPEST: Final = 3
_WHOLE: Final[tuple[int, tuple[str, ...]]] = (0, ())


@dataclass(frozen=True)
class Template:
    """A text of ours: what stands between its places (one more than there are), their numbers and kinds."""

    between: tuple[str, ...]
    places: tuple[tuple[str, str], ...]
    vietnamese: str

    @classmethod
    def of(cls, english: str, vietnamese: str) -> Template:
        between, numbers, kinds = (tuple(_PLACE.split(english)[start::3]) for start in range(3))
        return cls(between, tuple(zip(numbers, (kind or "" for kind in kinds), strict=True)), vietnamese)

    def split(self, text: str) -> tuple[int, tuple[str, ...]]:
        """In how many ways the text may have been made of this one (0, 1, or 2 for more), and the values of one way."""
        first, last = self.between[0], self.between[-1]
        if not self.places:
            return int(text == first), ()
        if not (text.startswith(first) and text.endswith(last) and len(text) >= len(first) + len(last)):
            return _WHOLE
        # By where the next place begins: ways to get there, and the values of one of them.
        ways: dict[int, tuple[int, tuple[str, ...]]] = {len(first): (1, ())}
        for number, ((_, kind), literal) in enumerate(zip(self.places, self.between[1:], strict=True), start=1):
            ends = [len(text) - len(last)] if number == len(self.places) else list(_all_of(literal, text))
            further: dict[int, tuple[int, tuple[str, ...]]] = {}
            for end in ends:
                for start, (n_ways, values) in ways.items():
                    if start <= end and _fits(kind, text[start:end]):
                        before = further.get(end + len(literal), _WHOLE)[0]
                        further[end + len(literal)] = (min(2, before + n_ways), (*values, text[start:end]))
            ways = further
        return ways.get(len(text), _WHOLE)


@dataclass(frozen=True)
class _Reading:
    """A text as made of one template: `skeleton` is the text without its values, `told` Vietnamese, if that is sure."""

    template: Template
    skeleton: str
    told: str | None

    @property
    def rank(self) -> tuple[int, int]:
        return len(self.skeleton.replace(_ANYTHING, "")), sum(kind != "" for _, kind in self.template.places)


def in_vietnamese(text: str) -> str:
    """What was found, is expected or is to be done, line by line; a line without a sure translation stays as it is."""
    first, *others = text.split("\n")
    return "\n".join(_told(line, "texts") for line in (first, *map(str.strip, others)))


def place_in_vietnamese(where: str) -> str:
    """Where something was found; as it is where there is no sure translation."""
    return _told(where, "places")


def fault_in_vietnamese(kind: str) -> str:
    """What a fault that is none of ours is, by the name of its class: a sentence for whoever cannot read its text."""
    faults: dict[str, str] = _document()["faults"]
    return faults.get(kind, faults["other"])


def _told(text: str, part: str) -> str:
    reading = _read(text, templates(part))
    return text if reading is None or reading.told is None else reading.told


def _read(text: str, among: Sequence[Template], depth: int = 0) -> _Reading | None:
    readings = sorted(_readings(text, among, depth), key=lambda one: one.rank, reverse=True)
    if not readings:
        return None
    best, others = readings[0], readings[1:]
    is_sure = all(other.template.split(best.skeleton)[0] for other in others)
    return best if is_sure else _Reading(best.template, best.skeleton, None)


def _readings(text: str, among: Sequence[Template], depth: int) -> Iterator[_Reading]:
    for template in among:
        n_ways, values = template.split(text)
        reading = _filled(template, values, depth) if n_ways else None
        if reading:
            yield reading if n_ways == 1 else _Reading(template, reading.skeleton, None)


def _filled(template: Template, values: Sequence[str], depth: int) -> _Reading | None:
    """The template with these values; None where one that should be a text of ours is none."""
    told: dict[str, str] = {}
    skeleton, is_sure = template.between[0], True
    for (number, kind), value, literal in zip(template.places, values, template.between[1:], strict=True):
        told[number], filling = value, _FILLINGS.get(kind, _ANYTHING)
        if kind == "n":
            told[number] = value.translate(_MARKS)
        elif kind.startswith("t"):
            inner = _read(value, templates(), depth + 1) if depth < _DEEPEST else None
            if inner is None and kind == "t":
                return None
            if inner and inner.told is not None:
                told[number], filling = inner.told, inner.skeleton
            elif inner:
                is_sure = False
        skeleton += filling + literal
    vietnamese = _PLACE.sub(lambda place: told[place[1]], template.vietnamese)
    return _Reading(template, skeleton, vietnamese if is_sure else None)


@cache
def templates(*parts: str) -> tuple[Template, ...]:
    """The texts of `places`, of `texts`, or of both."""
    return tuple(
        Template.of(english, vietnamese)
        for part in parts or ("places", "texts")
        for english, vietnamese in _document()[part].items()
    )


@cache
def _document(path: Path = TEXTS) -> dict[str, dict[str, str]]:
    document: dict[str, dict[str, str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


# 1,234.5 as the code writes numbers is 1.234,5 here.
_MARKS: Final = str.maketrans(",.", ".,")


def _all_of(literal: str, text: str) -> Iterator[int]:
    at = text.find(literal)
    while at >= 0:
        yield at
        at = text.find(literal, at + 1)


def _fits(kind: str, value: str) -> bool:
    return kind not in _FITS or bool(_FITS[kind].fullmatch(value))

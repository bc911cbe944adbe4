"""What the last look for returns, or for VNNIC's figures, found: noted in the lake for the page in Airflow.

The document of `ispeed.arrivals` is what counts for a revision. A look is for those who wait for it: who has not
returned, what was refused and why, which question VNNIC did not answer. It makes no revision; each replaces the last.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ispeed.arrivals import Kind
from ispeed.errors import SiteFault, UserError
from ispeed.lake import write_json
from ispeed.months import Month
from ispeed.settings import Settings

_NAME = "look.json"


@dataclass(frozen=True)
class Problem:
    """Why something did not count, in an error's four parts; `about` is whose it is, empty where that is not known."""

    about: str
    where: str
    found: str
    expected: str
    remedy: str

    @classmethod
    def of(cls, about: str, error: UserError | SiteFault) -> Problem:
        return cls(about, error.where, error.found, error.expected, error.remedy)


@dataclass(frozen=True)
class Late:
    """A body whose return came late, and when: ISO text with an offset."""

    name: str
    submitted_at: str


@dataclass(frozen=True)
class ReturnsLook:
    """A look at a month's folder of returns. `n_returned` and `late` are of the bodies that are asked, `missing` the
    names of those among them that have not returned; moments are ISO text with an offset.
    """

    looked_at: str
    deadline: str
    n_asked: int
    n_returned: int
    late: tuple[Late, ...]
    missing: tuple[str, ...]
    refused: tuple[Problem, ...]


@dataclass(frozen=True)
class AtlasAnswer:
    """An answer of VNNIC's that is used: what it is about, when it first came, and how many places are in it."""

    about: str
    fetched_at: str
    n_places: int
    n_left_out: int


@dataclass(frozen=True)
class AtlasLook:
    """What VNNIC was asked for a month. `answers` are all that are used, `faults` the questions of this look that had
    none.
    """

    looked_at: str
    answers: tuple[AtlasAnswer, ...]
    faults: tuple[Problem, ...]

    @property
    def fetched_at(self) -> str | None:
        """When the newest of the answers came."""
        return max((answer.fetched_at for answer in self.answers), default=None)


def note_look(settings: Settings, month: Month, kind: Kind, look: ReturnsLook | AtlasLook) -> None:
    write_json(settings.lake_of(kind, month) / _NAME, asdict(look))


def read_look(settings: Settings, month: Month, kind: Kind) -> ReturnsLook | AtlasLook | None:
    """The last look of a month; None where there was none, or where another version noted it."""
    with suppress(FileNotFoundError, ValueError, TypeError, KeyError):
        note: dict[str, Any] = json.loads((settings.lake_of(kind, month) / _NAME).read_text(encoding="utf-8"))
        if kind == "returns":
            late, refused = (Late(**one) for one in note["late"]), (Problem(**one) for one in note["refused"])
            lists = {"late": tuple(late), "refused": tuple(refused), "missing": tuple(note["missing"])}
            return ReturnsLook(**{**note, **lists})
        answers, faults = (AtlasAnswer(**one) for one in note["answers"]), (Problem(**one) for one in note["faults"])
        return AtlasLook(**{**note, "answers": tuple(answers), "faults": tuple(faults)})
    return None

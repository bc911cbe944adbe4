"""What arrives beside a month's measurements: the bodies' own returns, and VNNIC's figures, each as one document.

Whoever collects them notes all that is known in one JSON document a month. Its `rows` fill a report table, its `told`
is what the workbooks say besides (`Content.told`): these two count for the revision. What else it holds (moments,
addresses) is kept for those who look, and makes no revision. Every version stays, by its sha256: so an earlier revision
can be made anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from ispeed.database import Database
from ispeed.engine import Engine
from ispeed.errors import UserError
from ispeed.lake import month_lock, write_file
from ispeed.months import Month
from ispeed.publication import published_origin
from ispeed.rules import sha256_of
from ispeed.settings import Settings
from ispeed.tables import METRICS

Kind = Literal["returns", "atlas"]
KINDS: Final[tuple[Kind, ...]] = ("returns", "atlas")
# The relation that the rows of a document become, and its columns: what a row does not have is blank.
RELATIONS: Final[Mapping[Kind, tuple[str, Mapping[str, str]]]] = {
    "returns": (
        "arrived_return",
        {
            "organisation_code": "text",
            "headcount": "integer",
            "n_installed": "integer",
            "n_measured": "integer",
            "submitted_at": "timestamp",
            "is_late": "boolean",
            "source_file": "text",
        },
    ),
    "atlas": (
        "arrived_atlas",
        {
            "network": "text",
            "level": "text",
            "code": "text",
            "atlas_n_samples": "integer",
            **{f"atlas_{metric}_median": "double" for metric in METRICS},
        },
    ),
}


@dataclass(frozen=True)
class Arrival:
    """A noted document: its sha256, under which it is kept, and what it says."""

    sha256: str
    document: Mapping[str, Any] = field(repr=False)

    @property
    def origin(self) -> dict[str, str]:
        """What a revision's manifest says of it; `shown` is what counts for the revision."""
        counted = {name: self.document.get(name, []) for name in ("rows", "told", "asked_kinds")}
        return {"document": self.sha256, "shown": sha256_of(counted)}


def note_arrival(settings: Settings, month: Month, kind: Kind, document: Mapping[str, Any]) -> Arrival:
    """Keep a document as a version of its own and as the month's current one; the same document twice is one version.

    `document` has `rows` (dicts with the columns of `RELATIONS`; moments as ISO text, UTC), and may have `told`
    (anything that JSON has, in Vietnamese) and, for returns, `asked_kinds` (kinds of bodies that were asked).
    """
    content = (json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode()
    sha256 = hashlib.sha256(content).hexdigest()
    folder = settings.lake_of(kind, month)
    with month_lock(settings, month):
        # The version before the word that it is the current one: who reads that word finds it.
        write_file(folder / f"{sha256}.json", content)
        write_file(folder / f"{kind}.json", content)
    return Arrival(sha256, json.loads(content))


def read_arrival(settings: Settings, month: Month, kind: Kind) -> Arrival | None:
    """The month's current document of a kind, None where nothing arrived."""
    path = settings.lake_of(kind, month) / f"{kind}.json"
    if not path.exists():
        return None
    content = path.read_bytes()
    return Arrival(hashlib.sha256(content).hexdigest(), json.loads(content))


def read_arrivals(settings: Settings, month: Month) -> dict[Kind, Arrival]:
    """The current documents of a month, those that there are."""
    found = ((kind, read_arrival(settings, month, kind)) for kind in KINDS)
    return {kind: arrival for kind, arrival in found if arrival is not None}


def awaits_publishing(settings: Settings, month: Month, kind: Kind) -> bool:
    """Whether the month is published with something else of a kind than is noted; False where it is not at all."""
    arrival = read_arrival(settings, month, kind)
    revision = Database(settings.database_url).current_revision(month)
    if arrival is None or revision is None:
        return False
    origin = published_origin(settings.share_of(month), revision)
    return bool(origin.get(kind, {}).get("shown") != arrival.origin["shown"])


def add_arrivals(engine: Engine, arrivals: Mapping[Kind, Arrival]) -> None:
    """Make what arrived the relations of `RELATIONS`, and `asked_kind` the kinds of bodies asked for a return.

    All three are empty where nothing arrived.
    """
    for kind, (name, columns) in RELATIONS.items():
        rows = arrivals[kind].document["rows"] if kind in arrivals else []
        engine.add_rows(
            name, columns, [[_value(columns[column], row.get(column)) for column in columns] for row in rows]
        )
    add_asked(engine, arrivals["returns"].document.get("asked_kinds", []) if "returns" in arrivals else [])


def add_asked(engine: Engine, kinds: Sequence[str]) -> None:
    """Make `asked_kind` the kinds of bodies that are asked for a return."""
    engine.add_rows("asked_kind", {"kind": "text"}, [(kind,) for kind in kinds])


def copy_arrivals(settings: Settings, rebuilt: Settings, month: Month, origin: Mapping[str, Any]) -> None:
    """Make what a revision's origin names the current documents of another lake.

    Raises `UserError` where the lake does not have them any more.
    """
    for kind in KINDS:
        if kind in origin:
            kept = settings.lake_of(kind, month) / f"{origin[kind]['document']}.json"
            if not kept.exists():
                raise UserError(
                    f"lake {kept.parent}",
                    f"no {kept.name}, which the revision was made from",
                    "every version of what arrived",
                    "restore the lake from the backup",
                )
            target = rebuilt.lake_of(kind, month)
            target.mkdir(parents=True)
            shutil.copy(kept, target / f"{kind}.json")


def _value(kind: str, value: Any) -> Any:
    """A value of JSON as its column's; a moment comes with its offset, and goes as UTC without one."""
    if kind == "timestamp" and value is not None:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return value

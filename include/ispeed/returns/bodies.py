"""Who is asked for a return of a month, until when, and who has not sent one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ispeed.arrivals import add_asked, read_arrival
from ispeed.checks import add_policy
from ispeed.engine import open_engine
from ispeed.errors import UserError
from ispeed.lake import registry_lock
from ispeed.months import LOCAL_ZONE, Month
from ispeed.policy import read_policy
from ispeed.registry import read_registry
from ispeed.settings import Settings


@dataclass(frozen=True)
class Body:
    """A body that is asked: `code` of the registry, `headcount` as the registry has it, `deadline` in Vietnam's time.

    A return counts as in time before `deadline`.
    """

    code: str
    name: str
    kind: str
    headcount: int | None
    deadline: datetime


def deadline_of(settings: Settings, month: Month) -> datetime:
    """The moment from which a return of the month is late: the letter asks for it before that day begins."""
    after = month.next
    return datetime(after.year, after.number, settings.returns_due_day, tzinfo=ZoneInfo(LOCAL_ZONE))


def asked_bodies(settings: Settings, month: Month) -> list[Body]:
    """The bodies of the registry, as of the month, that are asked for a return, in the order of their codes.

    Raises `UserError` where the registry has not been synced.
    """
    folder = settings.lake / "registry"
    if not (folder / "organisation.parquet").exists():
        raise UserError(f"folder {folder}", "no registry", "the result of sync_registry", "run sync_registry first")
    with open_engine() as engine, registry_lock(settings, to_write=False):
        read_registry(engine, folder)
        add_policy(engine, read_policy(settings.policy, month.last_day), month)
        add_asked(engine, settings.returns_asked)
        for name in ("month_organisation", "month_commune", "asked_body"):
            engine.create(name, f"report/{name}.sql")
        rows = engine.rows("select * from asked_body order by organisation_code")
    deadline = deadline_of(settings, month)
    return [
        Body(
            row["organisation_code"],
            row["organisation_name"],
            row["organisation_kind"],
            row["registry_headcount"],
            deadline,
        )
        for row in rows
    ]


def missing_bodies(settings: Settings, month: Month) -> list[Body]:
    """Those who were asked and of whom no return that counts has been collected so far."""
    arrival = read_arrival(settings, month, "returns")
    returned = {row["organisation_code"] for row in arrival.document["rows"]} if arrival else set()
    return [body for body in asked_bodies(settings, month) if body.code not in returned]

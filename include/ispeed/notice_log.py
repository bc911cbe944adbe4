"""What was told already, so that a thing is told once a day and not once a try: `lake/notices/<key>.json`."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from ispeed.lake import notice_lock, write_json
from ispeed.months import LOCAL_ZONE
from ispeed.notice import Notice
from ispeed.settings import Settings

log = logging.getLogger(__name__)

# Of one key in one day, however many different things there are to tell.
MOST_A_DAY: Final = 5


def tell_once(
    settings: Settings,
    key: str,
    about: str,
    notice: Notice,
    send: Callable[[Notice], bool],
    now: datetime,
    *,
    ever: bool = False,
    run: str = "",
    is_of_run: bool = False,
) -> bool:
    """Send a notice unless the same (`about`) was told under this key on this day in Vietnam, or `ever`.

    Another thing under the same key is told too, up to `MOST_A_DAY`. What no route took is not noted, and so told at
    the next occasion; a process killed between sending and noting tells it twice. `run` is noted as one that people
    know of; what `is_of_run` goes only for a run that they do not know of. Returns whether it was sent now.
    """
    day = "ever" if ever else str(now.astimezone(ZoneInfo(LOCAL_ZONE)).date())
    mark = hashlib.sha256(about.encode()).hexdigest()[:16]
    is_sent = False
    try:
        with notice_lock(settings, key):
            note = read_note(settings, key)
            told = list(note.get("told", ())) if note.get("day") == day else []
            is_known = is_of_run and note.get("run") == run
            if is_known or mark in told or len(told) >= MOST_A_DAY:
                log.info("Not told again today: %s (lake/notices/%s.json).", notice.title, key)
                if note.get("run") != run:
                    write_json(_path(settings, key), {**note, "run": run})
                return False
            is_sent = send(notice)
            if is_sent:
                write_json(_path(settings, key), {"day": day, "told": [*told, mark], "title": notice.title, "run": run})
    except OSError as error:
        # A full disk is what people must hear of: rather twice than not at all.
        log.warning("What was told cannot be noted in lake/notices/%s.json, so it may be told again: %s", key, error)
        is_sent = is_sent or send(notice)
    return is_sent


def tell_it_is_well(settings: Settings, key: str, notice: Notice, send: Callable[[Notice], bool]) -> bool:
    """Send a notice that what was told under the key is over, and forget it; nothing where nothing was told."""
    if not _path(settings, key).exists():
        return False
    with notice_lock(settings, key):
        if not _path(settings, key).exists() or not send(notice):
            return False
        _path(settings, key).unlink()
        return True


def read_note(settings: Settings, key: str) -> dict[str, Any]:
    """What was told last under the key: day, marks, title; empty where there is nothing, or nothing sound."""
    try:
        note = json.loads(_path(settings, key).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _path(settings: Settings, key: str) -> Path:
    return settings.lake / "notices" / f"{key}.json"

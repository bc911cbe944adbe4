"""VNNIC's published figures of a month: asked, landed as they came, and noted for the reports.

`lake/atlas/month=YYYY-MM/answers/` holds each answer's bytes under their sha256; what was read in them is noted as an
arrival (`ispeed.arrivals`). What cannot be had is told in the log, and what landed before stays: no month
waits for VNNIC.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from ispeed import arrivals
from ispeed.arrival_looks import AtlasAnswer, AtlasLook, Problem, note_look
from ispeed.arrivals import note_arrival, read_arrival
from ispeed.atlas_figures import LEVELS, METRICS, Form, Level, Reading, read_figures, read_form, shown
from ispeed.atlas_site import PAUSES, Answer, fetch
from ispeed.engine import open_engine
from ispeed.errors import SiteFault
from ispeed.lake import month_lock, registry_lock, write_file
from ispeed.months import Month
from ispeed.policy import Policy, read_policy
from ispeed.registry import read_registry
from ispeed.settings import Settings
from ispeed.workbook.wording import NETWORKS, number

log = logging.getLogger(__name__)

# Between two requests, so as to be no burden.
PAUSE_SECONDS: Final = 1.0
_LEVELS_VI: Final[Mapping[Level, str]] = {"province": "cấp tỉnh", "commune": "cấp xã"}
Part = dict[str, Any]


def compare_atlas(settings: Settings, month: Month) -> dict[str, Any]:
    """Ask VNNIC for the month's figures of the province and its communes, mobile and fixed, and note what came.

    Returns how many figures are noted, how many of the four questions had no answer that can be used (each is a
    warning in the log), and whether anything that the reports show has changed. Raises `UserError` where the settings
    are wrong; the site's faults are no errors.
    """
    form = read_form(settings.atlas_form)
    policy = read_policy(settings.policy, month.last_day)
    communes = _communes(settings, month, policy)
    before = read_arrival(settings, month, "atlas")
    parts: dict[str, Part] = {part["part"]: part for part in (before.document["answers"] if before else ())}
    faults: list[Problem] = []
    for network in NETWORKS:
        for level in LEVELS:
            try:
                part = _ask(settings, month, form, policy, network, level, communes)
            except SiteFault as fault:
                faults.append(Problem.of(_about(network, level), fault))
                log.warning("VNNIC's figures of %s (%s, %s): none are taken over.\n%s", month, network, level, fault)
            else:
                parts[part["part"]] = _as_first_fetched(parts.get(part["part"]), part)
    document = _document(list(parts.values()), policy, communes)
    note_look(settings, month, "atlas", _look(document["answers"], faults))
    if not parts:
        return {"n_rows": 0, "n_faults": len(faults), "is_changed": False}
    arrival = note_arrival(settings, month, "atlas", document)
    noted = {
        "n_rows": len(document["rows"]),
        "n_faults": len(faults),
        "is_changed": before is None or before.origin["shown"] != arrival.origin["shown"],
    }
    log.info("Noted of VNNIC's figures of %s: %s.", month, noted)
    return noted


def awaits_publishing(settings: Settings, month: Month) -> bool:
    """Whether the month is published with other figures of VNNIC's than are noted; False where it is not at all."""
    return arrivals.awaits_publishing(settings, month, "atlas")


def _ask(
    settings: Settings,
    month: Month,
    form: Form,
    policy: Policy,
    network: str,
    level: Level,
    communes: frozenset[str] | None,
) -> Part:
    """One question: its answer landed, read, and what is noted of it. Raises `SiteFault`."""
    url = settings.atlas_url + form.path_of(month, network, level, policy.province.code)
    time.sleep(PAUSE_SECONDS)
    answer = fetch(url, settings.atlas_seconds, settings.atlas_bytes_max, PAUSES)
    sha256 = _land(settings, month, answer)
    reading = read_figures(form, url, answer.body)
    _require_ours(url, level, reading, policy, communes)
    if reading.left_out:
        log.warning("%s: %d places were left out: %s", url, len(reading.left_out), shown(reading.left_out))
    return {
        "part": f"{network}/{level}",
        "network": network,
        "level": level,
        "url": url,
        "status": answer.status,
        "content_type": answer.content_type,
        "sha256": sha256,
        "n_bytes": len(answer.body),
        "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "left_out": list(reading.left_out),
        "places": [asdict(figure) for figure in reading.figures],
    }


def _look(parts: Sequence[Part], faults: Sequence[Problem]) -> AtlasLook:
    """What the page in Airflow tells of this asking."""
    answers = (
        AtlasAnswer(
            about=_about(part["network"], part["level"]),
            fetched_at=part["fetched_at"],
            n_places=len(part["places"]),
            n_left_out=len(part["left_out"]),
        )
        for part in parts
    )
    return AtlasLook(datetime.now(UTC).isoformat(timespec="seconds"), tuple(answers), tuple(faults))


def _about(network: str, level: Level) -> str:
    return f"{NETWORKS[network]}, {_LEVELS_VI[level]}"


def _land(settings: Settings, month: Month, answer: Answer) -> str:
    """Keep the bytes as they came, also those that cannot be read: they show what has changed."""
    sha256 = hashlib.sha256(answer.body).hexdigest()
    path = settings.lake_of("atlas", month) / "answers" / sha256
    with month_lock(settings, month, to_replace=False):
        if not path.exists():
            write_file(path, answer.body)
    return sha256


def _require_ours(url: str, level: Level, reading: Reading, policy: Policy, communes: frozenset[str] | None) -> None:
    """Raise `SiteFault` where an answer has not one place of ours: it is about somewhere else, or other units."""
    province = f"province {policy.province.code}"
    ours = {policy.province.code} if level == "province" else communes
    codes = [figure.code for figure in reading.figures]
    if ours is not None and not ours.intersection(codes):
        raise SiteFault(
            url,
            f"{len(codes)} places and none of them ours: {shown(codes)}",
            province if level == "province" else f"communes of {province}",
            f"see what VNNIC calls it, and mend places.{level} in include/atlas.yaml",
        )


def _as_first_fetched(before: Part | None, part: Part) -> Part:
    """The same bytes again are the same answer, of when it first came."""
    if before and before["sha256"] == part["sha256"] and before["url"] == part["url"]:
        return part | {"fetched_at": before["fetched_at"]}
    return part


def _document(parts: Sequence[Part], policy: Policy, communes: frozenset[str] | None) -> dict[str, Any]:
    """The month's note: rows for the reports, sentences for the workbook, and where each answer came from."""
    order = {f"{network}/{level}": place for place, (network, level) in enumerate(_questions())}
    parts = sorted(parts, key=lambda part: order[part["part"]])
    unknown = {
        part["network"]: sorted({place["code"] for place in part["places"]} - communes)
        for part in parts
        if part["level"] == "commune" and communes is not None
    }
    for network, codes in unknown.items():
        if codes:
            log.warning(
                "VNNIC's %s figures name %d places that the registry as of the month does not have: %s",
                network,
                len(codes),
                shown(codes),
            )
    return {
        "rows": [
            {
                "network": part["network"],
                "level": part["level"],
                "code": place["code"],
                "atlas_n_samples": place["n_samples"],
                **{f"atlas_{metric}_median": place[metric] for metric in METRICS},
            }
            for part in parts
            for place in part["places"]
            if part["level"] == "commune" or place["code"] == policy.province.code
        ],
        "told": _told(parts),
        "answers": parts,
        "not_in_registry": unknown,
    }


def _questions() -> list[tuple[str, Level]]:
    return [(network, level) for network in NETWORKS for level in LEVELS]


def _told(parts: Sequence[Part]) -> list[str]:
    """What a reader of the month must know of VNNIC's figures. Of content only: a failed try is no news to him."""
    there = {part["part"] for part in parts}
    told = [
        f"Chưa có số liệu VNNIC {_LEVELS_VI[level]}, mạng {NETWORKS[network].lower()}"
        for network, level in _questions()
        if f"{network}/{level}" not in there
    ]
    told += [
        f"Số liệu VNNIC {_LEVELS_VI[part['level']]}, mạng {NETWORKS[part['network']].lower()}: "
        f"{number(len(part['left_out']))} dòng không đọc được, không dùng"
        for part in parts
        if part["left_out"]
    ]
    return told


def _communes(settings: Settings, month: Month, policy: Policy) -> frozenset[str] | None:
    """The codes of the province's communes on the month's last day; None where no registry was synced yet."""
    registry = settings.lake / "registry"
    if not (registry / "registry.json").exists():
        return None
    with registry_lock(settings, to_write=False), open_engine(settings.memory_bytes) as engine:
        read_registry(engine, registry)
        rows = engine.rows(
            "select commune_code from commune where province_code = ? and ? between valid_from and valid_to",
            [policy.province.code, month.last_day],
        )
    return frozenset(row["commune_code"] for row in rows)

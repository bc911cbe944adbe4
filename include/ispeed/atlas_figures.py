"""What VNNIC's statistics say: how they are asked (`include/atlas.yaml`), and an answer's bytes read as figures."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from ispeed.errors import SiteFault, UserError
from ispeed.months import Month

Level = Literal["province", "commune"]
LEVELS: Final[tuple[Level, ...]] = ("province", "commune")
METRICS: Final = ("download_mbps", "upload_mbps", "ping_ms", "jitter_ms")
# Beyond any network of today; what is larger is no Mbps and no ms.
_LARGEST: Final = 1_000_000
_COUNT_LARGEST: Final = 10**12
_N_SHOWN: Final = 5
# Far more than any map has places.
_ROWS_MAX: Final = 5_000


@dataclass(frozen=True)
class Figure:
    """One place as VNNIC tells it: medians in Mbps and ms, None where it has not enough samples (it says 0)."""

    code: str
    n_samples: int | None
    download_mbps: float | None
    upload_mbps: float | None
    ping_ms: float | None
    jitter_ms: float | None


@dataclass(frozen=True)
class Reading:
    """An answer as read: each place once, by code, and what was left out, in words, in the order of the answer."""

    figures: tuple[Figure, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Form:
    """How the site is asked: path behind its address, networks and places in its words, names of its columns."""

    path: str
    networks: Mapping[str, str]
    places: Mapping[str, str]
    columns: Mapping[str, str]

    def path_of(self, month: Month, network: str, level: Level, province_code: str) -> str:
        """What to ask for the figures of one network and level."""
        place = self.places[level].format(province_code=province_code)
        return self.path.format(network=self.networks[network], year=month.year, month=month.number, place=place)


def read_form(path: Path) -> Form:
    """Read `include/atlas.yaml`. Raises `UserError` naming what is missing or cannot be used."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(
            str(path), str(error), "how VNNIC's site is asked, in YAML", "restore include/atlas.yaml"
        ) from error
    expected: dict[str, set[str]] = {
        "networks": {"mobile", "fixed"},
        "places": set(LEVELS),
        "columns": {field.name for field in fields(Figure)},
    }
    document = document if isinstance(document, dict) else {}
    for name, keys in expected.items():
        found = document.get(name)
        if (
            not isinstance(found, dict)
            or set(found) != keys
            or not all(isinstance(text, str) for text in found.values())
        ):
            told = f"a text (in quotes) for each of {', '.join(sorted(keys))}"
            raise UserError(f"{path}, {name}", repr(found), told, "correct it")
    form = Form(str(document.get("path")), document["networks"], document["places"], document["columns"])
    try:
        for level in LEVELS:
            form.path_of(Month(2024, 10), "mobile", level, "56")
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(
            f"{path}, path or places",
            f"{form.path!r}, {dict(form.places)!r} ({error!r})",
            "no names in braces but {network}, {year}, {month}, {place}, and {province_code}",
            "correct it",
        ) from error
    return form


def read_figures(form: Form, where: str, body: bytes) -> Reading:
    """The figures of an answer. A place that cannot be read is left out and told.

    Raises `SiteFault` where the answer as a whole is not what it used to be: no JSON, no list, empty, or not one place
    in it that can be read. `where` is the address, for messages.
    """
    rows = _rows(where, body)
    figures: dict[str, Figure] = {}
    contradicted: set[str] = set()
    left_out: list[str] = []
    for number, row in enumerate(rows, start=1):
        try:
            figure = _figure(form, row)
        except ValueError as error:
            left_out.append(f"row {number}: {error}")
            continue
        if figures.setdefault(figure.code, figure) != figure:
            contradicted.add(figure.code)
    left_out += [f"code {code}: told twice, with different figures" for code in sorted(contradicted)]
    read = tuple(figures[code] for code in sorted(figures.keys() - contradicted))
    if not read:
        raise _other_form(where, f"{len(rows)} rows of which none can be read: {shown(left_out)}", form)
    return Reading(read, tuple(left_out))


def shown(texts: tuple[str, ...] | list[str]) -> str:
    """The first few texts, and how many there are besides."""
    more = f" and {len(texts) - _N_SHOWN} more" if len(texts) > _N_SHOWN else ""
    return "; ".join(texts[:_N_SHOWN]) + more


def _rows(where: str, body: bytes) -> list[Any]:
    try:
        rows = json.loads(body.decode("utf-8-sig"), parse_constant=_no_number)
    # Deeply nested brackets end in a RecursionError.
    except (ValueError, RecursionError) as error:
        start = body[:80].decode("utf-8", errors="replace")
        raise _other_form(where, f"{len(body):,} bytes that are no JSON ({error}), beginning with {start!r}") from error
    if not isinstance(rows, list):
        raise _other_form(where, f"JSON, but no list: {str(rows)[:200]}")
    if not rows:
        raise SiteFault(
            where,
            "an empty list",
            "a place and its figures at least",
            "VNNIC may not have published the month yet: ask again later, make atlas M=…",
        )
    if len(rows) > _ROWS_MAX:
        raise _other_form(where, f"{len(rows):,} rows, and at most {_ROWS_MAX:,} are read")
    return rows


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _figure(form: Form, row: Any) -> Figure:
    """Raises `ValueError` saying what is wrong with a row."""
    if not isinstance(row, dict):
        raise ValueError(f"no object but {row!r:.80}")
    missing = [name for name in form.columns.values() if name not in row]
    if missing:
        raise ValueError(f"no {', '.join(missing)}, only {', '.join(map(str, row))[:120]}")
    code = row[form.columns["code"]]
    if not (isinstance(code, str) and re.fullmatch(r"[0-9]{1,10}", code)):
        raise ValueError(f"{form.columns['code']} {code!r:.80} is no text of digits")
    return Figure(
        code,
        _count(form.columns["n_samples"], row[form.columns["n_samples"]]),
        *(_amount(form.columns[metric], row[form.columns[metric]]) for metric in METRICS),
    )


def _count(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _COUNT_LARGEST:
        raise ValueError(f"{name} {value!r:.80} is no count")
    return value


def _amount(name: str, value: Any) -> float | None:
    """A speed or a time; 0 is the site's word for not enough samples, and never a speed."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} {value!r:.80} is no number")
    if not 0 <= value <= _LARGEST or not math.isfinite(value):
        raise ValueError(f"{name} {value!r:.80} is not from 0 to {_LARGEST:,}")
    return round(float(value), 2) or None


def _other_form(where: str, found: str, form: Form | None = None) -> SiteFault:
    names = ", ".join(form.columns.values()) if form else "code, value, download, upload, ping, jitter"
    return SiteFault(
        where,
        found,
        f"a JSON list of objects, each with {names}",
        "look at the address in a browser: if VNNIC has changed the form, mend include/atlas.yaml and ask again",
    )

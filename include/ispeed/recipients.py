"""Who receives a workbook of their own, what of the month is theirs, who their peers are, and how their file is called.

Up to 06/2025 districts; from 07/2025, when there are none, communes or the groups of them that policy sets; and every
organisation of the month.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

from ispeed.errors import UserError
from ispeed.text import fold_place, slug, split_kind
from ispeed.workbook.content import Content, Row
from ispeed.workbook.wording import ORGANISATION_KINDS, alphabetical

RecipientKind = Literal["district", "commune_group", "commune", "organisation"]

_AREA_KINDS_VI: Final = {"district": "Cấp huyện", "commune_group": "Nhóm xã", "commune": "Đơn vị cấp xã"}
_COMMITTEE: Final = re.compile(r"^(?:ủy ban nhân dân|ubnd) ")
_LONGEST_SLUG: Final = 48
_LONGEST_CODE: Final = 20
# Windows opens a device under these names, whatever the extension.
_RESERVED: Final = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


@dataclass(frozen=True)
class Recipient:
    """Who gets a workbook, with the month's mobile rows that are theirs.

    `communes` are rows of `report_commune_month` (none for organisations), `codes` of `report_referral_code_month`,
    `body` is the organisation's row of `report_organisation_month`. `before` are the counts of the month before as
    published (`Content.previous_counts`), none where it was not the same unit or nothing was published.
    """

    kind: RecipientKind
    code: str
    name: str
    organisation_kind: str = ""
    communes: tuple[Row, ...] = ()
    codes: tuple[Row, ...] = ()
    body: Row | None = None
    before: tuple[Row, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """What no other recipient of the month has."""
        return self.kind, self.code, self.name

    @cached_property
    def n_measurements(self) -> int:
        """Accepted mobile measurements: in its communes, or by the codes that it holds."""
        return total(self.communes if self.body is None else (self.body,), "n_measurements")

    @property
    def own_row(self) -> Row | None:
        """The one report row that holds its figures; None where it has several communes."""
        if self.body is not None:
            return self.body
        return self.communes[0] if self.kind == "commune" else None

    @property
    def kind_vi(self) -> str:
        if self.kind == "organisation":
            return ORGANISATION_KINDS.get(self.organisation_kind, ORGANISATION_KINDS["other"])
        return _AREA_KINDS_VI[self.kind]


class Peers:
    """Recipients of one kind, those with most measurements first, and where each stands among them."""

    def __init__(self, recipients: Iterable[Recipient]) -> None:
        self.ranked = sorted(recipients, key=lambda one: (-one.n_measurements, alphabetical(one.name), one.code))
        self._index = {one.key: index for index, one in enumerate(self.ranked)}
        self._counts = sorted(one.n_measurements for one in self.ranked)
        self._per_head = sorted(value for one in self.ranked if (value := per_head(one)) is not None)
        intervals = [found for one in self.ranked if (found := interval_of(one.own_row))]
        self._lows, self._highs = sorted(low for low, _ in intervals), sorted(high for _, high in intervals)

    def __len__(self) -> int:
        return len(self.ranked)

    def index(self, one: Recipient) -> int:
        """Where it stands in `ranked`, from 0."""
        return self._index[one.key]

    def place(self, one: Recipient) -> int:
        """1 + how many have more measurements."""
        return 1 + len(self._counts) - bisect_right(self._counts, one.n_measurements)

    def n_ties(self, one: Recipient) -> int:
        """How many others have as many measurements."""
        count = one.n_measurements
        return bisect_right(self._counts, count) - bisect_left(self._counts, count) - 1

    def place_per_head(self, one: Recipient) -> tuple[int, int] | None:
        """1 + how many have more measurements a head, and of how many that is known; None where it is not of this."""
        value = per_head(one)
        return None if value is None else (1 + len(self._per_head) - bisect_right(self._per_head, value), self.n_heads)

    @property
    def n_heads(self) -> int:
        return len(self._per_head)

    @property
    def n_measured(self) -> int:
        """How many have any measurement."""
        return len(self._counts) - bisect_right(self._counts, 0)

    def intervals_beside(self, one: Recipient) -> tuple[int, int, int] | None:
        """How many others' 95 % intervals of the median download overlap its own, lie wholly above, wholly below.

        None where it has none itself, or nobody else has one.
        """
        own = interval_of(one.own_row)
        if own is None or len(self._lows) < 2:
            return None
        above = len(self._lows) - bisect_right(self._lows, own[1])
        below = bisect_left(self._highs, own[0])
        return len(self._lows) - above - below - 1, above, below


def recipients_of(content: Content, groups: Mapping[str, Sequence[str]]) -> list[Recipient]:
    """Everyone who receives a workbook of the month, areas first, each with its rows.

    `groups` are commune codes by the name of their group, for communes without a district. Raises `UserError` where a
    group names a code that is not a commune of the month.
    """
    codes: dict[tuple[str, str], list[Row]] = {}
    for row in content.rows("report_referral_code_month", "mobile"):
        codes.setdefault((str(row["holder_kind"]), str(row["holder_code"])), []).append(row)
    before = _by_key(content.previous_counts.get("report_commune_month", ()), "commune_code")
    districts_before: dict[str, list[Row]] = {}
    for row in before.values():
        districts_before.setdefault(str(row["district_code"]), []).append(row)
    bodies = content.rows("report_organisation_month", "mobile")
    areas = _areas(content.rows("report_commune_month", "mobile"), groups)
    committees = [row for row in bodies if row["organisation_kind"] == "district"]
    found = []
    for area in areas:
        held = [row for unit in area.communes for row in codes.get(("commune", str(unit["commune_code"])), ())]
        if area.kind == "district":
            for body in committees:
                if is_committee_of(str(body["organisation_name"]), area.name):
                    held += codes.get(("organisation", str(body["organisation_code"])), ())
            earlier = districts_before.get(area.code, [])
        elif all(_is_comparable(unit) for unit in area.communes):
            earlier = [before[code] for unit in area.communes if (code := str(unit["commune_code"])) in before]
        else:
            earlier = []
        found.append(replace(area, codes=tuple(held), before=tuple(earlier)))
    bodies_before = _by_key(content.previous_counts.get("report_organisation_month", ()), "organisation_code")
    for row in sorted(bodies, key=_body_order):
        code = str(row["organisation_code"])
        earlier = [bodies_before[code]] if code in bodies_before and _is_comparable(row) else []
        found.append(
            Recipient(
                "organisation",
                code,
                str(row["organisation_name"] or code),
                str(row["organisation_kind"]),
                codes=tuple(codes.get(("organisation", code), ())),
                body=row,
                before=tuple(earlier),
            )
        )
    return found


def peers_of(recipients: Iterable[Recipient]) -> dict[tuple[str, str], Peers]:
    """The recipients by kind, and organisations by their kind."""
    alike: dict[tuple[str, str], list[Recipient]] = {}
    for one in recipients:
        alike.setdefault((one.kind, one.organisation_kind), []).append(one)
    return {kind: Peers(members) for kind, members in alike.items()}


def file_names(recipients: Iterable[Recipient]) -> list[str]:
    """A file name for each, in order: safe on any system, none like another's even where capitals do not count."""
    taken: set[str] = set()
    names = []
    for one in recipients:
        stem = _stem(one)
        name, number = stem, 1
        while name.lower() in taken or name.lower() in _RESERVED:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.lower())
        names.append(f"{name}.xlsx")
    return names


def is_committee_of(body_name: str, district_name: str) -> bool:
    """Whether a body's name says that it is this district's: "UBND TP. Nha Trang" is of "Thành phố Nha Trang"."""
    body, district = fold_place(body_name), fold_place(district_name)
    return f" {body}".endswith(f" {district}") or (
        _COMMITTEE.match(body) is not None and split_kind(_COMMITTEE.sub("", body)) == split_kind(district_name)
    )


def total(rows: Iterable[Row], column: str) -> int:
    """The sum of a count over report rows; what is missing counts nothing."""
    return sum(value for row in rows if isinstance(value := row[column], int))


def per_head(one: Recipient) -> float | None:
    """Measurements a head of an organisation whose headcount is known."""
    value = one.body["n_measurements_per_head"] if one.body else None
    return value if isinstance(value, int | float) else None


def interval_of(row: Row | None) -> tuple[float, float] | None:
    """The published 95 % interval of the median download of a report row, in Mbps."""
    low, high = (row["download_mbps_ci_low"], row["download_mbps_ci_high"]) if row else (None, None)
    return (low, high) if isinstance(low, int | float) and isinstance(high, int | float) else None


def _areas(communes: Sequence[Row], groups: Mapping[str, Sequence[str]]) -> list[Recipient]:
    """Districts by code; without them the groups of policy in its order, then every other commune by itself."""
    districts: dict[tuple[str, str], list[Row]] = {}
    alone: dict[str, Row] = {}
    for row in communes:
        if row["district_code"] or row["district_name"]:
            code = str(row["district_code"] or "")
            districts.setdefault((code, str(row["district_name"] or code)), []).append(row)
        else:
            alone[str(row["commune_code"])] = row
    found = [
        Recipient("district", code, name, communes=tuple(sorted(rows, key=_commune_order)))
        for (code, name), rows in sorted(districts.items())
    ]
    if alone:
        for name, codes in groups.items():
            for code in codes:
                if code not in alone:
                    raise UserError(
                        f"policy, values.recipient_groups, {name}",
                        f"code {code!r}, which is no commune of the month or is named in another group",
                        "commune codes of the registry as of the month, each in one group",
                        "correct the group in the policy file",
                    )
            rows = [alone.pop(code) for code in codes]
            found.append(Recipient("commune_group", "", name, communes=tuple(sorted(rows, key=_commune_order))))
    for code, row in sorted(alone.items(), key=lambda pair: _commune_order(pair[1])):
        name = f"{row['kind'] or ''} {row['commune_name']}".strip()
        name = f"{name[:1].upper()}{name[1:]}"
        found.append(Recipient("commune", code, name, communes=(row,)))
    return found


def _stem(one: Recipient) -> str:
    name = slug(one.name)
    if len(name) > _LONGEST_SLUG:
        name = name[: _LONGEST_SLUG + 1].rpartition("-")[0] or name[:_LONGEST_SLUG]
    code = re.sub(r"[^A-Za-z0-9]+", "-", one.code).strip("-")[:_LONGEST_CODE].strip("-")
    return "_".join(part for part in (name or "don-vi", code) if part)


def _is_comparable(row: Row) -> bool:
    """Whether this is the same unit, or organisation, as the one under its code a month ago."""
    return row["change_reason"] not in ("new_unit", "no_previous_month")


def _by_key(rows: Iterable[Row], key: str) -> dict[str, Row]:
    return {str(row[key]): row for row in rows}


def _commune_order(row: Row) -> tuple[tuple[list[int], str], str]:
    return alphabetical(row["commune_name"]), str(row["commune_code"])


def _body_order(row: Row) -> tuple[int, tuple[list[int], str], str]:
    kinds = list(ORGANISATION_KINDS)
    place = kinds.index(str(row["organisation_kind"])) if row["organisation_kind"] in kinds else len(kinds)
    return place, alphabetical(row["organisation_name"]), str(row["organisation_code"])

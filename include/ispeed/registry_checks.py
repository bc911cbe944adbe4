"""What must be true of the registry before it is taken over, and the tables that its files make.

Everything that is wrong is told at once, each finding with its file, row and column. What is odd but may be right is
told as a warning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

from ispeed.errors import UserError
from ispeed.registry_files import BEGINNING, OPEN_END, Entry
from ispeed.text import fold

COMMUNE_KINDS = ("xã", "phường", "thị trấn", "đặc khu")
ORGANISATION_KINDS = ("department", "district", "youth_union", "school", "other")
_VALIDITY: Final = {"valid_from": "date", "valid_to": "date"}
# The registry's tables and the types of their columns.
TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "commune": dict.fromkeys(
        (
            "commune_code",
            "commune_name",
            "kind",
            "district_code",
            "district_name",
            "province_code",
            "province_name",
            "full_name",
        ),
        "text",
    )
    | _VALIDITY,
    "commune_succession": {"old_code": "text", "new_code": "text", "effective_date": "date", "whole_or_part": "text"},
    "operator": dict.fromkeys(("spelling", "brand", "host_network"), "text") | _VALIDITY,
    "referral_code": dict.fromkeys(("referral_code", "holder_kind", "holder_code"), "text") | _VALIDITY,
    "organisation": dict.fromkeys(
        ("organisation_code", "organisation_name", "organisation_kind", "district_code"), "text"
    )
    | {"headcount": "integer"}
    | _VALIDITY,
}
_SHOWN: Final = 20
_ONE_DAY: Final = timedelta(days=1)

Row = dict[str, Any]
Tables = Mapping[str, Sequence[Row]]
Span = tuple[date, date]


@dataclass(frozen=True)
class Item:
    """A row of a table, and the entry that it came from."""

    row: Row
    entry: Entry

    @property
    def span(self) -> Span:
        return self.row["valid_from"], self.row["valid_to"]

    def is_valid(self, day: date) -> bool:
        return self.span[0] <= day <= self.span[1]


Items = list[Item]


class Findings:
    """What is wrong, and what is only odd, as it is found."""

    def __init__(self) -> None:
        self.errors: list[UserError] = []
        self.warnings: list[str] = []

    def refuse(self, where: str, found: str, expected: str, remedy: str) -> None:
        self.errors.append(UserError(where, found, expected, remedy))

    def warn(self, where: str, found: str) -> None:
        self.warnings.append(f"{where}: {found}")

    def require_none(self) -> None:
        """Raise one `UserError` that tells all that was refused, the first of them where there are many."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            lines = [
                f"{e.where} — found: {e.found} — expected: {e.expected} — what to do: {e.remedy}"
                for e in self.errors[:_SHOWN]
            ]
            if len(self.errors) > _SHOWN:
                lines.append(f"… and {len(self.errors) - _SHOWN:,} more")
            raise UserError(
                f"registry files, {len(self.errors):,} findings",
                lines,
                "files without contradictions",
                "correct these cells; the registry of before stays until then",
            )


def checked_tables(entries: Mapping[str, Sequence[Entry]]) -> tuple[Tables, list[str]]:
    """The registry's tables, and warnings. Raises `UserError` that names everything that is wrong.

    Cells are looked at first, and what the rows say of each other once every cell can be read.
    """
    findings = Findings()
    communes = _items(findings, entries["communes"], _commune)
    successions = _items(findings, entries["commune_succession"], _succession)
    codes = _items(findings, entries["referral_codes"], _referral_code)
    organisations = _items(findings, entries["organisations"], _organisation)
    brands = _items(findings, entries["operators"], _brand)
    findings.require_none()

    _check_lost_zeros(findings, communes, codes)
    for items, code in ((communes, "commune_code"), (codes, "referral_code"), (organisations, "organisation_code")):
        _check_validity(findings, items, code)
    _check_names(findings, communes)
    _check_succession(findings, communes, successions)
    _check_districts(findings, communes, organisations)
    held = _held_codes(findings, codes, communes, organisations)
    operators = _spellings(findings, brands)
    findings.require_none()
    return {
        "commune": [item.row for item in communes],
        "commune_succession": [item.row for item in successions],
        "operator": operators,
        "referral_code": held,
        "organisation": [item.row for item in organisations],
    }, findings.warnings


def _items(findings: Findings, entries: Iterable[Entry], read: Callable[[Entry], Row]) -> Items:
    items = []
    for entry in entries:
        try:
            items.append(Item(read(entry), entry))
        except UserError as error:
            findings.errors.append(error)
    return items


def _validity(entry: Entry) -> Row:
    first, last = entry.day("valid_from", BEGINNING), entry.day("valid_to", OPEN_END)
    if first > last:
        raise UserError(
            entry.at("valid_to"), f"{last}, before valid_from {first}", "a day on or after it", "correct one of the two"
        )
    return {"valid_from": first, "valid_to": last}


def _commune(entry: Entry) -> Row:
    kind = entry.one_of("kind", COMMUNE_KINDS)
    return {
        "commune_code": entry.code("commune_code"),
        "commune_name": entry.text("commune_name"),
        "kind": kind,
        "district_code": entry.values["district_code"],
        "district_name": entry.values["district_name"],
        "province_code": entry.code("province_code"),
        "province_name": entry.values["province_name"],
        "full_name": f"{kind.capitalize()} {entry.text('commune_name')}",
        **_validity(entry),
    }


def _succession(entry: Entry) -> Row:
    return {
        "old_code": entry.code("old_code"),
        "new_code": entry.code("new_code"),
        "effective_date": entry.day("effective_date"),
        "whole_or_part": entry.one_of("whole_or_part", ("whole", "part")),
    }


def _referral_code(entry: Entry) -> Row:
    return {
        "referral_code": entry.code("referral_code").upper(),
        "holder_kind": entry.one_of("holder_kind", ("commune", "organisation")),
        "holder_code": entry.code("holder_code"),
        **_validity(entry),
    }


def _organisation(entry: Entry) -> Row:
    return {
        "organisation_code": entry.code("organisation_code"),
        "organisation_name": entry.text("organisation_name"),
        "organisation_kind": entry.one_of("organisation_kind", ORGANISATION_KINDS),
        "district_code": entry.values["district_code"],
        "headcount": entry.whole_number("headcount"),
        **_validity(entry),
    }


def _brand(entry: Entry) -> Row:
    return {"brand": entry.text("brand"), "host_network": entry.values["host_network"], **_validity(entry)}


def _check_lost_zeros(findings: Findings, communes: Items, codes: Items) -> None:
    """Excel takes the zeros that a number begins with. The codes of units have as many digits as each other."""
    for column in ("commune_code", "district_code", "province_code"):
        for item, code, n_digits in _shorter_numbers(communes, column):
            findings.refuse(
                item.entry.at(column),
                f"{code}, shorter than the others: a number that lost its leading zeros?",
                f"{n_digits} digits, such as {code.zfill(n_digits)}",
                "format the column as text and enter the code again",
            )
    for item, code, n_digits in _shorter_numbers(codes, "referral_code"):
        findings.warn(
            item.entry.at("referral_code"),
            f"{code} is shorter than others of {n_digits} digits: did it lose its zeros?",
        )


def _shorter_numbers(items: Items, column: str) -> list[tuple[Item, str, int]]:
    """Codes of digits alone that are shorter than the longest of them, and the length of that."""
    numbers = [(item, item.row[column]) for item in items if (item.row[column] or "").isdecimal()]
    n_digits = max((len(code) for _, code in numbers), default=0)
    return [(item, code, n_digits) for item, code in numbers if len(code) < n_digits]


def _check_validity(findings: Findings, items: Items, column: str) -> None:
    """No code has two meanings on one day."""
    by_code: dict[str, Items] = defaultdict(list)
    for item in items:
        by_code[item.row[column].upper()].append(item)
    for same in by_code.values():
        same.sort(key=lambda item: item.span)
        for earlier, later in zip(same, same[1:], strict=False):
            if later.span[0] <= earlier.span[1]:
                findings.refuse(
                    later.entry.at("valid_from"),
                    f"{later.row[column]} valid from {later.span[0]}, while {earlier.entry.place} holds it until "
                    f"{earlier.span[1]}",
                    "one meaning of a code on any day",
                    "end the earlier one the day before, or correct the code",
                )
            elif column == "commune_code" and later.span[0].day > 1:
                findings.warn(
                    later.entry.at("valid_from"),
                    f"{later.row[column]} means another unit from {later.span[0]} on, within a month: that month will "
                    "stop at its checks",
                )


def _check_names(findings: Findings, communes: Items) -> None:
    """Two units of one name in one district at a time: only their codes tell them apart."""
    by_name: dict[tuple[str, ...], Items] = defaultdict(list)
    for item in communes:
        unit = item.row
        by_name[unit["province_code"], unit["district_code"] or "", fold(unit["full_name"])].append(item)
    for same in by_name.values():
        same.sort(key=lambda item: item.span)
        for earlier, later in zip(same, same[1:], strict=False):
            if later.span[0] <= earlier.span[1] and later.row["commune_code"] != earlier.row["commune_code"]:
                findings.warn(
                    later.entry.at("commune_name"),
                    f"{later.row['full_name']} has the name that {earlier.entry.place} has on the same days: rows "
                    "without a code are found in neither",
                )


def _check_succession(findings: Findings, communes: Items, successions: Items) -> None:
    """Old units end the day before and new ones exist on the day; a unit passes on whole to one, or in parts."""
    units: dict[str, Items] = defaultdict(list)
    for item in communes:
        units[item.row["commune_code"]].append(item)

    def unit_on(code: str, day: date) -> Item | None:
        return next((item for item in units[code] if item.is_valid(day)), None)

    successors: dict[tuple[str, date], Items] = defaultdict(list)
    for item in successions:
        old_code, new_code, day = item.row["old_code"], item.row["new_code"], item.row["effective_date"]
        before = day - _ONE_DAY if day > BEGINNING else day
        old, new = unit_on(old_code, before), unit_on(new_code, day)
        for column, code, unit, on in (("old_code", old_code, old, before), ("new_code", new_code, new, day)):
            if unit is None:
                findings.refuse(
                    item.entry.at(column), _unknown(code, units), f"a commune valid on {on}", "correct code or date"
                )
        if old and new and item.row["whole_or_part"] == "whole" and old is not new and old.is_valid(day):
            findings.refuse(
                item.entry.at("effective_date"),
                f"{old_code} passes on whole to {new_code} on {day}, while {old.entry.place} has it valid until "
                f"{old.span[1]}",
                "an old unit that ends the day before",
                "correct the date, or end the old unit",
            )
        same = successors[old_code, day]
        if any(new_code == other.row["new_code"] for other in same):
            findings.refuse(item.entry.at("new_code"), f"{old_code} → {new_code} twice", "each pair once", "remove one")
        same.append(item)
    for (old_code, day), items in successors.items():
        kinds = {item.row["whole_or_part"] for item in items}
        old = unit_on(old_code, day - _ONE_DAY if day > BEGINNING else day)
        if "whole" in kinds and len(items) > 1:
            _refuse_parts(
                findings, items[-1], f"{old_code} passes on whole, and to {len(items)} units", "part for each"
            )
        elif kinds == {"part"} and len(items) == 1 and old and not old.is_valid(day):
            _refuse_parts(
                findings,
                items[0],
                f"{old_code} passes on in part, to {items[0].row['new_code']} alone",
                "a row for each unit that has a part, or whole",
            )
    _warn_of_loose_ends(findings, communes, successions)


def _refuse_parts(findings: Findings, item: Item, found: str, expected: str) -> None:
    findings.refuse(item.entry.at("whole_or_part"), found, expected, "complete or correct the rows of that unit")


def _warn_of_loose_ends(findings: Findings, communes: Items, successions: Items) -> None:
    """A unit that ends without a successor, or begins without a predecessor, cannot be followed through time."""
    ends = {(item.row["old_code"], item.row["effective_date"]) for item in successions}
    begins = {(item.row["new_code"], item.row["effective_date"]) for item in successions}
    for item in communes:
        code, (first, last) = item.row["commune_code"], item.span
        if last < OPEN_END and (code, last + _ONE_DAY) not in ends:
            findings.warn(item.entry.at("valid_to"), f"{code} ends without a successor in commune_succession")
        if first > BEGINNING and (code, first) not in begins:
            findings.warn(item.entry.at("valid_from"), f"{code} begins without a predecessor in commune_succession")


def _check_districts(findings: Findings, communes: Items, organisations: Items) -> None:
    """A district without a commune may be: the island districts Hoàng Sa, Bạch Long Vĩ and Lý Sơn had none."""
    districts = {item.row["district_code"] for item in communes}
    for item in organisations:
        code = item.row["district_code"]
        if code is not None and code not in districts:
            findings.warn(item.entry.at("district_code"), f"no commune lies in district {_unknown(code, districts)}")


def _held_codes(findings: Findings, codes: Items, communes: Items, organisations: Items) -> list[Row]:
    """The days on which each referral code has a holder, row by row.

    A code whose holder never exists while it is valid is refused. One that outlives its holder is not: few who keep
    such a list end a code on the day when its commune merges. It ends with its holder all the same, and is told.
    """
    holders: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for kind, items in (("commune", communes), ("organisation", organisations)):
        for item in items:
            holders[kind, item.row[f"{kind}_code"]].append(item)
    rows = []
    for item in codes:
        kind, code = item.row["holder_kind"], item.row["holder_code"]
        held = holders[kind, code]
        spans = _common(item.span, [holder.span for holder in held])
        if not spans:
            known = {known_code for known_kind, known_code in holders if known_kind == kind}
            findings.refuse(
                item.entry.at("holder_code"),
                f"{_unknown(code, known)}, no {kind} on any day from {item.span[0]} to {item.span[1]}",
                f"a {kind} that exists while the code is valid",
                "correct the holder, or end the code with it",
            )
        elif spans != [item.span]:
            days = " and ".join(_days_text(span) for span in spans)
            findings.warn(
                item.entry.at("holder_code"),
                f"{item.row['referral_code']} is valid {_days_text(item.span)}, but its holder {code} exists only "
                f"{days}: on the other days the code has no holder and counts as expired",
            )
        names = {holder.row["full_name"] for holder in held if kind == "commune" and _common(item.span, [holder.span])}
        if len(names) > 1:
            findings.warn(
                item.entry.at("holder_code"),
                f"{item.row['referral_code']} is held by {code}, which means {len(names)} units in its time: "
                + ", ".join(sorted(names)),
            )
        rows += [{**item.row, "valid_from": first, "valid_to": last} for first, last in spans]
    return rows


def _common(span: Span, others: Iterable[Span]) -> list[Span]:
    """The days of `span` that lie in any of the others, as spans with gaps between them."""
    found: list[Span] = []
    for other in sorted(others):
        first, last = max(span[0], other[0]), min(span[1], other[1])
        if first > last:
            continue
        if found and first.toordinal() <= found[-1][1].toordinal() + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def _spellings(findings: Findings, brands: Items) -> list[Row]:
    """Every spelling of every brand, folded, on the days of its row."""
    by_spelling: dict[str, Items] = defaultdict(list)
    for item in brands:
        values = item.entry.values
        texts = [values["brand"], values["vnnic_mobile_label"], *(values["seen_spellings"] or "").split("|")]
        for spelling in dict.fromkeys(fold(text) for text in texts if text):
            for other in by_spelling[spelling]:
                if other.row["brand"] != item.row["brand"] and _common(item.span, [other.span]):
                    findings.refuse(
                        item.entry.at("seen_spellings"),
                        f"{spelling!r}, which also means {other.row['brand']} ({other.entry.place})",
                        "each spelling with one brand on any day",
                        "remove it from one of them",
                    )
                elif _common(item.span, [other.span]):
                    findings.refuse(
                        item.entry.at("valid_from"),
                        f"{item.row['brand']} on days that {other.entry.place} has too",
                        "one row of a brand on any day",
                        "end the earlier one the day before",
                    )
            by_spelling[spelling].append(replace(item, row={"spelling": spelling, **item.row}))
    return [item.row for items in by_spelling.values() for item in items]


def _unknown(code: str, known: Iterable[str | None]) -> str:
    """A code that is not known, with the one that it may be: a number loses the zeros that it begins with."""
    padded = [other for other in known if other and other != code and other.lstrip("0") == code]
    return f"{code}, which is {padded[0]} without its leading zeros" if padded else code


def _days_text(span: Span) -> str:
    first = "from the beginning" if span[0] == BEGINNING else f"from {span[0]}"
    return first if span[1] == OPEN_END else f"{first} to {span[1]}"

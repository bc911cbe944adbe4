"""What a commune is on another day: followed through successions, day by day, forward or backward."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, order=True)
class Unit:
    """One row of the communes registry: a code alone may be several units."""

    commune_code: str
    valid_from: date


class Successions:
    """The registry's communes and successions, as `commune` and `commune_succession` hold them."""

    def __init__(self, communes: Iterable[Mapping[str, Any]], successions: Iterable[Mapping[str, Any]]) -> None:
        self._valid_to: dict[Unit, date] = {}
        self._by_code: dict[str, list[Unit]] = defaultdict(list)
        for commune in communes:
            unit = Unit(commune["commune_code"], commune["valid_from"])
            self._valid_to[unit] = commune["valid_to"]
            self._by_code[unit.commune_code].append(unit)
        self._new_of: dict[tuple[date, str], dict[str, str]] = defaultdict(dict)
        self._old_of: dict[tuple[date, str], dict[str, str]] = defaultdict(dict)
        for row in successions:
            self._new_of[row["effective_date"], row["old_code"]][row["new_code"]] = row["whole_or_part"]
            self._old_of[row["effective_date"], row["new_code"]][row["old_code"]] = row["whole_or_part"]
        self.days = sorted({day for day, _ in self._new_of})

    def unit(self, code: str, day: date) -> Unit | None:
        """The unit that bears the code on that day, None where none does."""
        return next((unit for unit in self._by_code[code] if self.is_valid(unit, day)), None)

    def is_valid(self, unit: Unit, day: date) -> bool:
        return unit in self._valid_to and unit.valid_from <= day <= self._valid_to[unit]

    def last_day(self, unit: Unit) -> date:
        return self._valid_to[unit]

    def units_on(self, unit: Unit, known_on: date, day: date) -> frozenset[Unit | None]:
        """The units of `day` in which a place may lie that lay in `unit` on `known_on`.

        Exactly one: the place lies in it for certain. None stands for land of which the registry does not say where
        it went. Forward, a merged unit has one successor and a split one several; backward it is the other way round.
        """
        found: frozenset[Unit | None] = frozenset({unit if self.is_valid(unit, known_on) else None})
        forward = known_on <= day
        steps = [step for step in self.days if min(known_on, day) < step <= max(known_on, day)]
        for step in steps if forward else reversed(steps):
            beside = self._after if forward else self._before
            found = frozenset().union(*(beside(one, step) if one else {None} for one in found))
        return frozenset(one if one and self.is_valid(one, day) else None for one in found)

    def has_part_in(self, code: str, step: date) -> bool:
        """Whether a unit of that code ends, begins, grows or shrinks on that day."""
        return bool(self._new_of.get((step, code)) or self._old_of.get((step, code)))

    def _after(self, unit: Unit, step: date) -> set[Unit | None]:
        """What a unit of the day before `step` is on `step`."""
        if not self.is_valid(unit, step - ONE_DAY):
            return {None}
        goes_on = self.is_valid(unit, step)
        successors = self._new_of.get((step, unit.commune_code), {})
        if not successors:
            return {unit if goes_on else None}
        found = {self.unit(code, step) for code in successors}
        if "whole" not in successors.values():
            if goes_on:
                # It gave away a part and keeps the rest under its own row.
                found.add(unit)
            elif len(successors) == 1:
                # One part alone: where the rest went is not told.
                found.add(None)
        return found

    def _before(self, unit: Unit, step: date) -> set[Unit | None]:
        """What a unit of `step` was on the day before."""
        if not self.is_valid(unit, step):
            return {None}
        was_there = self.is_valid(unit, step - ONE_DAY)
        predecessors = self._old_of.get((step, unit.commune_code), {})
        if not predecessors:
            return {unit if was_there else None}
        found = {self.unit(code, step - ONE_DAY) for code in predecessors}
        if was_there:
            found.add(unit)
        return found

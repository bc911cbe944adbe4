"""Errors that people can act on."""

from __future__ import annotations

import re

_LONGEST = 2_000


class UserError(Exception):
    """Something in the data or the settings must be mended; trying again would not help.

    Its text says where (file, row, column), what was found, what was expected, and what to do, on one line each, as
    parts of the file may be quoted in them: what cannot be printed is escaped, and what is very long is cut.
    """

    def __init__(self, where: str, found: str, expected: str, remedy: str) -> None:
        where, found, expected, remedy = map(_one_line, (where, found, expected, remedy))
        self.where, self.found, self.expected, self.remedy = where, found, expected, remedy
        super().__init__(f"{where}\n  found: {found}\n  expected: {expected}\n  what to do: {remedy}")

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str, str, str]]:
        return type(self), (self.where, self.found, self.expected, self.remedy)


class CheckFailed(UserError):
    """A critical check of a suite failed: the month stops and what was published stays."""


def _one_line(text: str) -> str:
    line = re.sub(r"[\t ]*[\r\n][\t\r\n ]*", " ", text[: _LONGEST + 1])
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + " …"

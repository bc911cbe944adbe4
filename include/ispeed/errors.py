"""Errors that people can act on."""

from __future__ import annotations


class UserError(Exception):
    """Something in the data or the settings must be mended; trying again would not help.

    Its text says where (file, row, column), what was found, what was expected, and what to do, on one line each.
    """

    def __init__(self, where: str, found: str, expected: str, remedy: str) -> None:
        self.where, self.found, self.expected, self.remedy = where, found, expected, remedy
        super().__init__(f"{where}\n  found: {found}\n  expected: {expected}\n  what to do: {remedy}")

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str, str, str]]:
        return type(self), (self.where, self.found, self.expected, self.remedy)


class CheckFailed(UserError):
    """A critical check of a suite failed: the month stops and what was published stays."""

"""Errors that people can act on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Self

_LONGEST = 2_000


class _Told(Exception):
    """An error whose text says where (file, row, column), what was found, what was expected, and what to do.

    Each stands on a line of its own, as parts of a file may be quoted in them: what cannot be printed is escaped, and
    what is very long is cut. Where several things were found, each has its own line.
    """

    def __init__(self, where: str, found: str | Sequence[str], expected: str, remedy: str) -> None:
        where, expected, remedy = map(_one_line, (where, expected, remedy))
        self._found = (found,) if isinstance(found, str) else tuple(found)
        self.where, self.expected, self.remedy = where, expected, remedy
        self.found = "\n    ".join(map(_one_line, self._found))
        super().__init__(f"{where}\n  found: {self.found}\n  expected: {expected}\n  what to do: {remedy}")

    @property
    def parts(self) -> tuple[str, list[str], str, str]:
        """What another of the same is made of."""
        return self.where, list(self._found), self.expected, self.remedy

    def __reduce__(self) -> tuple[type[Self], tuple[str, list[str], str, str]]:
        return type(self), self.parts


class UserError(_Told):
    """Something in the data or the settings must be mended; trying again would not help."""


class ShareFault(_Told):
    """The shared folder does not let itself be written: full, gone, or a file held open. It may pass: it is retried."""


class SiteFault(_Told):
    """A public site did not answer, or not as it used to: told, and stopping nothing. `may_pass`: worth a try later."""

    def __init__(
        self, where: str, found: str | Sequence[str], expected: str, remedy: str, *, may_pass: bool = False
    ) -> None:
        super().__init__(where, found, expected, remedy)
        self.may_pass = may_pass


class RemoteFault(_Told):
    """A folder on SFTP or S3 does not answer, or changes while it is read. It may pass: it is retried."""


class CheckFailed(UserError):
    """A critical check of a suite failed: the month stops and what was published stays."""


def _one_line(text: str) -> str:
    line = re.sub(r"[\t ]*[\r\n][\t\r\n ]*", " ", text[: _LONGEST + 1])
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + " …"

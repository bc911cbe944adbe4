"""A message to people: what happened, where, what to do. Whatever it holds comes out harmless and without secrets."""

from __future__ import annotations

import html
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

LONGEST_TITLE: Final = 150
LONGEST_LINE: Final = 600
MOST_LINES: Final = 40
HIDDEN: Final = "***"
CUT: Final = " … (đã cắt bớt)"

# Up to the last @ of the word: a password may hold one itself.
_LOGIN_IN_ADDRESS: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s\"'<>]*@")
_NAMED_SECRET: Final = re.compile(
    r"(?i)([\w.-]*(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|signature|credential|mật khẩu)[\w.-]*"
    r"[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&]+)"
)
_AUTHORIZATION: Final = re.compile(r"(?i)\b((?:authorization\s*[=:]\s*)?(?:bearer|basic)\s+)[\w.~+/=-]{6,}")
_SECRET_NAME: Final = re.compile(r"(?i)password|passwd|secret|token|fernet|_key$|^key$|^path$|heartbeat_url$")
_SHORTEST_SECRET: Final = 6


@dataclass(frozen=True)
class Fact:
    """One thing that is told: its label, and one line or more."""

    label: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Notice:
    """A message as any route sends it. `links` are a label and an address of our own making, never one of the data."""

    title: str
    facts: tuple[Fact, ...]
    links: tuple[tuple[str, str], ...] = ()
    closing: str = ""

    @property
    def text(self) -> str:
        """As plain text: a label a line, further lines below it."""
        width = max((len(fact.label) for fact in self.facts), default=0) + 2
        lines = [self.title, ""]
        for fact in self.facts:
            first, *others = fact.lines or ("",)
            lines += [f"{fact.label + ':':<{width}}{first}", *(" " * width + line for line in others)]
        lines += ["", *(f"{label}:\n  {address}" for label, address in self.links)] if self.links else []
        lines += ["", self.closing] if self.closing else []
        return "\n".join(lines) + "\n"

    @property
    def html(self) -> str:
        """As simple HTML: no script, no style sheet, no picture."""
        rows = "\n".join(
            f'<tr><th align="left" valign="top">{html.escape(fact.label)}</th>'
            f"<td>{'<br>'.join(map(html.escape, fact.lines))}</td></tr>"
            for fact in self.facts
        )
        links = "".join(
            f'<p><a href="{html.escape(address)}">{html.escape(label)}</a></p>\n' for label, address in self.links
        )
        title = html.escape(self.title)
        closing = f"<p>{html.escape(self.closing)}</p>\n" if self.closing else ""
        return (
            f'<!doctype html>\n<html lang="vi"><head><meta charset="utf-8"><title>{title}</title></head>\n<body>\n'
            f'<h3>{title}</h3>\n<table cellpadding="4">\n{rows}\n</table>\n{links}{closing}</body></html>\n'
        )

    @property
    def chat_text(self) -> str:
        """As plain text of a chat, where a name after @ would call everybody."""
        body = self.text.partition("\n\n")[2]
        return re.sub(r"[@<]", lambda mark: f"{mark[0]}\u200b", body)


def notice(
    title: str,
    facts: Mapping[str, str | Sequence[str]],
    links: Sequence[tuple[str, str]] = (),
    closing: str = "",
    environment: Mapping[str, str] = os.environ,
) -> Notice:
    """A message made of parts that may hold anything; a fact without text is left out.

    Each part becomes one line that can be shown: line breaks and what cannot be printed are gone, addresses cannot be
    clicked, what is very long is cut, secrets are hidden.
    """
    secrets = tuple(secrets_of(environment))
    told = []
    for label, lines in facts.items():
        lines = (lines,) if isinstance(lines, str) else tuple(lines)
        shown = [_line(line, LONGEST_LINE, secrets) for line in lines[:MOST_LINES]]
        if len(lines) > MOST_LINES:
            shown.append(f"… và {len(lines) - MOST_LINES} dòng nữa")
        if any(shown):
            told.append(Fact(label, tuple(shown)))
    return Notice(_line(title, LONGEST_TITLE, secrets), tuple(told), tuple(links), closing)


def without_secrets(text: str, secrets: Sequence[str] = ()) -> str:
    """The text with the logins in its addresses, what is called a password or a token, and `secrets`, hidden."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    text = _LOGIN_IN_ADDRESS.sub(rf"\1{HIDDEN}@", text)
    text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", text)
    return _NAMED_SECRET.sub(rf"\1{HIDDEN}", text)


def secrets_of(environment: Mapping[str, str]) -> Iterator[str]:
    """The values of the environment that nobody is to read, longest first: keys, passwords, what connections hold."""
    found: set[str] = set()
    for name, value in environment.items():
        if name.startswith("ISPEED_") and name.endswith("_FILE"):
            found.update(_secret_file(value))
        elif _SECRET_NAME.search(name):
            found.add(value)
        if name.startswith("AIRFLOW_CONN_") or "://" in value:
            found.update(_secrets_within(value))
    spelled = {form for secret in found for form in (secret, quote(secret, safe=""), unquote(secret))}
    yield from sorted((secret for secret in spelled if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True)


def _secret_file(path: str) -> set[str]:
    """The secret that a file holds, and what is secret within it; nothing where it cannot be read."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return set()
    return {text} | _secrets_within(text)


def _secrets_within(value: str) -> set[str]:
    """The passwords in a connection as JSON, or in an address."""
    try:
        return set(_values_of_secrets(json.loads(value)))
    except ValueError:
        login = re.match(r"[a-zA-Z][\w+.-]*://[^/]*?:(.*)@", value)
        return {login[1]} if login else set()


def _values_of_secrets(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, value in part.items():
            if isinstance(value, str) and _SECRET_NAME.search(name):
                yield value
            else:
                yield from _values_of_secrets(value)
    elif isinstance(part, list):
        for value in part:
            yield from _values_of_secrets(value)
    elif isinstance(part, str) and part.lstrip().startswith(("{", "[")):
        # The extra of a connection may be JSON within JSON.
        try:
            yield from _values_of_secrets(json.loads(part))
        except ValueError:
            return


def _line(text: str, longest: int, secrets: Sequence[str]) -> str:
    # Ten times what is shown is looked at: a secret must not stay because it is cut in two.
    text = unicodedata.normalize("NFC", text[: 10 * longest])
    text = without_secrets(re.sub(r"\s+", " ", text), secrets).strip()
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    # An address from a file's name or a cell is not to be followed by a click.
    shown = re.sub(r"(?i)\b(https?|ftp)://", r"\1[:]//", shown)
    return shown if len(shown) <= longest else shown[: longest - len(CUT)] + CUT

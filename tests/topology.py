"""docker-compose.yaml on loopback: the commands, settings and health checks of its services, for tests that run them.

What a container has and a process on this machine has not (names of hosts, ports, folders) is put in its place; else
the file is taken as it stands, so that the file and the test cannot drift apart.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ispeed.services import LOOPBACK, Command
from ispeed.settings import PROJECT

COMPOSE = PROJECT / "docker-compose.yaml"
# ${NAME:?message}, ${NAME:-default} or ${NAME}; $$ is a dollar sign.
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:\?|:-)?([^}]*)\}")
# A line of .env.example: NAME=value, or #NAME=default
SETTING = re.compile(r"^(#?)([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)
_FOLDER = re.compile(r"(?<![\w./-])/(data|scratch|backups|var/lib/airflow|opt/ispeed|tmp)(?=$|[/\\\s\"':])")
# Only what finds programs and this machine's folders; every setting must come from the file.
_KEPT = ("LANG", "TZ")


def read_compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return content


def read_example() -> dict[str, tuple[bool, str]]:
    """Each setting of .env.example: whether it is commented out, and its value."""
    text = (PROJECT / ".env.example").read_text(encoding="utf-8")
    return {name: (mark == "#", value) for mark, name, value in SETTING.findall(text)}


def image_environment() -> dict[str, str]:
    """What the Dockerfile sets for every process."""
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    return dict(item.split("=", 1) for item in line.split())


@dataclass(frozen=True)
class Here:
    """An installation of the file on this machine.

    `values` is its .env; `ports` gives the port on loopback in place of each that the file names; `programs` are
    folders of further programs; `changed` are settings that this installation has otherwise than the file.
    """

    folder: Path
    values: Mapping[str, str]
    ports: Mapping[int, int]
    programs: tuple[Path, ...]
    changed: Mapping[str, str]

    def text(self, text: str) -> str:
        """A value of the file as it is here."""

        def value(match: re.Match[str]) -> str:
            name, how, default = match.groups()
            return self.values.get(name) or (default if how == ":-" else "")

        text = VARIABLE.sub(value, text).replace("$$", "$")
        text = text.replace("@postgres/", f"@{LOOPBACK}:{self.ports[5432]}/")
        text = re.sub(r"\b(?:redis|api-server|localhost):(?=\d)", f"{LOOPBACK}:", text)
        for port, here in self.ports.items():
            text = re.sub(rf"\b{port}\b", str(here), text)
        return _FOLDER.sub(self._folder, text)

    def _folder(self, match: re.Match[str]) -> str:
        return str(PROJECT) if match[1] == "opt/ispeed" else str(self.folder / match[1])

    def environment(self, service: str, **more: str) -> dict[str, str]:
        """All that a service's process is told."""
        declared = read_compose()["services"][service]["environment"]
        path = [str(Path(sys.executable).parent), *map(str, self.programs), os.environ["PATH"]]
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        given = {name: self.text(str(value)) for name, value in {**image_environment(), **declared}.items()}
        changed = {name: value for name, value in self.changed.items() if name in given}
        of_container = {"HOME": str(self.folder / "var/lib/airflow"), "HOSTNAME": service}
        return {**kept, "PATH": os.pathsep.join(path), **of_container, **given, **changed, **more}

    def command(self, service: str, **more: str) -> Command:
        """How a service is started; `more` is added to its environment."""
        declared = read_compose()["services"][service]["command"]
        arguments = shlex.split(declared) if isinstance(declared, str) else declared
        return self._command(tuple(map(self.text, arguments)), self.environment(service, **more))

    def run(self, service: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """As `docker compose run --rm <service> <arguments>`, or without arguments the service's own command."""
        command = self.command(service, **more)
        if arguments:
            command = self._command(arguments, command.environment)
        return subprocess.run(
            command.arguments, env=dict(command.environment), cwd=PROJECT, capture_output=True, text=True
        )

    def health(self, service: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a service's health check as Docker does."""
        kind, *arguments = read_compose()["services"][service]["healthcheck"]["test"]
        command = ["sh", "-c", *arguments] if kind == "CMD-SHELL" else arguments
        done = self._command(tuple(map(self.text, command)), self.environment(service, **more))
        return subprocess.run(done.arguments, env=dict(done.environment), capture_output=True, text=True, timeout=60)

    @staticmethod
    def _command(arguments: tuple[str, ...], environment: Mapping[str, str]) -> Command:
        program = shutil.which(arguments[0], path=environment["PATH"])
        assert program is not None, arguments[0]
        return Command((program, *arguments[1:]), environment)

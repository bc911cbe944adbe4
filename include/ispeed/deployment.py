"""What a server needs before its services start: tables, the first administrator, the first registry files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from ispeed.database import Database
from ispeed.errors import UserError
from ispeed.services import ServiceError
from ispeed.settings import INCLUDE, Settings

ADMIN: Final = "admin"
PASSWORD_LETTERS_MIN: Final = 12


def prepare(settings: Settings, password: str) -> list[str]:
    """Bring both databases to what this version needs, and make what a new server does not have yet.

    `password` is the first administrator's; it is not looked at once there is one. What was made anew is told. Raises
    `UserError` where the password is too short, and `ServiceError` where Airflow's tables could not be made.
    """
    if len(password) < PASSWORD_LETTERS_MIN:
        raise UserError(
            "setting ADMIN_PASSWORD",
            f"{len(password)} letters" if password else "nothing",
            f"at least {PASSWORD_LETTERS_MIN} letters",
            "set it in .env: openssl rand -hex 12",
        )
    made = []
    migrated = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=False)
    if migrated.returncode:
        raise ServiceError(f"airflow db migrate ended with {migrated.returncode}: see what it says above")
    # With the user that owns them: pages and analysts are then let in to read.
    Database(settings.database_url)
    if make_admin(password):
        made.append(f"the user {ADMIN} was made, with the password of .env")
    if not settings.registry_uri and _seed(settings.registry):
        made.append(f"the seed registry was copied to {settings.registry}")
    return made


def make_admin(password: str) -> bool:
    """Make the user `admin` of Airflow's FAB, whether it was missing. A password that was changed since stays."""
    try:
        from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    except ImportError as error:
        raise UserError(
            "Airflow's login", "no FAB provider", "requirements-server.txt, installed", "pip install -r it"
        ) from error

    with get_application_builder() as builder:
        security = builder.sm
        if security.find_user(ADMIN):
            return False
        role = security.find_role("Admin")
        if not security.add_user(ADMIN, "i-Speed", ADMIN, "admin@localhost", role, password):
            raise ServiceError(f"the user {ADMIN} could not be made")
    return True


def _seed(registry: Path) -> bool:
    if registry.is_dir() and any(registry.iterdir()):
        return False
    shutil.copytree(INCLUDE / "registry", registry, dirs_exist_ok=True)
    return True


def run_prepare() -> int:
    """As `prepare`, by the environment, and say what was made."""
    for line in prepare(Settings.from_environment(), os.environ.get("ADMIN_PASSWORD", "")):
        print(line)
    print("ready: the services may start")
    return 0

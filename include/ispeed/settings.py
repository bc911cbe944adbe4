"""Where things are: read from the environment once, with defaults under `var/`."""

from __future__ import annotations

import hmac
import math
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

from ispeed.errors import UserError
from ispeed.months import Month

PROJECT = Path(__file__).resolve().parents[2]
INCLUDE = PROJECT / "include"
ENGINES = ("duckdb", "spark")
# Airflow maps a task at most so often (its setting max_map_length is 1024).
STAGE_TASKS_MAX = 1_000
# What follows it is the name of a secret that Airflow keeps: `ispeed.airflow_secrets` asks for it.
OF_AIRFLOW = "airflow:"
# scheme, connection and folder: s3://connection@bucket/folder, sftp://connection@/folder
ADDRESS = re.compile(r"(s3)://([\w.-]+)@([\w.-]+(?:/.*)?)|(sftp)://([\w.-]+)@(/.*)")
# What a body that is asked for a return can be.
BODY_KINDS = ("department", "district", "commune", "youth_union", "school", "other")


@dataclass(frozen=True)
class Settings:
    """Paths, the reports database and the secret, as `.env.example` lists them.

    Where exports, registry, returns or share are at an address (`exports_uri` and so on, else empty), the path beside
    it is that of their copy in the lake: `ispeed.incoming` brings it up to date, `ispeed.delivery` sends it out.
    """

    exports: Path
    registry: Path
    returns: Path
    lake: Path
    share: Path
    # A traceback or a log line may show settings: never these.
    database_url: str = field(repr=False)
    source: Path
    policy: Path
    device_key: str = field(repr=False)
    engine: str
    spark: str = ""
    boundaries: Path | None = None
    exports_uri: str = ""
    registry_uri: str = ""
    returns_uri: str = ""
    share_uri: str = ""
    settle_seconds: float = 60.0
    wait_seconds: float = 7 * 24 * 3600.0
    file_bytes_max: int = 20_000_000_000
    files_max: int = 10_000
    fetch_bytes_max: int = 50_000_000_000
    rows_max: int = 100_000_000
    columns_max: int = 1_000
    field_bytes_max: int = 100_000
    archive_members_max: int = 1_000
    expansion_max: int = 100
    memory_bytes: int = 1_000_000_000
    stage_tasks: int = 8
    read_memory_bytes: int = 3_000_000_000
    read_seconds: float = 3600.0
    returns_due_day: int = 10
    returns_asked: tuple[str, ...] = BODY_KINDS[:-1]
    atlas_url: str = "https://internetatlas.vnnic.vn/i-speed"
    atlas_form: Path = INCLUDE / "atlas.yaml"
    atlas_seconds: float = 30.0
    atlas_bytes_max: int = 2_000_000

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read `ISPEED_*`. Raises `UserError` where a value cannot be used."""
        var = Path(environment.get("ISPEED_VAR") or PROJECT / "var")

        def folder(name: str, default: Path) -> Path:
            value = environment.get(name) or str(default)
            if "://" in value:
                raise UserError(
                    f"setting {name}",
                    _without_password(value),
                    "a folder or file of this machine, or one that is mounted",
                    "give a path; ISPEED_EXPORTS, ISPEED_REGISTRY, ISPEED_RETURNS and ISPEED_SHARE may be addresses",
                )
            return Path(value).expanduser().absolute()

        lake = folder("ISPEED_LAKE", var / "lake")

        def place(name: str, default: Path, copy: Path) -> tuple[Path, str]:
            """The folder and no address, or the lake's copy of what is at an address."""
            value = environment.get(name) or ""
            return (copy, _address(name, value)) if "://" in value else (folder(name, default), "")

        exports, exports_uri = place("ISPEED_EXPORTS", var / "exports", lake / "incoming" / "exports")
        registry, registry_uri = place("ISPEED_REGISTRY", var / "registry", lake / "incoming" / "registry")
        returns, returns_uri = place("ISPEED_RETURNS", var / "returns", lake / "incoming" / "returns")
        share, share_uri = place("ISPEED_SHARE", var / "share", lake / "share")
        number = partial(_number, environment)
        engine = environment.get("ISPEED_ENGINE") or "duckdb"
        if engine not in ENGINES:
            raise UserError("setting ISPEED_ENGINE", engine, f"one of {', '.join(ENGINES)}", "correct or unset it")
        database = (
            _secret(environment, "ISPEED_DB", "ISPEED_DB_FILE") or f"sqlite:///{(var / 'reports.sqlite').absolute()}"
        )
        return cls(
            exports=exports,
            registry=registry,
            returns=returns,
            lake=lake,
            share=share,
            exports_uri=exports_uri,
            registry_uri=registry_uri,
            returns_uri=returns_uri,
            share_uri=share_uri,
            database_url=database,
            source=folder("ISPEED_SOURCE", INCLUDE / "sources" / "ispeed.yaml"),
            policy=folder("ISPEED_POLICY", INCLUDE / "policy.yaml"),
            device_key=_secret(environment, "ISPEED_DEVICE_KEY", "ISPEED_DEVICE_KEY_FILE")
            or _device_key_file(var / "device.key"),
            engine=engine,
            spark=environment.get("ISPEED_SPARK") or "",
            boundaries=folder("ISPEED_BOUNDARIES", Path()) if environment.get("ISPEED_BOUNDARIES") else None,
            settle_seconds=number("ISPEED_SETTLE_SECONDS", cls.settle_seconds, "seconds"),
            wait_seconds=number("ISPEED_WAIT_SECONDS", cls.wait_seconds, "seconds"),
            file_bytes_max=int(number("ISPEED_FILE_BYTES_MAX", cls.file_bytes_max, "bytes")),
            files_max=int(number("ISPEED_FILES_MAX", cls.files_max, "files")),
            fetch_bytes_max=int(number("ISPEED_FETCH_BYTES_MAX", cls.fetch_bytes_max, "bytes")),
            rows_max=int(number("ISPEED_ROWS_MAX", cls.rows_max, "records")),
            columns_max=int(number("ISPEED_COLUMNS_MAX", cls.columns_max, "columns")),
            field_bytes_max=int(number("ISPEED_FIELD_BYTES_MAX", cls.field_bytes_max, "bytes")),
            archive_members_max=int(number("ISPEED_ARCHIVE_MEMBERS_MAX", cls.archive_members_max, "members")),
            expansion_max=int(number("ISPEED_EXPANSION_MAX", cls.expansion_max, "times")),
            memory_bytes=int(number("ISPEED_MEMORY_BYTES", cls.memory_bytes, "bytes")),
            stage_tasks=int(number("ISPEED_STAGE_TASKS", cls.stage_tasks, "tasks", 1, STAGE_TASKS_MAX)),
            read_memory_bytes=int(number("ISPEED_READ_MEMORY_BYTES", cls.read_memory_bytes, "bytes")),
            read_seconds=number("ISPEED_READ_SECONDS", cls.read_seconds, "seconds"),
            returns_due_day=int(number("ISPEED_RETURNS_DUE_DAY", cls.returns_due_day, "day of the month", 1, 28)),
            returns_asked=_kinds(environment.get("ISPEED_RETURNS_ASKED") or ",".join(cls.returns_asked)),
            atlas_url=_site(environment, "ISPEED_ATLAS_URL", cls.atlas_url),
            atlas_form=folder("ISPEED_ATLAS_FORM", cls.atlas_form),
            atlas_seconds=number("ISPEED_ATLAS_SECONDS", cls.atlas_seconds, "seconds", 1, 600),
            atlas_bytes_max=int(number("ISPEED_ATLAS_BYTES_MAX", cls.atlas_bytes_max, "bytes")),
        )

    @property
    def device_key_id(self) -> str:
        """Eight digits that tell one device key from another and nothing of what it is: notes and manifests have it."""
        return hmac.new(self.device_key.encode(), b"id of this device key", "sha256").hexdigest()[:8]

    @property
    def reading_engine_bytes(self) -> int:
        """What DuckDB may hold while a file is read: half of the reading process, and no more than in other steps."""
        return min(self.memory_bytes, self.read_memory_bytes // 2)

    def exports_of(self, month: Month) -> Path:
        return self.exports / str(month)

    def export_place(self, month: Month) -> str:
        """Where the sender puts the month's export, for whoever reads a message: a path or an address."""
        return f"{self.exports_uri}/{month}" if self.exports_uri else str(self.exports_of(month))

    def lake_of(self, layer: str, month: Month) -> Path:
        """The lake's folder of one layer (landing, staging, quarantine, core, report) and month."""
        return self.lake / layer / f"month={month}"

    def share_of(self, month: Month) -> Path:
        return self.share / str(month)

    def restated_lake_of(self, month: Month, day: date) -> Path:
        """The lake's folder of a month as restated on the map of a day."""
        return self.lake_of("restated", month) / f"boundaries={day}"

    def restated_share_of(self, month: Month, day: date) -> Path:
        """Where a month's revisions on the map of a day are published, beside those of its own."""
        return self.share_of(month) / "restated" / str(day)


def _secret(environment: Mapping[str, str], name: str, file_name: str) -> str:
    """A secret as the environment has it, or the file that `file_name` names, or Airflow; nothing where none is set."""
    value, file = environment.get(name) or "", environment.get(file_name) or ""
    if value and file:
        raise UserError(f"setting {name}", f"{file_name} is set too", "one of the two", "unset the other")
    if value.startswith(OF_AIRFLOW):
        from ispeed.airflow_secrets import secret_of_airflow  # the core does without Airflow

        return secret_of_airflow(name, value.removeprefix(OF_AIRFLOW))
    if not file:
        return value
    try:
        value = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "not text"
        raise UserError(
            f"setting {file_name}", f"{file}: {found}", "a file that this account may read", "correct the setting"
        ) from None
    if not value:
        raise UserError(f"setting {file_name}", f"{file}: empty", "the secret in it", "write it there, or unset this")
    return value


def _address(name: str, value: str) -> str:
    """An address as given, without a slash at its end. Raises `UserError` where it is none that can be reached."""
    if not ADDRESS.fullmatch(value) or not value.isprintable() or {"..", "."} & set(value.split("/")):
        raise UserError(
            f"setting {name}",
            _without_password(value),
            "a path, s3://connection@bucket/folder or sftp://connection@/folder, where connection is the id of one of "
            "Airflow's connections",
            "give the connection's id alone before the @: host, login and keys stand in the connection",
        )
    return value.rstrip("/")


def _without_password(value: str) -> str:
    return re.sub(r"(://[^/:@]*):[^/]*@", r"\1:…@", value)


def _kinds(text: str) -> tuple[str, ...]:
    kinds = {kind.strip() for kind in text.split(",")}
    if not kinds <= set(BODY_KINDS):
        raise UserError("setting ISPEED_RETURNS_ASKED", text, f"some of {','.join(BODY_KINDS)}", "correct or unset it")
    return tuple(kind for kind in BODY_KINDS if kind in kinds)


def _device_key_file(path: Path) -> str:
    """The secret kept beside the data where none is set, made once, so that devices stay the same over months."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
        except FileExistsError:
            pass
    return path.read_text().strip()


def stage_parallel(environment: Mapping[str, str] = os.environ) -> int:
    """How many tasks of one run may read files at a time. Apart from `Settings`: Airflow wants it with the DAG file."""
    return int(_number(environment, "ISPEED_STAGE_PARALLEL", Settings.stage_tasks, "tasks", 1, STAGE_TASKS_MAX))


def _site(environment: Mapping[str, str], name: str, default: str) -> str:
    """The address of a public site, without a slash at its end. It stands in logs: no password may be in it."""
    text = (environment.get(name) or default).rstrip("/")
    if not re.fullmatch(r"https?://[^/@?#\s{}]+(/[^@?#\s{}]*)?", text):
        expected = f"an address with https:// and no more than a path, such as {default}"
        raise UserError(f"setting {name}", re.sub("//.*@", "//…@", text), expected, "mend or unset it")
    return text


def is_anybody_told(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether notices go anywhere. Apart from `Settings`: every task asks when it has ended."""
    return bool(environment.get("ISPEED_MAIL_TO")) or (environment.get("ISPEED_CHAT") or "0") != "0"


def watch_hours(environment: Mapping[str, str] = os.environ) -> float:
    """How old the last sign of a working Airflow may be. Apart from `Settings`: only who watches wants it."""
    return _number(environment, "ISPEED_WATCH_HOURS", 26.0, "hours")


def approval_hours(environment: Mapping[str, str] = os.environ) -> float | None:
    """How long a month with warnings waits for somebody's word; None where none is wanted. Read with the DAG."""
    if (environment.get("ISPEED_APPROVAL") or "0") == "0":
        return None
    return _number(environment, "ISPEED_APPROVAL_HOURS", 72.0, "hours", 0.001)


def _number(
    environment: Mapping[str, str], name: str, default: float, of: str, least: float = 0, most: float = math.inf
) -> float:
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (least <= value <= most and math.isfinite(value)):
        bounds = f" from {least:g} to {most:g}" if math.isfinite(most) else ""
        raise UserError(f"setting {name}", text, f"a number of {of}{bounds}, such as {default}", "mend or unset it")
    return value

"""What the commands do that run months, sync the registry and draft contracts; `command_line` is how they are typed."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

from ispeed import backfill_log
from ispeed.backfill import backfill
from ispeed.database import Database
from ispeed.errors import UserError
from ispeed.incoming import look_at_exports
from ispeed.log_lines import errors_alone
from ispeed.months import Month
from ispeed.publication import print_publication, print_restatement, shown
from ispeed.services import Services, airflow_environment, settings_with_connections
from ispeed.settings import INCLUDE, PROJECT, Settings

DEMO_MONTHS: Final = (Month(2024, 8), Month(2024, 9), Month(2024, 10))
OK, FAULT, USER_ERROR, STOPPED = 0, 1, 2, 130

Say = Callable[[str], None]


def run_demo(province: str | None = None) -> int:
    """Publish 2024-10 from sample exports, made where the exports folder has no month.

    With sample exports the months before it are published first, so that October can be compared with September.
    Another province has its own registry, policy, lake and share.
    """
    of_province = ""
    if province is not None:
        folder = province_folder(province)
        if not (folder / "registry").exists():
            run_registry(province, folder)
        os.environ.update(ISPEED_VAR=str(folder), ISPEED_POLICY=str(folder / "policy.yaml"))
        of_province = f"ISPEED_VAR={shown(folder)} ISPEED_POLICY={shown(folder / 'policy.yaml')} "
    settings = Settings.from_environment()
    months: Sequence[Month] = DEMO_MONTHS[-1:]
    if settings.exports_uri:
        print(f"exports of {months[0]} are taken from {settings.exports_uri}")
    elif any(re.fullmatch(r"\d{4}-\d{2}", folder.name) for folder in _subfolders(settings.exports)):
        print(f"exports found in {shown(settings.exports)}")
        months = [*_cut_off(settings, DEMO_MONTHS[:-1]), *months]
    else:
        from ispeed.sample import make_exports

        started = time.monotonic()
        months = DEMO_MONTHS
        make_exports(settings, list(months))
        print(
            f"sample exports of {DEMO_MONTHS[0]} to {DEMO_MONTHS[-1]} made in {shown(settings.exports)} "
            f"({time.monotonic() - started:.1f} s)"
        )
    code = run_months(months)
    if code == OK:
        print("\nnext:")
        for command, what in (
            (f"make month M={DEMO_MONTHS[-1]}", "the same again: nothing changed, so nothing new is published"),
            (
                f"make backfill FROM={DEMO_MONTHS[0]} TO={DEMO_MONTHS[-1]}",
                "all three months in order, by a real scheduler",
            ),
            ("make up", "Airflow with its page"),
        ):
            print(f"  {of_province}{command:<38}{what}")
    return code


def _cut_off(settings: Settings, months: Sequence[Month]) -> list[Month]:
    """The months of sample exports that a demo before was cut off from publishing."""
    from ispeed.landing import SAMPLE_MARK

    database = Database(settings.database_url)
    is_sample = [month for month in months if (settings.exports_of(month) / SAMPLE_MARK).exists()]
    return [month for month in is_sample if database.current_revision(month) is None]


def run_months(months: Sequence[Month], boundaries: date | None = None) -> int:
    """Run the three DAGs for months in this process, without a scheduler, and say what was published of the last."""
    os.environ.setdefault("ISPEED_WAIT_SECONDS", "30")
    os.environ.setdefault("ISPEED_SETTLE_SECONDS", "2")
    os.environ.update(airflow_environment())
    settings = Settings.from_environment()
    _seed_registry(settings)
    month = months[-1]
    before = Database(settings.database_url).current_revision(month)
    log = _log_folder() / f"month-{month}.log"
    started = time.monotonic()
    with _output_to(log) as say:
        from ispeed import month_run

        failure = month_run.run_months(months, say, started, boundaries)
    if failure is not None:
        print(f"\n{failure.text}\n\nlog: {shown(log)}", file=sys.stderr)
        return STOPPED if failure.is_stopped else USER_ERROR if failure.is_user_error else FAULT
    print(f"{month} done in {time.monotonic() - started:.1f} s; log: {shown(log)}\n")
    print_publication(settings, month, before)
    if boundaries:
        print_restatement(settings, month, boundaries)
    return OK


def run_backfill(first: Month, last: Month, boundaries: date | None = None, n_parallel: int = 1, why: str = "") -> int:
    """Run each month on a real scheduler: `airflow backfill create`, then the publishing that follows from it.

    It is noted in the log of backfills, with the reason that was given.
    """
    _refuse_on_a_server("backfill")
    months = _months(first, last)
    if n_parallel < 1:
        raise UserError("backfill", f"PARALLEL={n_parallel}", "a number of months, at least 1", "give PARALLEL=2")
    # Exports of months gone by do not grow: a short look will do.
    os.environ.setdefault("ISPEED_SETTLE_SECONDS", "10")
    environment = airflow_environment()
    os.environ.update(environment)
    settings = settings_with_connections()
    for month in months:
        if not look_at_exports(settings, month).files:
            raise UserError(
                f"export folder {settings.export_place(month)}",
                "no file",
                f"the export of {month}",
                "put it there, or backfill other months",
            )
    _seed_registry(settings)
    logs = _log_folder()
    print(f"starting Airflow; logs: {shown(logs)}/backfill-*.log")
    started, started_at = time.monotonic(), backfill_log.now()
    with Services("backfill", environment, logs) as services:
        print(f"ready after {time.monotonic() - started:.1f} s, {services.url}")
        states = backfill(services, months, print, boundaries, n_parallel)
    backfill_log.note_backfill(settings, why, started_at, {month: states[month] for month in months})
    failed = [month for month in months if states[month] != "success"]
    for month in months:
        print(f"{month}  {states[month]}")
    print(f"{len(months) - len(failed)} of {len(months)} months done in {time.monotonic() - started:.1f} s")
    if failed:
        task_logs = Path(environment["AIRFLOW_HOME"]) / "logs"
        print(f"logs: {shown(logs)}/backfill-*.log and {shown(task_logs)}", file=sys.stderr)
        return FAULT
    print_publication(settings, months[-1])
    if boundaries:
        print_restatement(settings, months[-1], boundaries)
    return OK


def run_backfill_log() -> int:
    """Print the log of backfills."""
    print(backfill_log.log_table(backfill_log.read_backfills(Settings.from_environment())))
    return OK


def run_atlas(month: Month) -> int:
    """Ask VNNIC for a month's figures, and publish the month anew where they are others than it was published with."""
    from ispeed.atlas import awaits_publishing, compare_atlas

    os.environ.update(airflow_environment())
    settings = Settings.from_environment()
    # What did not come is told by the log, here as in Airflow.
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    noted = compare_atlas(settings, month)
    print(f"VNNIC        {noted['n_rows']:,} figures noted, {4 - noted['n_faults']} of 4 questions answered")
    if not awaits_publishing(settings, month):
        print(f"nothing of them that is not published, or {month} is not published yet: then they go with it")
        return OK
    return _publish_anew(settings, month, _log_folder() / f"atlas-{month}.log")


def run_returns(month: Month) -> int:
    """Write the bodies' forms, collect what came back, and publish the month anew where that is not published yet.

    Prints a line for each file, and who has not returned.
    """
    from ispeed.arrivals import awaits_publishing
    from ispeed.returns.collecting import collect_returns
    from ispeed.returns.publishing import publish_forms
    from ispeed.shared_folder import FORMS

    os.environ.update(airflow_environment())
    settings = settings_with_connections()
    _seed_registry(settings)
    if not (settings.lake / "registry" / "organisation.parquet").exists():
        from ispeed.registry import sync_registry

        sync_registry(settings)
    forms = publish_forms(settings, month)
    print(f"forms        {forms['n_forms']} in {shown(settings.share_of(month) / FORMS)}")
    # What became of each file is printed here.
    with errors_alone("ispeed.returns"):
        collected = collect_returns(settings, month)
    for outcome in collected.outcomes:
        print(f"{outcome.state:<12} {outcome.message}")
    print(f"returned     {collected.n_asked - len(collected.missing)} of {collected.n_asked}")
    for body in collected.missing:
        print(f"missing      {body.code:<12} {body.name} (trước ngày {body.deadline:%d/%m/%Y})")
    if not awaits_publishing(settings, month, "returns"):
        print(f"no return that is not published, or {month} is not published yet: then they go with it")
        return OK
    return _publish_anew(settings, month, _log_folder() / f"returns-{month}.log")


def _publish_anew(settings: Settings, month: Month, log: Path) -> int:
    """Run `publish_reports` for a month that something arrived for, and say what was published."""
    before = Database(settings.database_url).current_revision(month)
    started = time.monotonic()
    with _output_to(log) as say:
        from ispeed import month_run

        failure = month_run.run_dags([("publish_reports", month)], say, started)
    if failure is not None:
        print(f"\n{failure.text}\n\nlog: {shown(log)}", file=sys.stderr)
        return STOPPED if failure.is_stopped else USER_ERROR if failure.is_user_error else FAULT
    print_publication(settings, month, before)
    return OK


def run_sync(*, dry_run: bool, rewrite_published: bool) -> int:
    """Take over the registry files, or with `dry_run` only say what they change."""
    from ispeed.registry import sync_registry

    settings = settings_with_connections()
    _seed_registry(settings)
    # What differs and what is odd is told by the log, here as in Airflow.
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    logging.getLogger("ispeed").setLevel(logging.INFO)
    report = sync_registry(settings, dry_run=dry_run, rewrite_published=rewrite_published)
    n_rows = ", ".join(f"{name} {n:,}" for name, n in report["n_rows"].items())
    if not report["is_new"]:
        print(f"unchanged: version {report['number']} stands ({n_rows})")
    else:
        print(f"version {report['number']} {'would be' if dry_run else 'was'} taken over ({n_rows})")
    if dry_run and report["rewritten_months"]:
        print("it would be refused without REWRITE_PUBLISHED=1")
    return OK


def run_deliver(*, by_content: bool) -> int:
    """Send to the share on SFTP or S3 what it does not have yet, and again what does not lie there as it was sent.

    What lies there is compared by names and sizes, or `by_content`. Prints what was not as it was sent.
    """
    from ispeed.delivery import mend_delivery

    settings = settings_with_connections()
    if not settings.share_uri:
        raise UserError("setting ISPEED_SHARE", shown(settings.share), "an address", "nothing: this share is here")
    delivered = mend_delivery(settings, by_content=by_content)
    for difference in delivered.differences:
        again = "sent again" if difference.can_be_mended else "not here any more either: restore lake/share"
        print(f"{difference.found:<8} {difference.path} ({again})")
    if not all(difference.can_be_mended for difference in delivered.differences):
        return FAULT
    print(f"{delivered.n_files} files sent or removed: {settings.share_uri} is what is published")
    return OK


def _refuse_on_a_server(command: str) -> None:
    """Raise `UserError` where Airflow's services run already: a second scheduler would work on their database."""
    if os.environ.get("AIRFLOW__CORE__EXECUTOR") == "CeleryExecutor":
        raise UserError(
            f"command {command}",
            "a server whose services run (AIRFLOW__CORE__EXECUTOR is CeleryExecutor)",
            "a machine where it starts services of its own",
            "use Airflow's page or its own command there: docs/backfills.md",
        )


def run_up() -> int:
    """Airflow with its page on a local port, until Ctrl-C."""
    _refuse_on_a_server("up")
    environment = airflow_environment()
    os.environ.update(environment)
    _seed_registry(Settings.from_environment())
    logs = _log_folder()
    print(f"starting Airflow; logs: {shown(logs)}/up-*.log")
    with Services("up", environment, logs, port=int(environment.get("AIRFLOW__API__PORT") or 8080)) as services:
        print(f"\n  {services.url}   user: admin   password: {services.password}\n\nCtrl-C stops it")
        while True:
            services.check_alive()
            time.sleep(1)


def run_contract(file: Path, out: Path | None, by: Path | None = None) -> int:
    """Print a first contract for an export, or write it; beside it ten rows as they would be read, and its doubts.

    With `by`, a contract that is there already, only how it would have the export read.
    """
    from ispeed.child import reading_process
    from ispeed.contract_draft import draft_contract
    from ispeed.contract_preview import preview_contract

    if out is not None and out.exists():
        raise UserError(f"file {out}", "a file of that name", "none", "give another name: OUT=…, or remove it")
    settings = Settings.from_environment()
    doubts: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory(prefix="ispeed-") as folder:
        registry = _registry_tables(settings, Path(folder))
        contract = by or out or Path(folder) / "contract.yaml"
        if by is None:
            with reading_process(settings) as process:
                draft = process.call(file.name, draft_contract, file, registry)
            contract.write_text(draft.text, encoding="utf-8")
            doubts = draft.doubts
            if out is None:
                print(draft.text)
        # What staging would warn of is in the doubts.
        with errors_alone("ispeed.staging"):
            preview = preview_contract(file, contract, registry)
    # A contract that is printed goes alone where the output is sent to.
    beside = sys.stderr if out is None and by is None else sys.stdout
    for title, lines in (
        (f"the first {len(preview.rows)} rows as they would be read", preview.rows),
        ("not sure", (*doubts, *preview.doubts)),
    ):
        if lines:
            print(f"{title}:", *(f"  - {line}" for line in lines), sep="\n", file=beside)
    if out is not None:
        print(
            f"written: {shown(out)}\nsettle each doubt in it, and look again: make contract FILE={file} BY={shown(out)}"
        )
    return OK


def run_registry(province: str, folder: Path) -> int:
    """Write first registry files and policy for a province, and say how to use them."""
    from ispeed.province_seed import write_province_seed

    counts = write_province_seed(province, folder)
    print(
        f"{counts.name}: {counts.n_before} communes up to 30/06/2025, {counts.n_after} from 01/07/2025, "
        f"{counts.n_districts} districts"
    )
    if counts.without_communes:
        print("had no communes, and so no unit of this registry: " + ", ".join(counts.without_communes))
    print(f"written: {shown(folder)}; read its README.md, then:")
    print(f"  ISPEED_REGISTRY={shown(folder / 'registry')} ISPEED_POLICY={shown(folder / 'policy.yaml')}")
    return OK


def _registry_tables(settings: Settings, scratch: Path) -> Path:
    """The lake's registry tables; where none were synced yet, those of the registry's files, or of the seed."""
    tables = settings.lake / "registry"
    if (tables / "registry.json").exists():
        return tables
    from ispeed.registry import sync_registry

    files = settings.registry if settings.registry.exists() else INCLUDE / "registry"
    lake, database_url = scratch / "lake", f"sqlite:///{scratch}/no.sqlite"
    sync_registry(replace(settings, registry=files, registry_uri="", lake=lake, database_url=database_url))
    return scratch / "lake" / "registry"


def run_watch(every: float | None) -> int:
    """Tell people where the daily sign of a working Airflow is missing; 1 where it is. Once, or every so many seconds.

    Nothing of Airflow need run: its connections are read from `AIRFLOW_CONN_…` only.
    """
    from ispeed.heartbeat import keep_watching
    from ispeed.notice_routes import Routes, connection_of_environment

    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(message)s", level=logging.INFO)
    if every is not None and every < 1:
        raise UserError("watch", f"--every {every:g}", "at least 1 second", "give --every 3600")
    return keep_watching(every, Routes.from_environment(connection_of_environment))


def run_docs() -> int:
    """Write the pages of docs/ that are made from the code."""
    os.environ.update(airflow_environment())
    from ispeed.dag_pages import dags_page
    from ispeed.table_pages import tables_page

    for name, text in (("dags.md", dags_page()), ("tables.md", tables_page())):
        path = PROJECT / "docs" / name
        path.write_text(text, encoding="utf-8")
        print(f"written: {shown(path)}")
    return OK


@contextmanager
def _output_to(log: Path) -> Iterator[Say]:
    """Send all that Airflow prints to a file; what is yielded still writes to the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    terminal = os.fdopen(os.dup(1), "w", encoding="utf-8")

    def say(text: str) -> None:
        terminal.write(text)
        terminal.flush()

    with log.open("ab") as file, terminal:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield say
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for target, original in enumerate(kept, start=1):
                os.dup2(original, target)
                os.close(original)


def _seed_registry(settings: Settings) -> None:
    """Give a new installation the registry that the project ships."""
    if settings.registry_uri or settings.registry.exists():
        return
    partial = settings.registry.with_name(settings.registry.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(INCLUDE / "registry", partial)
    partial.rename(settings.registry)
    print(f"seed registry copied to {shown(settings.registry)}")


def province_folder(province: str) -> Path:
    # The code becomes part of a path before anyone has looked it up.
    if not re.fullmatch(r"\d{2}", province):
        raise UserError("province", repr(province), "a code of two digits, such as 48", "give PROVINCE=48")
    return Path(os.environ.get("ISPEED_VAR") or PROJECT / "var").absolute() / "provinces" / province


def _months(first: Month, last: Month) -> list[Month]:
    if first > last:
        raise UserError("months", f"FROM={first} TO={last}", "FROM not after TO", "give the earlier month first")
    months = [first]
    while months[-1] < last:
        months.append(months[-1].next)
    return months


def _log_folder() -> Path:
    folder = Path(os.environ.get("ISPEED_VAR") or PROJECT / "var").absolute() / "log"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _subfolders(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []

"""What a data engineer types: `python -m ispeed demo`, `month`, `backfill`, `diff`, `verify`, `trace` and so on."""

from __future__ import annotations

import argparse
import io
import signal
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from ispeed.commands import (
    FAULT,
    OK,
    STOPPED,
    USER_ERROR,
    province_folder,
    run_atlas,
    run_backfill,
    run_backfill_log,
    run_contract,
    run_deliver,
    run_demo,
    run_docs,
    run_months,
    run_registry,
    run_returns,
    run_sync,
    run_up,
    run_watch,
)
from ispeed.errors import RemoteFault, ShareFault, UserError
from ispeed.months import Month, parse_day
from ispeed.revision_commands import run_diff, run_trace, run_verify, run_withdraw
from ispeed.services import ServiceError
from ispeed.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 for a fault, 2 for something that the user must mend."""
    chosen = _parser().parse_args(arguments)
    # Progress is to be seen while it goes on, also through a pipe.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)

    # So that `with` blocks end and no service stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    try:
        match chosen.command:
            case "demo":
                return run_demo(chosen.province)
            case "month":
                return run_months([Month.parse(chosen.month)], _day(chosen.boundaries))
            case "backfill":
                first, last = Month.parse(chosen.first), Month.parse(chosen.last)
                return run_backfill(first, last, _day(chosen.boundaries), chosen.parallel, chosen.why)
            case "backfills":
                return run_backfill_log()
            case "atlas":
                return run_atlas(Month.parse(chosen.month))
            case "returns":
                return run_returns(Month.parse(chosen.month))
            case "sync":
                return run_sync(dry_run=chosen.dry_run, rewrite_published=chosen.rewrite_published)
            case "deliver":
                return run_deliver(by_content=chosen.check)
            case "up":
                return run_up()
            case "contract":
                return run_contract(chosen.file, chosen.out, chosen.by)
            case "diff":
                return run_diff(Month.parse(chosen.month), chosen.first, chosen.last)
            case "verify":
                return run_verify(Month.parse(chosen.month), chosen.revision)
            case "withdraw":
                return run_withdraw(Month.parse(chosen.month), chosen.revision, chosen.why)
            case "registry":
                return run_registry(chosen.province, chosen.out or province_folder(chosen.province))
            case "trace":
                return run_trace(chosen)
            case "prepare":
                from ispeed.deployment import run_prepare

                return run_prepare()
            case "backup":
                from ispeed.backup_commands import run_backup

                return run_backup(chosen.folder)
            case "restore":
                from ispeed.backup_commands import run_restore

                return run_restore(chosen.folder, is_replacing=chosen.replace)
            case "check-books":
                from ispeed.book_checks.command import check_books

                return USER_ERROR if check_books(chosen.places, Settings.from_environment().share) else OK
            case "watch":
                return run_watch(chosen.every)
            case _:
                return run_docs()
    except UserError as error:
        print(f"\n{error}", file=sys.stderr)
        return USER_ERROR
    except (ServiceError, ShareFault, RemoteFault) as error:
        print(f"\n{error}", file=sys.stderr)
        return FAULT
    except KeyboardInterrupt:
        print("\nstopped")
        return STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ispeed", description="i-Speed monthly reports")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="make sample exports where there are none, and publish 2024-10")
    demo.add_argument("province", metavar="CODE", nargs="?", help="another province, in a folder of its own")
    month = commands.add_parser("month", help="run every DAG for one month, here and now")
    month.add_argument("month", metavar="YYYY-MM")
    month.add_argument("--boundaries", metavar="YYYY-MM-DD", help="publish it also on the map of that day")
    backfill = commands.add_parser("backfill", help="run months on a real scheduler")
    backfill.add_argument("first", metavar="FROM")
    backfill.add_argument("last", metavar="TO")
    backfill.add_argument("--boundaries", metavar="YYYY-MM-DD", help="publish them also on the map of that day")
    backfill.add_argument("--parallel", metavar="N", type=int, default=1, help="months that are ingested at a time")
    backfill.add_argument("--why", metavar="WHY", default="", help="the reason, for the log of backfills")
    commands.add_parser("backfills", help="the log of backfills")
    atlas = commands.add_parser("atlas", help="ask VNNIC for a month's figures, and publish it anew where they differ")
    atlas.add_argument("month", metavar="YYYY-MM")
    returns = commands.add_parser("returns", help="send the bodies' forms, and collect the returns that came back")
    returns.add_argument("month", metavar="YYYY-MM")
    sync = commands.add_parser("sync", help="take over the registry files, and say what they change")
    sync.add_argument("--dry-run", action="store_true", help="say what they would change, and take nothing over")
    sync.add_argument("--rewrite-published", action="store_true", help="also where published months stand on it")
    deliver = commands.add_parser("deliver", help="send what is published to a share on SFTP or S3 that lacks it")
    deliver.add_argument("--check", action="store_true", help="compare sha256: fetches all that lies there")
    commands.add_parser("up", help="Airflow with its page, until Ctrl-C")
    contract = commands.add_parser("contract", help="draft the source contract of an unknown export")
    contract.add_argument("file", metavar="FILE", type=Path)
    contract.add_argument("--out", metavar="YAML", type=Path, help="where to write it; else it is printed")
    contract.add_argument("--by", metavar="YAML", type=Path, help="a contract to look at the export by, not a new one")
    registry = commands.add_parser("registry", help="first registry files and policy for any province")
    registry.add_argument("province", metavar="CODE")
    registry.add_argument("--out", metavar="FOLDER", type=Path, help="where to write them")
    diff = commands.add_parser("diff", help="what differs between two revisions of a month, and why")
    diff.add_argument("month", metavar="YYYY-MM")
    diff.add_argument("first", metavar="FROM", type=int, nargs="?")
    diff.add_argument("last", metavar="TO", type=int, nargs="?")
    verify = commands.add_parser("verify", help="make a published revision anew from what landed, and compare")
    verify.add_argument("month", metavar="YYYY-MM")
    verify.add_argument("revision", metavar="R", type=int, nargs="?")
    withdraw = commands.add_parser("withdraw", help="take a published revision back")
    withdraw.add_argument("month", metavar="YYYY-MM")
    withdraw.add_argument("revision", metavar="R", type=int)
    withdraw.add_argument("why", metavar="WHY")
    trace = commands.add_parser("trace", help="list the rows of the exports behind one published figure")
    trace.add_argument("month", metavar="YYYY-MM")
    trace.add_argument("--table", required=True, help="such as report_commune_month")
    trace.add_argument("--key", default="", help="the row's key without network, parts joined by commas: Viettel,4G")
    trace.add_argument("--column", required=True, help="such as n_measurements or download_mbps_median")
    trace.add_argument("--network", default="mobile", help="mobile (default) or fixed")
    trace.add_argument("--revision", metavar="N", type=int, help="default: the latest")
    trace.add_argument("--boundaries", metavar="YYYY-MM-DD", help="the map of a restated table")
    trace.add_argument("--limit", metavar="N", type=int, default=50, help="how many rows to print (default 50)")
    trace.add_argument("--csv", metavar="FILE", type=Path, help="where to write all of them")
    books = commands.add_parser("check-books", help="published workbooks against what a workbook must be")
    books.add_argument("places", metavar="FOLDER or FILE", nargs="*", type=Path, help="else all current revisions")
    watch = commands.add_parser("watch", help="tell people where Airflow gives no sign of life; needs none running")
    watch.add_argument("--every", metavar="SECONDS", type=float, help="look again and again; else once")
    backup = commands.add_parser("backup", help="both databases, lake, share, registry and returns into a new folder")
    backup.add_argument("folder", metavar="FOLDER", type=Path)
    restore = commands.add_parser("restore", help="put a backup back; no service may run")
    restore.add_argument("folder", metavar="FOLDER", type=Path)
    restore.add_argument("--replace", action="store_true", help="remove what is in its way")
    commands.add_parser(
        "prepare", help="a server's tables, first administrator and registry, before its services start"
    )
    commands.add_parser("docs", help="write docs/dags.md and docs/tables.md from the code")
    return parser


def _day(text: str | None) -> date | None:
    return parse_day(text) if text else None

"""The waits of a month, which hold no worker: for its export, and for the bodies' returns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import BaseTrigger, TriggerEvent

from ispeed.airflow import no_retry_on_user_error, run_of
from ispeed.errors import RemoteFault, UserError
from ispeed.exports import ExportFolder, read_export_folder
from ispeed.return_folder import look_of

LONGEST_PAUSE_SECONDS: Final = 60.0


def look_at_export(place: str) -> ExportFolder:
    """Look once at a month's export, in a folder or at an address."""
    if "://" not in place:
        return read_export_folder(Path(place))
    from ispeed.incoming import read_remote_exports  # DAG files are read often

    return read_remote_exports(place)


def look_at_returns(place: str) -> str:
    """What one look at a month's returns found, in a folder or at an address; the same text means the same files."""
    if "://" not in place:
        return look_of(Path(place))
    from ispeed.incoming import look_at_remote_returns

    return look_at_remote_returns(place)


class ExportTrigger(BaseTrigger):
    """Looks at a month's export folder until its files are all there or `deadline` (seconds since 1970) has passed."""

    def __init__(self, folder: str, settle_seconds: float, deadline: float) -> None:
        super().__init__()
        self.folder, self.settle_seconds, self.deadline = folder, settle_seconds, deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "ispeed.airflow_waits.ExportTrigger",
            # The deadline is a moment, not a duration: a triggerer that restarts must not begin to wait anew.
            {"folder": self.folder, "settle_seconds": self.settle_seconds, "deadline": self.deadline},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: whether the export is complete, and what the last look found."""
        pause = min(max(self.settle_seconds, 0.05), LONGEST_PAUSE_SECONDS)
        files = None
        found = ""
        unchanged_since = time.monotonic()
        while True:
            try:
                # In a thread: a network share that hangs must not hold up the other triggers.
                look = await asyncio.to_thread(look_at_export, self.folder)
            except (OSError, RemoteFault) as error:
                files, found_now = None, f"the folder cannot be read: {getattr(error, 'found', error)}"
            except UserError as error:
                # A key that is refused is not waited for: the address may lock us out.
                yield TriggerEvent({"is_complete": False, "found": error.found, "error": error.parts})
                return
            else:
                found_now = str(look)
                if look.is_complete:
                    yield self._event(is_complete=True, found=found_now)
                    return
                if not look.files or look.files != files:
                    files, unchanged_since = look.files, time.monotonic()
                elif time.monotonic() - unchanged_since >= self.settle_seconds:
                    yield self._event(
                        is_complete=True, found=f"{found_now}, unchanged for {self.settle_seconds:g} seconds"
                    )
                    return
            if found_now != found:
                found = found_now
                self.log.info("Waiting for the export in %s: %s.", self.folder, found)
            remaining = self.deadline - time.time()
            if remaining <= 0:
                yield self._event(is_complete=False, found=found)
                return
            await asyncio.sleep(min(pause, remaining))

    @staticmethod
    def _event(*, is_complete: bool, found: str) -> TriggerEvent:
        return TriggerEvent({"is_complete": is_complete, "found": found})


class WaitForExport(BaseOperator):
    """Waits until the month's export is complete, without holding a worker meanwhile.

    Complete: at least one file, and a `.done` marker, or no change for `ISPEED_SETTLE_SECONDS`. After
    `ISPEED_WAIT_SECONDS` the task fails, without retries.
    """

    @no_retry_on_user_error
    def execute(self, context: Context) -> str:
        settings, month = run_of(context)
        place = settings.export_place(month)
        try:
            folder = look_at_export(place)
        except RemoteFault as error:
            folder = ExportFolder(place, (), is_marked_done=False)
            self.log.warning("%s", error)
        if folder.is_complete:
            self.log.info("The export of %s is complete: %s.", month, folder)
            return str(folder)
        deadline = time.time() + settings.wait_seconds
        self.log.info(
            "The export of %s is not known to be complete: %s. Waiting until %s at most.",
            month,
            folder,
            datetime.fromtimestamp(deadline, UTC).isoformat(" ", "seconds"),
        )
        trigger = ExportTrigger(place, settings.settle_seconds, deadline)
        raise TaskDeferred(trigger=trigger, method_name="execute_complete")

    @no_retry_on_user_error
    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Resume after the wait with what the trigger found. Raises where the deadline has passed."""
        settings, month = run_of(context)
        if "error" in event:
            raise UserError(*event["error"])
        if not event["is_complete"]:
            raise UserError(
                f"export folder {settings.export_place(month)}",
                f"{event['found']}, after waiting for {timedelta(seconds=round(settings.wait_seconds))}",
                f"at least one export file of {month}, and either a file .done beside it or no change "
                f"for {settings.settle_seconds:g} seconds",
                "put the export there (write .done last), then clear this task; "
                "ISPEED_WAIT_SECONDS sets how long to wait",
            )
        self.log.info("The export of %s is complete: %s.", month, event["found"])
        return str(event["found"])


class ReturnsTrigger(BaseTrigger):
    """Looks at a month's folder of returns until something came that keeps still, or `deadline` has passed.

    `folder` may be an address; `seen` is the look (`look_at_returns`) at what was collected already.
    """

    def __init__(self, folder: str, seen: str, settle_seconds: float, deadline: float) -> None:
        super().__init__()
        self.folder, self.seen, self.settle_seconds, self.deadline = folder, seen, settle_seconds, deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("folder", "seen", "settle_seconds", "deadline")
        return "ispeed.airflow_waits.ReturnsTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: whether the deadline has passed."""
        pause = min(max(self.settle_seconds, 0.05), LONGEST_PAUSE_SECONDS)
        last, unchanged_since = self.seen, time.monotonic()
        while True:
            try:
                look = await asyncio.to_thread(look_at_returns, self.folder)
            except UserError:
                # A key that is refused, say: whoever collects tells it, and nobody tries it every minute.
                yield TriggerEvent({"is_over": False})
                return
            except (OSError, RemoteFault) as error:
                self.log.warning("The folder of returns cannot be read: %s", error)
                look = last
            if look != last:
                last, unchanged_since = look, time.monotonic()
            elif look != self.seen and time.monotonic() - unchanged_since >= self.settle_seconds:
                yield TriggerEvent({"is_over": False})
                return
            remaining = self.deadline - time.time()
            if remaining <= 0:
                yield TriggerEvent({"is_over": True})
                return
            await asyncio.sleep(min(pause, remaining))


class WaitForReturns(BaseOperator):
    """Collects returns as they come in, without holding a worker meanwhile, until all are in or the deadline passed."""

    def execute(self, context: Context) -> str:
        return self._collect(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Resume after the wait: collect what came, then wait on, unless the deadline has passed."""
        return self._collect(context)

    @no_retry_on_user_error
    def _collect(self, context: Context) -> str:
        from ispeed.returns import deadline_of
        from ispeed.returns.collecting import collect_returns

        settings, month = run_of(context)
        place = f"{settings.returns_uri or settings.returns}/{month}"
        seen = look_at_returns(place)
        collected = collect_returns(settings, month)
        deadline = deadline_of(settings, month).timestamp()
        told = f"{collected.n_asked - len(collected.missing)} of {collected.n_asked} bodies returned"
        if not collected.missing or time.time() >= deadline:
            return told
        self.log.info("%s for %s; waiting until %s.", told, month, deadline_of(settings, month))
        trigger = ReturnsTrigger(place, seen, settings.settle_seconds, deadline)
        raise TaskDeferred(trigger=trigger, method_name="execute_complete")

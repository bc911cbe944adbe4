"""The task in which a month with warnings waits for somebody's word before it is published."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context

from ispeed.airflow import no_retry_on_user_error, run_of
from ispeed.airflow_notices import LOOK, airflow_url, routes_of
from ispeed.approval import (
    APPROVE,
    REFUSE,
    Approval,
    body_of,
    note_approval,
    read_approval,
    subject_of,
    warning_lines,
    waterfall,
)
from ispeed.draft import read_draft
from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.notice import notice
from ispeed.notice_log import tell_once
from ispeed.quality import MonthQuality, read_quality
from ispeed.settings import Settings, is_anybody_told
from ispeed.workbook.wording import month_text, number


def is_typed(context: Context) -> bool:
    """Whether the run is one of a command at the terminal, in whose process it runs (`dag.test()`)."""
    return bool(context["dag_run"].triggering_user_name == "dag_test")


class ApproveMonth(HITLOperator):
    """Asks whether the month's draft is to be published, where its checks warn; any other month goes on at once.

    A refusal, or no answer in time, ends the run as failed, without retries: nothing is published and what was
    published stays. Who answered what stands in the log and in `lake/approvals/`. Not Airflow's `ApprovalOperator`:
    that one ends a refused run as a success, or tries it again.
    """

    def __init__(self, **kwargs: Any) -> None:
        # Subject and body are templates to Airflow: what is asked is set when they have been rendered.
        super().__init__(subject="Phát hành tháng này?", options=[APPROVE, REFUSE], **kwargs)

    @property
    def hours(self) -> float:
        """How long an answer is waited for; 0 for ever."""
        return self.response_timeout / timedelta(hours=1) if self.response_timeout else 0.0

    @no_retry_on_user_error
    def execute(self, context: Context) -> None:
        settings, month = run_of(context)
        draft, quality = read_draft(settings, month), read_quality(settings, month)
        if draft.is_unchanged or quality is None or not quality.warnings:
            self.log.info("Nothing to decide for %s: %s.", month, "unchanged" if draft.is_unchanged else "no warnings")
            return
        if is_typed(context):
            self.log.warning("%s is published without approval: whoever typed the command answers for it.", month)
            return
        now = datetime.now(UTC)
        page = f"{airflow_url()}/ispeed/{month}/"
        asked = Approval(str(month), draft.revision, draft.fingerprint, now.isoformat(timespec="seconds"))
        note_approval(settings, month, asked)
        self.subject = subject_of(month, draft, len(quality.warnings))
        self.body = body_of(month, draft, quality, page)
        # Called when the question can be answered; any callable will do.
        tell: Any = lambda context: self._tell(context, settings, month, quality, asked, page, now)  # noqa: E731
        self.notifiers = [tell]
        super().execute(context)

    @no_retry_on_user_error
    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, str]:
        """Resume with the answer. Raises `UserError` where it is a refusal, or none, or was given for another draft."""
        settings, month = run_of(context)
        where = f"approval of month {month}"
        redo = f"clear the task {self.task_id} to ask again; what was published before stays"
        asked = read_approval(settings, month)
        try:
            answer = super().execute_complete(context, event)
        except HITLTimeoutError:
            raise UserError(where, f"no answer within {self.hours:g} hours", f"{APPROVE} or {REFUSE}", redo) from None
        user: Any = answer["responded_by_user"] or {}
        who = str((user.get("name") or user.get("id")) if isinstance(user, dict) else getattr(user, "name", user))
        chosen, at = answer["chosen_options"][0], answer["responded_at"].isoformat(timespec="seconds")
        if asked is None or asked.fingerprint != read_draft(settings, month).fingerprint:
            raise UserError(where, f"another draft than {who} was shown", "the draft that was asked for", redo)
        note_approval(settings, month, replace(asked, answer=chosen, answered_by=who, answered_at=at))
        self.log.info("month=%s revision=%s answer=%r by=%r at=%s", month, asked.revision, chosen, who, at)
        if chosen != APPROVE:
            remedy = f"mend what the warnings are about and run the month again, or {redo}"
            raise UserError(where, f"“{chosen}” by {who} at {at}", f"“{APPROVE}”", remedy)
        return {"answer": chosen, "by": who, "at": at}

    def _tell(
        self,
        context: Any,
        settings: Settings,
        month: Month,
        quality: MonthQuality,
        asked: Approval,
        page: str,
        now: datetime,
    ) -> None:
        """Tell the approvers that something waits; where that fails, it waits all the same, and the log says so."""
        if not (is_anybody_told() or os.environ.get("ISPEED_APPROVERS")):
            self.log.info("Nobody is told that %s waits: ISPEED_APPROVERS and ISPEED_MAIL_TO are not set.", month)
            return
        task = context["ti"]
        run = f"/dags/{task.dag_id}/runs/{quote(task.run_id)}/tasks/{task.task_id}/required_actions"
        told = notice(
            f"[i-Speed] Tháng {month_text(month)}: chờ duyệt phát hành bản r{asked.revision}",
            {
                "Tháng": month_text(month),
                "Số dòng": [f"{what}: {number(n)}" for what, n in waterfall(quality)],
                "Cảnh báo": warning_lines(quality),
                "Cần làm": f"Mở liên kết dưới đây, chọn “{APPROVE}” hoặc “{REFUSE}”.",
                "Thời hạn": f"{number(self.hours, 0 if self.hours.is_integer() else 1)} giờ" if self.hours else "",
            },
            [("Trả lời tại", airflow_url() + run), ("Chất lượng dữ liệu của tháng", page)],
            "Không trả lời trong thời hạn thì tháng không được phát hành; bản đang phát hành giữ nguyên.",
        )
        try:
            addresses = "ISPEED_APPROVERS" if os.environ.get("ISPEED_APPROVERS") else "ISPEED_MAIL_TO"
            tell_once(settings, f"{month}.approval", asked.fingerprint, told, routes_of(addresses).send, now)
        except Exception:
            self.log.exception("Nobody was told that %s waits for approval. %s", month, LOOK)

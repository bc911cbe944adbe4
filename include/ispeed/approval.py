"""What somebody is shown who decides whether a month with warnings is published, and what became of it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from ispeed.checks import CheckResult, row_reasons
from ispeed.draft import Draft
from ispeed.error_texts import in_vietnamese
from ispeed.lake import write_json
from ispeed.months import Month
from ispeed.quality import MonthQuality
from ispeed.settings import Settings
from ispeed.workbook.wording import SAMPLE_MARK, TABLES, month_text, number

APPROVE, REFUSE = "Duyệt phát hành", "Từ chối"
LONGEST_EXAMPLE = 200


@dataclass(frozen=True)
class Approval:
    """What was asked for a draft, and the answer: who gave it and when (UTC); empty while there is none."""

    month: str
    revision: int
    fingerprint: str
    asked_at: str
    answer: str = ""
    answered_by: str = ""
    answered_at: str = ""


def subject_of(month: Month, draft: Draft, n_warnings: int) -> str:
    return f"Phát hành tháng {month_text(month)}, bản r{draft.revision}? Có {number(n_warnings)} cảnh báo."


def waterfall(quality: MonthQuality) -> list[tuple[str, int]]:
    """What became of the rows: received, accepted, quarantined and flagged by reason; reasons without rows left out."""
    wordings = {reason: wording for _, reason, wording in row_reasons()}
    lines = [("Nhận", quality.n_raw or 0), ("Chấp nhận", quality.n_accepted or 0)]
    for what, reasons in (("Cách ly", quality.quarantined), ("Đánh dấu", quality.flagged)):
        lines += [(f"{what}: {wordings.get(reason, reason)}", n) for reason, n in (reasons or {}).items() if n]
    return lines


def warning_lines(quality: MonthQuality) -> list[str]:
    """The warnings of the month's checks, one line each, with one example."""
    return [_warning(result) for result in quality.warnings]


def body_of(month: Month, draft: Draft, quality: MonthQuality, page: str) -> str:
    """What is asked, as Markdown: the waterfall and the warnings. `page` is the address of the month's quality."""
    stands = (
        f"bản r{quality.revision} đang phát hành giữ nguyên" if quality.revision else "tháng này vẫn chưa phát hành"
    )
    rows = [f"| {escaped(what)} | {number(n)} |" for what, n in waterfall(quality)]
    warnings = [f"- {escaped(line)}" for line in warning_lines(quality)]
    return "\n".join(
        [
            *([f"**{SAMPLE_MARK}**", ""] if quality.is_sample else []),
            f"**{APPROVE}**: bản r{draft.revision} được đưa vào thư mục dùng chung. "
            f"**{REFUSE}**: không phát hành; {stands}.",
            "",
            f"Lý do có bản này: {escaped(draft.why)}",
            "",
            "| Dòng | Số lượng |",
            "|---|---:|",
            *rows,
            "",
            f"**Cảnh báo ({len(warnings)})**",
            "",
            *warnings,
            "",
            f"[Trang chất lượng của tháng]({page})",
        ]
    )


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: no link, no table, no HTML comes of it."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def note_approval(settings: Settings, month: Month, approval: Approval) -> None:
    """Note what was asked or answered, in `lake/approvals/YYYY-MM.json`: the last of the month."""
    write_json(_path(settings, month), asdict(approval))


def read_approval(settings: Settings, month: Month) -> Approval | None:
    """What was asked last for the month; None where nothing was."""
    path = _path(settings, month)
    return Approval(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def _path(settings: Settings, month: Month) -> Path:
    return settings.lake / "approvals" / f"{month}.json"


def _warning(result: CheckResult) -> str:
    example = "; " + in_vietnamese(f"such as {result.examples[0][:LONGEST_EXAMPLE]}") if result.examples else ""
    where = TABLES.get(result.table, result.table)
    return f"{where}: {result.description_vi}: {number(result.n_rows)} dòng{example}"

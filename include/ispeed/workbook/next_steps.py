"""What Tổng quan says is to be done next: where to measure first, at what pace, what to send back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ispeed.workbook.content import Content, Row
from ispeed.workbook.sentences import by_name, commune, in_sentence, whole
from ispeed.workbook.wording import alphabetical, day_text, listing, month_text, number

_NAMED: Final = 3


def next_steps(content: Content) -> list[str]:
    """Two or three lines that begin with what to do; nothing where there is no commune."""
    steps = [step for step in (_reach_publishing(content), _reach_assessing(content), _send_back(content)) if step]
    return [f"{place}. {step}" for place, step in enumerate(steps, start=1)]


def first_communes(content: Content) -> list[Row]:
    """The communes that `next_steps` names."""
    publish, assess = _nearest(content)
    return [*publish[:_NAMED], *assess[:_NAMED]]


def _nearest(content: Content) -> tuple[list[Row], list[Row]]:
    """Communes that miss fewest to be published, and of those that are, to be assessed."""
    rows = content.rows("report_commune_month", "mobile")

    def short(column: str, of: Callable[[Row], bool]) -> list[Row]:
        # What ends with the month cannot be measured any more.
        found = [
            row for row in rows if of(row) and whole(row, column) and str(row["commune_code"]) not in content.ending
        ]
        return sorted(found, key=lambda row: (whole(row, column), by_name(row)))

    return (
        short("n_missing_to_publish", lambda _: True),
        short("n_missing_to_assess", lambda row: not whole(row, "n_missing_to_publish")),
    )


def _reach_publishing(content: Content) -> str:
    least, (short, _) = content.policy.publish_minimum, _nearest(content)
    if not short:
        return ""
    total = sum(whole(row, "n_missing_to_publish") for row in short)
    where = _districts(short)
    return (
        f"Vận động đo trước hết ở {number(len(short))} đơn vị chưa đủ {least} lượt đo (còn thiếu {number(total)} lượt)"
        f"{f', tập trung ở {where}' if where else ''}; gần đủ nhất: {_named(short, 'n_missing_to_publish')}."
    )


def _reach_assessing(content: Content) -> str:
    policy, month = content.policy, content.month.next
    rows = content.rows("report_commune_month", "mobile")
    _, near = _nearest(content)
    if not rows:
        return ""
    n_days = (month.next.first_day - month.first_day).days
    pace = -(-policy.assess_minimum // n_days)
    n_next = content.n_communes_next or len(rows)
    changed = f", theo {number(n_next)} đơn vị từ {day_text(month.first_day)}" if content.ending else ""
    enough = sum(whole(row, "n_measurements") >= policy.assess_minimum for row in rows)
    text = (
        f"Trong tháng {month_text(month)}, duy trì ở mỗi đơn vị ít nhất {number(pace)} lượt đo mỗi ngày để đủ "
        f"{policy.assess_minimum} lượt (toàn địa bàn {number(pace * n_next)} lượt mỗi ngày{changed}); tháng này "
        f"{number(enough)} trên {number(len(rows))} đơn vị đã đủ"
    )
    return f"{text}, gần đủ nhất: {_named(near, 'n_missing_to_assess')}." if near else f"{text}."


def _send_back(content: Content) -> str:
    """Codes that nobody holds, and what the export's owner must mend."""
    unknown = [row for row in content.rows("report_referral_code_month", "mobile") if not row["holder_kind"]]
    parts = []
    if unknown:
        counts: dict[str, int] = {}
        for row in unknown:
            code = str(row["referral_code"])
            counts[code] = counts.get(code, 0) + whole(row, "n_measurements")
        most = sorted(counts, key=lambda code: (-counts[code], code))
        shown = ", ".join(f"{code} ({number(counts[code])})" for code in most[:_NAMED])
        more = f" và {number(len(most) - _NAMED)} mã khác" if len(most) > _NAMED else ""
        parts.append(f"Sửa hoặc bổ sung vào danh mục {number(len(most))} mã giới thiệu lạ (số lượt đo): {shown}{more}")
    reasons: dict[str, int] = {}
    for row in content.rows("report_quality_month"):
        if row["outcome"] == "quarantined" and whole(row, "n_rows"):
            reason = str(row["reason"])
            reasons[reason] = reasons.get(reason, 0) + whole(row, "n_rows")
    if reasons:
        worst = sorted(reasons, key=lambda reason: (-reasons[reason], reason))[:_NAMED]
        shown = ", ".join(f"{content.reasons.get(name, name).lower()} ({number(reasons[name])})" for name in worst)
        total = number(sum(reasons.values()))
        verb = "gửi" if parts else "Gửi"
        parts.append(
            f"{verb} nơi xuất số liệu {total} dòng cách ly để sửa, nhiều nhất: {shown} (từng dòng ở quarantine.csv)"
        )
    return f"{'; '.join(parts)}." if parts else ""


def _named(rows: Sequence[Row], column: str) -> str:
    return ", ".join(f"{commune(row)} (thiếu {number(whole(row, column))})" for row in rows[:_NAMED])


def _districts(rows: Sequence[Row]) -> str:
    """The two districts with most of these communes; nothing where there are no districts."""
    counts: dict[str, int] = {}
    for row in rows:
        if row["district_name"]:
            name = in_sentence(str(row["district_name"]))
            counts[name] = counts.get(name, 0) + 1
    most = sorted(counts, key=lambda name: (-counts[name], alphabetical(name)))[:2]
    return listing([f"{name} ({number(counts[name])})" for name in most])

"""The five key figures of a recipient, with their change and what they are measured against."""

from __future__ import annotations

from ispeed.recipients import Peers, Recipient, total
from ispeed.workbook import sentences
from ispeed.workbook.content import Content, Row
from ispeed.workbook.marks import (
    CHANGE_MARKS,
    NO_EARLIER_MONTH,
    NO_HEADCOUNT,
    NO_TARGET,
    NOT_MEASURED,
    Mark,
    reason_marks,
)
from ispeed.workbook.page import Card
from ispeed.workbook.paragraph import count_change
from ispeed.workbook.style import COUNT, SHARE, SPEED
from ispeed.workbook.wording import number


def cards_of(content: Content, one: Recipient, peers: Peers) -> list[Card]:
    """Counts of an area's communes; of one commune or organisation also what is published of its speed."""
    if len(peers) < 2 or not one.n_measurements:
        place = "di động"
    else:
        place = f"thứ {number(peers.place(one))}/{number(len(peers))} về số lượt đo"
    change = count_change(one)
    shown = _not_compared(content) if change is None else change
    measured = Card("Lượt đo", one.n_measurements, COUNT, shown, COUNT, place)
    if one.body:
        return [measured, *_staff(one.body, peers, one), _speed(content, one.body), _codes(one, "do đơn vị giữ")]
    if one.own_row:
        lacks = _missing(content, one, f"đến {content.policy.assess_minimum} để đánh giá")
        return [measured, lacks, _speed(content, one.own_row), _target(content, one.own_row), _coded(one)]
    policy, n_short = content.policy, sum(sentences.whole(row, "n_missing_to_assess") > 0 for row in one.communes)
    return [
        measured,
        _reached(content, one, policy.publish_minimum, "mức đủ để công bố"),
        _reached(content, one, policy.assess_minimum, "mức đủ để đánh giá"),
        _missing(content, one, f"lượt đo, ở {number(n_short)} đơn vị"),
        _coded(one),
    ]


def _not_compared(content: Content) -> Mark:
    """Why a count stands beside none of the month before."""
    return CHANGE_MARKS["new_unit"] if any(content.previous_counts.values()) else NO_EARLIER_MONTH


def _reached(content: Content, one: Recipient, least: int, note: str) -> Card:
    """How many of its communes have so many measurements."""
    now, before = (
        sum(sentences.whole(row, "n_measurements") >= least for row in rows) for rows in (one.communes, one.before)
    )
    change = now - before if one.before else _not_compared(content)
    return Card(f"Xã đủ {least} lượt đo", now, f'{COUNT}"/{len(one.communes)}"', change, COUNT, note)


def _missing(content: Content, one: Recipient, note: str) -> Card:
    now, before = (total(rows, "n_missing_to_assess") for rows in (one.communes, one.before))
    change = now - before if one.before else _not_compared(content)
    return Card("Lượt đo còn thiếu", now, COUNT, change, COUNT, note)


def _coded(one: Recipient) -> Card:
    """What was measured with its codes, wherever that was."""
    return Card(
        "Lượt đo qua mã",
        total(one.codes, "n_measurements"),
        COUNT,
        f"bằng {number(len(one.codes))} mã giới thiệu",
        COUNT,
        "đo ở bất cứ nơi nào",
    )


def _codes(one: Recipient, whose: str) -> Card:
    idle = sum(not sentences.whole(row, "n_measurements") for row in one.codes)
    return Card("Mã giới thiệu", len(one.codes), COUNT, f"{number(idle)} mã chưa có lượt đo", COUNT, whose)


def _staff(row: Row, peers: Peers, one: Recipient) -> list[Card]:
    headcount, per_head, share = (row[name] for name in ("headcount", "n_measurements_per_head", "staff_share_at_most"))
    place = peers.place_per_head(one)
    of_peers = f"thứ {number(place[0])}/{number(place[1])}" if place and place[1] > 1 else "số người theo danh mục"
    people = f"trên {number(headcount)} người" if isinstance(headcount, int) else NO_HEADCOUNT
    devices = number(sentences.whole(row, "n_devices"))
    return [
        Card("Lượt đo mỗi người", NO_HEADCOUNT if per_head is None else per_head, SPEED, people, COUNT, of_peers),
        Card(
            "Người đo tối đa",
            NO_HEADCOUNT if share is None else share,
            SHARE,
            f"{devices} thiết bị",
            COUNT,
            "thiết bị chia cho số người",
        ),
    ]


def _speed(content: Content, row: Row) -> Card:
    """The median; it rose or fell only where the intervals of the two months do not overlap."""
    label, column = "Tải xuống trung vị", "download_mbps_median"
    if row[column] is None:
        return Card(label, _shown(content, row, column), SPEED, "chưa so sánh được", SPEED, "Mbps")
    change = row["download_mbps_median_change"]
    if change is None:
        change = CHANGE_MARKS.get(str(row["change_reason"]), NO_EARLIER_MONTH)
    elif row["change_sign"] not in ("up", "down"):
        change = "chưa rõ tăng, giảm"
    note = f"Mbps; {sentences.interval(row, 'download_mbps')}"
    return Card(label, row[column], SPEED, change, SPEED, note)


def _target(content: Content, row: Row) -> Card:
    targets = ", ".join(f"{name} ≥ {number(speed)}" for name, speed in content.policy.targets.items())
    share = _shown(content, row, "share_at_target", NO_TARGET)
    return Card("Mẫu đạt mục tiêu", share, SHARE, "mẫu 4G, 5G", COUNT, f"{targets} Mbps")


def _shown(content: Content, row: Row, column: str, blank: Mark = NOT_MEASURED) -> object:
    if row[column] is not None:
        return row[column]
    return reason_marks(content.policy).get(str(row["reason"]), blank)

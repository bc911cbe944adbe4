"""One paragraph on a recipient's month that can be pasted into a letter, written from its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from ispeed.recipients import Peers, Recipient, total
from ispeed.workbook import sentences
from ispeed.workbook.content import Content, Row
from ispeed.workbook.marks import reason_marks
from ispeed.workbook.wording import (
    KINDS,
    SAMPLE_MARK,
    alphabetical,
    day_text,
    kinds_of,
    listing,
    month_text,
    number,
    percent,
)

_NAMED: Final = 3
_KIND_WORDS: Final = (*KINDS, "huyện", "thành phố", "thị xã", "quận")
_PEERS: Final = {
    "district": "đơn vị cấp huyện",
    "commune_group": "nhóm xã",
    "commune": "đơn vị cấp xã",
}
_PEER_BODIES: Final = {
    "department": "sở, ban, ngành",
    "district": "Ủy ban nhân dân cấp huyện",
    "youth_union": "tổ chức Đoàn Thanh niên",
    "school": "trường",
}


def paragraph(content: Content, one: Recipient, peers: Peers) -> str:
    """What was measured, how far it reaches, what is missing where, its place and speed, what to do, the source."""
    parts = _of_body(content, one, peers) if one.body else _of_area(content, one, peers)
    source = f"(Nguồn: báo cáo i-Speed tháng {month_text(content.month)}, {content.edition}.)"
    mark = [f"[{SAMPLE_MARK}]"] if content.is_sample else []
    return " ".join([*mark, *parts, source])


def name_in_sentence(one: Recipient) -> str:
    """ "huyện Diên Khánh" for "Huyện Diên Khánh"; names that do not begin with a kind of unit stay as they are."""
    is_unit = one.kind in ("district", "commune") and one.name.casefold().startswith(
        tuple(f"{kind} " for kind in _KIND_WORDS)
    )
    return f"{one.name[0].lower()}{one.name[1:]}" if is_unit else one.name


def addressee(one: Recipient) -> str:
    """To whom a letter goes: the People's Committee of a unit, those of a group's communes, a body by its name."""
    if one.kind == "commune_group":
        return f"Ủy ban nhân dân các đơn vị cấp xã thuộc {one.name}"
    return f"Ủy ban nhân dân {name_in_sentence(one)}" if one.kind in ("district", "commune") else one.name


def peers_in_words(one: Recipient) -> str:
    """What its peers are called: "đơn vị cấp huyện", "trường"."""
    return _PEER_BODIES.get(one.organisation_kind, "cơ quan, đơn vị khác") if one.body else _PEERS[one.kind]


def place_in_words(one: Recipient, peers: Peers) -> str:
    """Its place by measurements, which are counts: "thứ 3 trong 9 trường, cùng hạng với 1 nơi khác"."""
    ties = peers.n_ties(one)
    tied = f", cùng hạng với {number(ties)} nơi khác" if ties else ""
    return f"thứ {number(peers.place(one))} trong {number(len(peers))} {peers_in_words(one)}{tied}"


def count_change(one: Recipient) -> int | None:
    """Measurements minus those of the month before as published; None where they cannot be compared."""
    return one.n_measurements - total(one.before, "n_measurements") if one.before else None


def _of_area(content: Content, one: Recipient, peers: Peers) -> Iterator[str]:
    policy, name = content.policy, name_in_sentence(one)
    start = f"Tháng {month_text(content.month)}, tại {name}"
    devices = number(total(one.communes, "n_devices"))
    if one.kind == "commune":
        of_devices = f"từ {devices} thiết bị"
    else:
        of_devices = f"từ {devices} thiết bị (cộng số của từng đơn vị cấp xã; thiết bị đo ở nhiều nơi tính ở mỗi nơi)"
    yield _measured(start, of_devices, content, one)
    if row := one.own_row:
        yield _reached(content, row)
    else:
        units = kinds_of(unit["kind"] for unit in one.communes)
        publishable, assessable = (
            sum(sentences.whole(unit, "n_measurements") >= least for unit in one.communes)
            for least in (policy.publish_minimum, policy.assess_minimum)
        )
        yield (
            f"Trong {number(len(one.communes))} {units}, {_how_many(publishable)} đủ {policy.publish_minimum} lượt đo "
            f"để công bố và {_how_many(assessable)} đủ {policy.assess_minimum} lượt đo để đánh giá."
        )
        yield _missing(content, one)
    yield _place(one, peers)
    if row := one.own_row:
        yield _speed(content, one, row, peers)
    else:
        yield ("Tốc độ được tính riêng cho từng đơn vị cấp xã, không gộp thành một số chung (trang Các xã của sổ này).")
    lacks = total(one.communes, "n_missing_to_assess")
    short = "ở những nơi còn thiếu, " if lacks and one.kind != "commune" else ""
    yield (
        f"Đề nghị {addressee(one)} {'vận động' if lacks else 'tiếp tục vận động'} cán bộ, công chức, viên chức và "
        f"người dân {short}mỗi người đo ít nhất một lần trong tháng và nhập đúng mã giới thiệu (trang Mã giới thiệu)."
    )


def _of_body(content: Content, one: Recipient, peers: Peers) -> Iterator[str]:
    row, first = one.body or {}, content.month.first_day
    ended = [
        (code, until) for code in one.codes if isinstance(until := code.get("holder_until"), date) and until < first
    ]
    valid = [code for code in one.codes if all(code is not other for other, _ in ended)]
    n_codes = len(valid)
    if not n_codes and not one.n_measurements:
        yield (
            f"Tháng {month_text(content.month)}, {one.name} không giữ mã giới thiệu nào còn hiệu lực, nên không có "
            "lượt đo nào được tính cho cơ quan, đơn vị."
        )
    else:
        start = f"Tháng {month_text(content.month)}, {number(n_codes)} mã giới thiệu do {one.name} giữ"
        yield _measured(start, f"từ {number(sentences.whole(row, 'n_devices'))} thiết bị", content, one)
    headcount, per_head, share = (row[name] for name in ("headcount", "n_measurements_per_head", "staff_share_at_most"))
    if isinstance(headcount, int) and isinstance(per_head, int | float) and isinstance(share, int | float):
        idle = max(0, headcount - sentences.whole(row, "n_devices"))
        # Who measured without the code does not show: no one can be told from here not to have measured.
        rest = f", tức còn ít nhất {number(idle)} người chưa đo hoặc đo mà không nhập mã" if idle else ""
        yield (
            f"Bình quân {number(per_head, 2)} lượt đo mỗi người trên {number(headcount)} người theo danh mục; nhiều "
            f"nhất {percent(share)} số người có thể đã đo bằng các mã này{rest}."
        )
    else:
        yield "Danh mục chưa có số người nên chưa tính được lượt đo mỗi người và tỷ lệ người đo."
    for code, until in ended:
        # They are not counted for it, and a fall in its count may be no more than this.
        n_lost = number(sentences.whole(code, "n_measurements"))
        yield (
            f"{n_lost} lượt đo mang mã {code['referral_code']} không được tính vì mã hết hiệu lực sau ngày "
            f"{day_text(until)}; đề nghị hướng dẫn nhập mã còn hiệu lực."
        )
    idle_codes = [str(code["referral_code"]) for code in valid if not sentences.whole(code, "n_measurements")]
    if idle_codes and len(idle_codes) < n_codes:
        yield f"Mã chưa có lượt đo nào: {_some(idle_codes, 'mã')}."
    yield _place(one, peers)
    yield _speed(content, one, row, peers)
    what = "đo ít nhất một lần trong tháng và nhập đúng mã giới thiệu (trang Mã giới thiệu)"
    if n_codes:
        yield f"Đề nghị {one.name} đôn đốc những người chưa đo cài ứng dụng i-Speed, {what}."
    else:
        yield f"Đề nghị {one.name} liên hệ {content.policy.contact} để được cấp mã giới thiệu."


def _measured(start: str, of_devices: str, content: Content, one: Recipient) -> str:
    count, change = one.n_measurements, count_change(one)
    before = f"tháng {month_text(content.month.previous)}"
    if change is None:
        turn = ""
    elif change == 0:
        turn = f", bằng {before}"
    else:
        turn = f", {'tăng' if change > 0 else 'giảm'} {number(abs(change))} lượt so với {before}"
    if not count:
        return f"{start} chưa có lượt đo di động nào bằng i-Speed được chấp nhận{turn}."
    return f"{start} có {number(count)} lượt đo di động bằng i-Speed được chấp nhận {of_devices}{turn}."


def _reached(content: Content, row: Row) -> str:
    policy = content.policy
    publish, assess = (sentences.whole(row, f"n_missing_to_{level}") for level in ("publish", "assess"))
    if not assess:
        return f"Đã đủ {policy.assess_minimum} lượt đo để đánh giá."
    if not publish:
        return (
            f"Đã đủ {policy.publish_minimum} lượt đo để công bố; còn thiếu {number(assess)} lượt để đủ "
            f"{policy.assess_minimum} lượt đo dùng cho đánh giá."
        )
    return (
        f"Còn thiếu {number(publish)} lượt để đủ {policy.publish_minimum} lượt đo dùng cho công bố và {number(assess)} "
        f"lượt để đủ {policy.assess_minimum} lượt đo dùng cho đánh giá."
    )


def _how_many(count: int) -> str:
    return f"{number(count)} đơn vị" if count else "chưa có đơn vị nào"


def _missing(content: Content, one: Recipient) -> str:
    """How many are missing in all, where most of them are, and who has none."""
    least = content.policy.assess_minimum
    short = most_missing(one)
    if not short:
        return f"Mọi đơn vị đã đủ {least} lượt đo."
    missing = number(sum(sentences.whole(row, "n_missing_to_assess") for row in short))
    begun = [row for row in short if sentences.whole(row, "n_measurements")]
    empty = [row for row in short if not sentences.whole(row, "n_measurements")]
    text = f"{number(len(short))} đơn vị còn thiếu tổng cộng {missing} lượt để đủ {least} lượt đo"
    if empty:
        text += f"; chưa có lượt đo nào: {_some([sentences.commune(row) for row in empty])}"
    if begun:
        lacks = [
            f"{sentences.commune(row)} (thiếu {number(sentences.whole(row, 'n_missing_to_assess'))})" for row in begun
        ]
        text += f"; đã đo nhưng còn thiếu: {_some(lacks)}"
    return f"{text}."


def most_missing(one: Recipient) -> list[Row]:
    """Its communes that miss measurements to be assessed, those that miss most first."""
    short = [row for row in one.communes if sentences.whole(row, "n_missing_to_assess")]
    return sorted(
        short, key=lambda row: (-sentences.whole(row, "n_missing_to_assess"), alphabetical(row["commune_name"]))
    )


def _place(one: Recipient, peers: Peers) -> str:
    if len(peers) < 2:
        return "Không có đơn vị cùng loại nào khác để so sánh."
    if not one.n_measurements:
        return f"Đã có lượt đo ở {number(peers.n_measured)} trong {number(len(peers))} {peers_in_words(one)}."
    text = f"Về số lượt đo, đứng {place_in_words(one, peers)}"
    if place := peers.place_per_head(one):
        text += f"; về lượt đo mỗi người, đứng thứ {number(place[0])} trong {number(place[1])}"
    return f"{text}."


def _speed(content: Content, one: Recipient, row: Row, peers: Peers) -> str:
    """The median with its interval and its change; intervals that overlap are no rank."""
    median = row["download_mbps_median"]
    if not isinstance(median, int | float):
        mark = reason_marks(content.policy).get(str(row["reason"]))
        return f"Chưa công bố tốc độ: {mark.meaning if mark else 'không có số liệu'}."
    interval = sentences.interval(row, "download_mbps")
    text = f"Tốc độ tải xuống trung vị {number(median, 2)} Mbps (khoảng tin cậy {interval})"
    change = row["download_mbps_median_change"]
    if isinstance(change, int | float):
        turn = {"up": "tăng", "down": "giảm"}.get(str(row["change_sign"]))
        text += (
            f", {turn} {number(abs(change), 2)} Mbps so với tháng trước"
            if turn
            else ", chưa rõ tăng hay giảm so với tháng trước"
        )
    if beside := peers.intervals_beside(one):
        overlap, above, below = beside
        text += f"; so với {number(sum(beside))} {peers_in_words(one)} khác có khoảng tin cậy: "
        text += ", ".join(
            part
            for count, part in (
                (above, f"{number(above)} nơi cao hơn hẳn"),
                (below, f"{number(below)} nơi thấp hơn hẳn"),
                (overlap, f"{number(overlap)} nơi chưa đủ căn cứ nói hơn kém vì hai khoảng chồng lên nhau"),
            )
            if count
        )
    return f"{text}."


def _some(names: Sequence[str], more: str = "đơn vị") -> str:
    """The first few of the names, and how many others there are."""
    rest = len(names) - _NAMED
    return listing(names) if rest <= 0 else f"{', '.join(names[:_NAMED])} và {number(rest)} {more} khác"

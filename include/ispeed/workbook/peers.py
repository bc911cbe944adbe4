"""So với đơn vị khác: a recipient among its peers, by how much they measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from xlsxwriter.worksheet import Worksheet

from ispeed.recipients import Peers, Recipient, total
from ispeed.workbook import sentences
from ispeed.workbook.content import Content
from ispeed.workbook.fields import heading_of
from ispeed.workbook.marks import NO_HEADCOUNT, figure, status
from ispeed.workbook.paragraph import peers_in_words
from ispeed.workbook.style import Styles
from ispeed.workbook.table_sheet import Field, Heading, Kind, lay_table_sheet
from ispeed.workbook.wording import month_text, number

# Of more peers than these, those with most measurements and those beside the recipient stand in the table: every one
# of hundreds in each of hundreds of workbooks would grow with the square.
_MOST_PEERS: Final = 100
_MOST_FIRST: Final = 50
_MOST_BESIDE: Final = 25


@dataclass(frozen=True)
class Peer:
    """A line of *So với đơn vị khác*: who, at which place, and whether that is the recipient."""

    one: Recipient
    place: int
    is_own: bool


def lay_peers(sheet: Worksheet, styles: Styles, content: Content, one: Recipient, peers: Peers) -> None:
    """Its peers, those with most measurements first; its own line is told by a word and in bold."""
    own = peers.index(one)
    beside = range(own - _MOST_BESIDE, own + _MOST_BESIDE + 1)
    lines = [
        Peer(other, peers.place(other), other.key == one.key)
        for index, other in enumerate(peers.ranked)
        if len(peers) <= _MOST_PEERS or index < _MOST_FIRST or index in beside
    ]
    heading = Heading(
        "so_voi_don_vi_khac",
        f"{one.name.upper()} SO VỚI ĐƠN VỊ CÙNG LOẠI THÁNG {month_text(content.month)}",
        _about(one, peers, len(lines)),
    )
    fields = [
        Field("Hạng theo lượt đo", 58, "count", lambda peer: peer.place),
        Field("Đơn vị", 250 if one.body else 190, "text", lambda peer: peer.one.name),
        Field("Đơn vị nhận sổ", 92, "centre", lambda peer: "Đơn vị này" if peer.is_own else "đơn vị khác"),
        *(_area_fields(content) if one.own_row is None else _row_fields(content, one)),
    ]
    lay_table_sheet(sheet, styles, content, heading, fields, lines, frozen_columns=3, is_bold=lambda peer: peer.is_own)


def _about(one: Recipient, peers: Peers, n_shown: int) -> str:
    if len(peers) < 2:
        return "Không có đơn vị cùng loại nào khác trong tháng để so sánh; bảng chỉ có 1 dòng của chính đơn vị này."
    text = f"Bảng gồm {number(n_shown)} {peers_in_words(one)}"
    if n_shown < len(peers):
        text += f" trong {number(len(peers))}, là những nơi đứng đầu và những nơi liền trên, liền dưới đơn vị này"
    text += (
        ", xếp theo số lượt đo di động; bằng nhau thì cùng hạng. Dòng của đơn vị này in đậm và ghi “Đơn vị này” ở cột "
        "Đơn vị nhận sổ."
    )
    if one.own_row is None:
        return text
    return f"{text} Tốc độ không xếp hạng ở đây: hai khoảng tin cậy chồng lên nhau thì chưa đủ căn cứ nói hơn kém."


def _area_fields(content: Content) -> list[Field[Peer]]:
    """Counts of districts and groups: speeds are not pooled over communes."""
    policy = content.policy

    def reached(peer: Peer, least: int) -> int:
        return sum(sentences.whole(row, "n_measurements") >= least for row in peer.one.communes)

    table = "report_province_month"
    return [
        Field(heading_of(table, "n_communes"), 92, "count", lambda peer: len(peer.one.communes)),
        Field("Lượt đo", 72, "count", lambda peer: peer.one.n_measurements),
        Field(
            heading_of(table, "n_communes_publishable"), 92, "count", lambda peer: reached(peer, policy.publish_minimum)
        ),
        Field(
            heading_of(table, "n_communes_assessable"), 92, "count", lambda peer: reached(peer, policy.assess_minimum)
        ),
        Field(
            f"Tỷ lệ đơn vị đủ {policy.assess_minimum} lượt đo",
            92,
            "share",
            lambda peer: reached(peer, policy.assess_minimum) / len(peer.one.communes),
        ),
        Field(
            f"Lượt đo còn thiếu đến {policy.assess_minimum}",
            92,
            "count",
            lambda peer: total(peer.one.communes, "n_missing_to_assess"),
        ),
    ]


def _row_fields(content: Content, one: Recipient) -> list[Field[Peer]]:
    """Figures of communes or organisations, each its own report row; what is blank there is blank here."""
    table = "report_organisation_month" if one.body else "report_commune_month"

    def shown(column: str, width: int, kind: Kind) -> Field[Peer]:
        return Field(heading_of(table, column), width, kind, lambda peer: figure(peer.one.own_row or {}, column))

    def of_staff(column: str, width: int, kind: Kind) -> Field[Peer]:
        def value(peer: Peer) -> object:
            found = (peer.one.body or {}).get(column)
            return NO_HEADCOUNT if found is None else found

        return Field(heading_of(table, column), width, kind, value)

    if one.body:
        of_kind = [of_staff("headcount", 58, "count"), of_staff("n_measurements_per_head", 66, "speed")]
    else:
        of_kind = [shown("n_missing_to_assess", 62, "count")]
    return [
        shown("n_measurements", 58, "count"),
        shown("n_devices", 58, "count"),
        *of_kind,
        shown("download_mbps_median", 70, "speed"),
        shown("download_mbps_ci_low", 70, "speed"),
        shown("download_mbps_ci_high", 70, "speed"),
        Field("Trạng thái", 110, "centre", lambda peer: status(peer.one.own_row or {}, content.policy)),
    ]

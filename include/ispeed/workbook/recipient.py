"""The workbook of one recipient: its figures, a paragraph for a letter, its communes, codes and place.

What is the same for all recipients of a kind is made once, in `Shared`; a workbook then costs what its cells cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from ispeed.recipients import Peers, Recipient, peers_of
from ispeed.workbook.appendices import commune_fields, holder
from ispeed.workbook.book import finished, open_book
from ispeed.workbook.changes import summary
from ispeed.workbook.charts import Block, count_chart, insert_chart
from ispeed.workbook.content import Content, Row
from ispeed.workbook.fields import figure_fields, heading_of, report_field
from ispeed.workbook.letterhead import lay_letterhead
from ispeed.workbook.marks import key_of
from ispeed.workbook.method import lay_notes, short_notes
from ispeed.workbook.page import COLUMN_PX, LAST, WIDTH, Page, lay_block, lay_cards, lay_links
from ispeed.workbook.paragraph import addressee, most_missing, paragraph
from ispeed.workbook.peers import lay_peers
from ispeed.workbook.recipient_cards import cards_of
from ispeed.workbook.style import GREY, LINE, Styles, lay_paper
from ispeed.workbook.table_sheet import Heading, Kind, lay_table_sheet
from ispeed.workbook.wording import day_text, kinds_of, month_text, number

_OVERVIEW: Final = "Tổng quan"
_COMMUNES: Final = "Các xã"
_CODES: Final = "Mã giới thiệu"
_PEERS: Final = "So với đơn vị khác"
_METHOD: Final = "Phương pháp"
# More bars than these have no room on the first page.
_MOST_BARS: Final = 12


class Shared:
    """What the workbooks of a month have in common."""

    def __init__(self, content: Content, recipients: Iterable[Recipient]) -> None:
        self.content = content
        self.peers = peers_of(recipients)
        self.notes = short_notes(content, _own_notes(content))

    def peers_with(self, one: Recipient) -> Peers:
        """Those that are compared with each other, this one among them."""
        return self.peers[one.kind, one.organisation_kind]


def recipient_workbook(shared: Shared, one: Recipient) -> bytes:
    """The recipient's workbook; the same bytes from the same content."""
    content, peers = shared.content, shared.peers_with(one)
    has_communes = one.kind in ("district", "commune_group")
    names = [_OVERVIEW, *([_COMMUNES] if has_communes else []), _CODES, _PEERS, _METHOD]
    memory = BytesIO()
    book = open_book(memory, content, f"gửi {one.name}")
    sheets = {name: book.add_worksheet(name) for name in names}
    styles = Styles(book)
    about = {
        _COMMUNES: f"{number(len(one.communes))} đơn vị cấp xã",
        _CODES: f"{number(len(one.codes))} mã",
        _PEERS: f"{number(len(peers))} đơn vị",
        _METHOD: "định nghĩa, ký hiệu",
    }
    _lay_overview(book, sheets[_OVERVIEW], styles, content, one, peers, [(name, about[name]) for name in names[1:]])
    if has_communes:
        _lay_communes(sheets[_COMMUNES], styles, content, one)
    _lay_codes(sheets[_CODES], styles, content, one)
    lay_peers(sheets[_PEERS], styles, content, one, peers)
    lay_notes(sheets[_METHOD], styles, content, "PHƯƠNG PHÁP, CHÚ GIẢI VÀ LIÊN HỆ", shared.notes)
    sheets[_OVERVIEW].activate()
    book.close()
    return finished(memory.getvalue(), content)


def _lay_overview(
    book: Workbook,
    sheet: Worksheet,
    styles: Styles,
    content: Content,
    one: Recipient,
    peers: Peers,
    details: Sequence[tuple[str, str]],
) -> None:
    """The first page; the figures of its chart stand on a second one."""
    sheet.set_column_pixels(0, LAST, COLUMN_PX)
    page = Page(sheet, styles)
    titles = ("KẾT QUẢ ĐO CHẤT LƯỢNG BĂNG RỘNG DI ĐỘNG BẰNG i-SPEED", f"THÁNG {month_text(content.month)}")
    lay_letterhead(page, content, titles)
    page.line(f"Kính gửi: {addressee(one)}", size=13, bold=True, align="center")
    page.gap(8)
    lay_cards(page, cards_of(content, one, peers))
    since = f"▲ tăng, ▼ giảm so với số liệu tháng {month_text(content.month.previous)} như đã phát hành"
    page.line(since if one.before else "", size=9, italic=True, align="right", font_color=GREY)
    page.section("Đoạn văn có thể chép vào công văn")
    page.line(paragraph(content, one, peers), size=12, align="justify", valign="top")
    page.gap(6)
    drawn, chart_row = _drawn(content, one, peers), page.row
    if drawn:
        page.gap(60 + 22 * len(drawn.lines))
    lay_links(page, "Các trang của sổ này", details)
    policy = content.policy
    page.line(
        f"Trích từ báo cáo của {policy.province_name} tháng {month_text(content.month)}, {content.edition}. Kỳ tiếp "
        f"theo: {day_text(policy.next_release)}. Liên hệ: {policy.contact}. {policy.licence.rstrip('.')}.",
        size=10,
        top=1,
        top_color=LINE,
        valign="top",
    )
    key_row, page.row = page.row, page.row + 1
    if drawn:
        sheet.set_h_pagebreaks([page.row])
        kinds: tuple[Kind, Kind] = ("text", "count")
        first, starts = lay_block(page, "Số liệu của biểu đồ", drawn.headings, drawn.lines, kinds, 19, 6)
        block = Block(first, first + len(drawn.lines) - 1, 0, (starts[1],), drawn.headings[1:])
        chart = count_chart(book, block, drawn.title)
        alt = f"Biểu đồ thanh: {drawn.title}. Số liệu ở trang Tổng quan, mục Số liệu của biểu đồ."
        insert_chart(sheet, chart_row, 0, chart, (WIDTH - 2, 56 + 22 * len(drawn.lines)), alt)
    after, page.row = page.row, key_row
    page.line(key_of(page.marks), size=10, italic=True, font_color=GREY)
    lay_paper(sheet, content, landscape=False)
    sheet.print_area(0, 0, max(after, page.row) - 1, LAST)
    sheet.set_print_scale(91)


@dataclass(frozen=True)
class _Drawn:
    """What a recipient's chart draws: a name and a count each line."""

    title: str
    headings: tuple[str, str]
    lines: list[list[object]]


def _drawn(content: Content, one: Recipient, peers: Peers) -> _Drawn | None:
    """Its communes by what they miss (by what they have, where none misses any), else its peers, else its codes."""
    if one.kind in ("district", "commune_group"):
        least, short = content.policy.assess_minimum, most_missing(one)
        if short:
            lines = [[_unit(row), row["n_missing_to_assess"]] for row in short[:_MOST_BARS]]
            most = f": {len(lines)} nơi thiếu nhiều nhất" if len(short) > len(lines) else ""
            return _Drawn(
                f"Số lượt đo còn thiếu để đủ {least} lượt đo{most}",
                ("Đơn vị cấp xã", heading_of("report_commune_month", "n_missing_to_assess")),
                lines,
            )
        lines = [[_unit(row), row["n_measurements"]] for row in one.communes[:_MOST_BARS]]
        return _Drawn("Số lượt đo di động của từng đơn vị cấp xã", ("Đơn vị cấp xã", "Lượt đo"), lines)
    if len(peers) > 1:
        first = max(0, min(peers.index(one) - _MOST_BARS // 2, len(peers) - _MOST_BARS))
        beside = peers.ranked[first : first + _MOST_BARS]
        which = f"{len(beside)} nơi có số lượt đo gần nhất" if len(beside) < len(peers) else "mọi đơn vị cùng loại"
        return _Drawn(
            f"Số lượt đo di động, {which}",
            ("Đơn vị", "Lượt đo"),
            [[f"► {other.name}" if other.key == one.key else other.name, other.n_measurements] for other in beside],
        )
    if len(one.codes) > 1:
        lines = [[row["referral_code"], row["n_measurements"]] for row in one.codes[:_MOST_BARS]]
        return _Drawn("Số lượt đo di động theo mã giới thiệu", ("Mã giới thiệu", "Lượt đo"), lines)
    return None


def _unit(row: Row) -> str:
    return f"{row['kind'] or ''} {row['commune_name']}".strip()


def _lay_communes(sheet: Worksheet, styles: Styles, content: Content, one: Recipient) -> None:
    table, rows = "report_commune_month", list(one.communes)
    kinds = kinds_of(row["kind"] for row in rows)
    heading = Heading(
        "cac_xa",
        f"SỐ LIỆU ĐO TẠI CÁC {kinds.upper()} CỦA {one.name.upper()} THÁNG {month_text(content.month)}",
        f"Bảng gồm {number(len(rows))} {kinds}, mạng di động, gộp 2G đến 5G và mọi nhà mạng. Số liệu như ở Phụ lục I "
        "của báo cáo tỉnh.",
    )
    fields = [*commune_fields(rows)[:3], *figure_fields(table, content.policy)]
    lay_table_sheet(sheet, styles, content, heading, fields, rows, frozen_columns=3)


def _lay_codes(sheet: Worksheet, styles: Styles, content: Content, one: Recipient) -> None:
    table = "report_referral_code_month"
    of_whom = {
        "district": "các đơn vị cấp xã và Ủy ban nhân dân của địa bàn giữ",
        "commune_group": "các đơn vị cấp xã của nhóm giữ",
        "commune": "đơn vị giữ",
        "organisation": "cơ quan, đơn vị giữ",
    }[one.kind]
    heading = Heading(
        "ma_gioi_thieu",
        f"MÃ GIỚI THIỆU CỦA {one.name.upper()} THÁNG {month_text(content.month)}",
        f"Bảng gồm {number(len(one.codes))} mã giới thiệu do {of_whom}, còn hiệu lực trong tháng hoặc gặp trong "
        "số liệu. Mã cho biết đơn vị nào vận động đo, không nhất thiết là nơi đo. Mạng di động.",
    )
    fields = [
        report_field(table, "referral_code", 134, "code"),
        report_field(table, "holder_name", 188, "text", holder),
        *figure_fields(table, content.policy, without=("n_missing_to_assess", "download_mbps_mean")),
    ]
    lay_table_sheet(sheet, styles, content, heading, fields, list(one.codes), frozen_columns=2)


def _own_notes(content: Content) -> list[tuple[str, str, str]]:
    group = "Sổ đơn vị"
    return [
        (
            group,
            "Lượt đo",
            "Một lần đo bằng ứng dụng i-Speed đã qua kiểm tra và được chấp nhận; trang Chất lượng dữ liệu của báo cáo "
            "tỉnh nêu những dòng bị loại và lý do.",
        ),
        (
            group,
            "Số của một địa bàn",
            "Huyện, nhóm xã: lượt đo, số đơn vị đủ mức và lượt đo còn thiếu là tổng của các đơn vị cấp xã. Tốc độ "
            "không cộng, không lấy bình quân từ các xã nên không nêu cho cả địa bàn. Số thiết bị cộng từng xã: "
            "thiết bị đo ở nhiều xã được tính ở mỗi xã.",
        ),
        (
            group,
            "Hạng theo lượt đo",
            "Một cộng số đơn vị cùng loại có nhiều lượt đo hơn; bằng nhau thì cùng hạng. Hạng chỉ nói số lượt đo nhiều "
            "hay ít, không nói mạng nhanh hay chậm.",
        ),
        (
            group,
            "Nơi cao hơn hẳn, thấp hơn hẳn",
            "Khoảng tin cậy 95% của trung vị tải xuống nằm hẳn phía trên hoặc hẳn phía dưới khoảng của đơn vị này. Hai "
            "khoảng chồng lên nhau thì không xếp hơn kém.",
        ),
        (
            group,
            "Mã chuyển giao trong tháng",
            "Mã được chuyển cho đơn vị khác trong tháng đứng ở sổ của đơn vị giữ mã cuối cùng, có ghi số lượt đo trước "
            "khi chuyển giao.",
        ),
        (
            group,
            "So với tháng trước",
            "So với số liệu tháng trước như đã phát hành; không so khi đơn vị mới lập, đổi địa giới hoặc tháng trước "
            "chưa phát hành.",
        ),
        (
            group,
            "Bản phát hành",
            f"{summary(content)} Số liệu trích nguyên từ báo cáo tỉnh cùng bản; từng ô thay đổi nêu ở trang Thay đổi "
            "của báo cáo đó.",
        ),
    ]

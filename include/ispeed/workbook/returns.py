"""The consolidated return of a month, for the Ministry: what the bodies reported, added up, and who did not report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from ispeed.months import local_time
from ispeed.workbook.book import finished, open_book
from ispeed.workbook.content import Content, Row
from ispeed.workbook.fields import report_field, return_fields, state_of
from ispeed.workbook.letterhead import lay_letterhead
from ispeed.workbook.marks import NO_HEADCOUNT, NOT_APPLICABLE, NOT_RETURNED, key_of
from ispeed.workbook.method import lay_notes, short_notes
from ispeed.workbook.page import COLUMN_PX, LAST, Card, Page, lay_block, lay_cards, lay_links
from ispeed.workbook.style import COUNT, GREY, LINE, SHARE, Styles, lay_paper
from ispeed.workbook.table_sheet import FIRST_SHEET, Field, Heading, lay_table_sheet
from ispeed.workbook.wording import (
    ORGANISATION_KINDS,
    OUTCOME_STATES,
    RETURN_STATES,
    alphabetical,
    day_text,
    month_text,
    number,
    percent,
)

TABLE: Final = "report_return_month"
_BODIES, _LATE, _FILES, _METHOD = "Theo cơ quan", "Gửi muộn, chưa gửi", "Tệp nhận được", "Phương pháp"
_NUMBERS: Final = ("headcount", "n_installed", "n_measured")


def write_consolidated(content: Content, path: Path) -> None:
    """Write the consolidated return to `path`; nothing where no return came in."""
    rows = sorted(content.rows(TABLE), key=_order)
    if not rows:
        return
    late = [row for row in rows if row["state"] != "returned"]
    files: Sequence[Mapping[str, Any]] = content.told.get("returns", ())
    memory = BytesIO()
    book = open_book(memory, content, "tổng hợp phiếu báo cáo")
    sheets = {name: book.add_worksheet(name) for name in (FIRST_SHEET, _BODIES, _LATE, _FILES, _METHOD)}
    styles = Styles(book)
    about = {
        _BODIES: f"{number(len(rows))} cơ quan, đơn vị",
        _LATE: f"{number(len(late))} nơi",
        _FILES: f"{number(len(files))} tệp, trang",
        _METHOD: "định nghĩa, ký hiệu",
    }
    _lay_cover(book, sheets[FIRST_SHEET], styles, content, rows, list(about.items()))
    _lay_bodies(sheets[_BODIES], styles, content, rows)
    _lay_late(sheets[_LATE], styles, content, late)
    _lay_files(sheets[_FILES], styles, content, files)
    notes = short_notes(content, _own_notes())
    lay_notes(sheets[_METHOD], styles, content, "PHƯƠNG PHÁP, CHÚ GIẢI VÀ LIÊN HỆ", notes)
    sheets[FIRST_SHEET].activate()
    book.close()
    path.write_bytes(finished(memory.getvalue(), content))


def sum_of(rows: Sequence[Row], name: str) -> int:
    """The sum of a count over the bodies that returned."""
    return sum(value for row in rows if isinstance(value := row[name], int))


def _share(rows: Sequence[Row], name: str) -> float | None:
    staff = sum_of(rows, "headcount")
    return sum_of(rows, name) / staff if staff else None


def _order(row: Row) -> tuple[int, tuple[list[int], str], str]:
    kinds = list(ORGANISATION_KINDS)
    return (
        kinds.index(str(row["organisation_kind"])),
        alphabetical(row["organisation_name"]),
        str(row["organisation_code"]),
    )


def _lay_cover(
    book: Workbook,
    sheet: Worksheet,
    styles: Styles,
    content: Content,
    rows: Sequence[Row],
    details: Sequence[tuple[str, str]],
) -> None:
    sheet.set_column_pixels(0, LAST, COLUMN_PX)
    page = Page(sheet, styles)
    titles = (
        "TỔNG HỢP BÁO CÁO CÀI ĐẶT VÀ SỬ DỤNG ỨNG DỤNG i-SPEED",
        f"CỦA CÁC CƠ QUAN, ĐƠN VỊ THÁNG {month_text(content.month)}",
    )
    lay_letterhead(page, content, titles)
    n_late, n_missing = (sum(row["state"] == state for row in rows) for state in ("late", "missing"))
    n_returned = len(rows) - n_missing
    lay_cards(
        page,
        [
            _card("Cơ quan, đơn vị đã gửi", n_returned, COUNT, f"trên {number(len(rows))} được yêu cầu"),
            _card("Gửi muộn", n_late, COUNT, f"chưa gửi: {number(n_missing)}"),
            _card("Tổng số người", sum_of(rows, "headcount"), COUNT, "của cơ quan đã gửi"),
            *(
                _card(label, none if share is None else share, SHARE, f"{number(sum_of(rows, name))} người")
                for label, name in (("Đã cài đặt", "n_installed"), ("Đã đo trong tháng", "n_measured"))
                for share, none in ((_share(rows, name), NOT_RETURNED),)
            ),
        ],
    )
    page.gap(8)
    page.line(_sentence(content, rows), size=12, align="justify", valign="top")
    page.gap(6)
    kinds = [kind for kind in ORGANISATION_KINDS if any(row["organisation_kind"] == kind for row in rows)]
    of_kind = [[row for row in rows if row["organisation_kind"] == kind] for kind in kinds]
    lines = [_line(ORGANISATION_KINDS[kind], some) for kind, some in zip(kinds, of_kind, strict=True)]
    lay_block(
        page,
        "Theo loại cơ quan, đơn vị",
        (
            *("Loại", "Được yêu cầu", "Đã gửi", "Gửi muộn", "Chưa gửi"),
            *("Tổng số người", "Đã cài đặt", "Tỷ lệ cài đặt", "Đã đo", "Tỷ lệ đo"),
        ),
        [*lines, _line("Cộng", rows)],
        ("text", "count", "count", "count", "count", "count", "count", "share", "count", "share"),
        7,
        2,
        total=True,
    )
    lay_links(page, "Các trang của sổ này", details)
    policy = content.policy
    page.line(
        f"{policy.province_name}, tháng {month_text(content.month)}, {content.edition}. Số người do cơ quan, đơn vị tự "
        f"báo cáo. Kỳ tiếp theo: {day_text(policy.next_release)}. Liên hệ: {policy.contact}. "
        f"{policy.licence.rstrip('.')}.",
        size=10,
        top=1,
        top_color=LINE,
        valign="top",
    )
    page.line(key_of(page.marks), size=10, italic=True, font_color=GREY)
    lay_paper(sheet, content, landscape=False)
    sheet.print_area(0, 0, page.row - 1, LAST)
    sheet.set_print_scale(91)


def _card(label: str, value: object, form: str, note: str) -> Card:
    return Card(label, value, form, "", "General", note)


def _line(label: str, rows: Sequence[Row]) -> list[object]:
    counts = {state: sum(row["state"] == state for row in rows) for state in RETURN_STATES}
    shares = {name: _share(rows, name) for name in ("n_installed", "n_measured")}
    return [
        label,
        len(rows),
        counts["returned"] + counts["late"],
        counts["late"],
        counts["missing"],
        sum_of(rows, "headcount"),
        sum_of(rows, "n_installed"),
        NOT_RETURNED if shares["n_installed"] is None else shares["n_installed"],
        sum_of(rows, "n_measured"),
        NOT_RETURNED if shares["n_measured"] is None else shares["n_measured"],
    ]


def _sentence(content: Content, rows: Sequence[Row]) -> str:
    """The paragraph for the letter to the Ministry."""
    returned = [row for row in rows if row["state"] != "missing"]
    installed, measured = _share(rows, "n_installed"), _share(rows, "n_measured")
    told = (
        f"Tháng {month_text(content.month)}, {number(len(returned))} trên {number(len(rows))} cơ quan, đơn vị được yêu "
        f"cầu đã gửi báo cáo, với tổng số {number(sum_of(rows, 'headcount'))} cán bộ, công chức, viên chức, người lao "
        "động"
    )
    if installed is None or measured is None:
        return f"{told}."
    return (
        f"{told}; {number(sum_of(rows, 'n_installed'))} người đã cài đặt ứng dụng i-Speed ({percent(installed)}), "
        f"{number(sum_of(rows, 'n_measured'))} người đã đo ít nhất một lần trong tháng ({percent(measured)})."
    )


def _lay_bodies(sheet: Worksheet, styles: Styles, content: Content, rows: Sequence[Row]) -> None:
    heading = Heading(
        "theo_co_quan",
        f"BÁO CÁO CỦA TỪNG CƠ QUAN, ĐƠN VỊ THÁNG {month_text(content.month)}",
        f"Bảng gồm {number(len(rows))} cơ quan, đơn vị được yêu cầu báo cáo; bên cạnh là lượt đo di động và thiết bị "
        "theo các mã giới thiệu mà cơ quan, đơn vị giữ.",
    )
    fields = [
        *_body_fields(),
        report_field(TABLE, "state", 82, "centre", state_of),
        *return_fields(),
        report_field(TABLE, "registry_headcount", 64, "count", _known_headcount),
        report_field(TABLE, "n_measurements", 60, "count"),
        report_field(TABLE, "n_devices", 60, "count"),
    ]
    lay_table_sheet(sheet, styles, content, heading, fields, rows, frozen_columns=3)


def _lay_late(sheet: Worksheet, styles: Styles, content: Content, rows: Sequence[Row]) -> None:
    heading = Heading(
        "gui_muon_chua_gui",
        f"CƠ QUAN, ĐƠN VỊ GỬI MUỘN HOẶC CHƯA GỬI BÁO CÁO THÁNG {month_text(content.month)}",
        f"Bảng gồm {number(len(rows))} cơ quan, đơn vị.",
    )
    fields = [
        *_body_fields(),
        report_field(TABLE, "state", 120, "centre", state_of),
        Field[Row]("Gửi lúc (giờ Việt Nam)", 150, "centre", _sent_at),
    ]
    lay_table_sheet(sheet, styles, content, heading, fields, rows, landscape=False)


def _lay_files(sheet: Worksheet, styles: Styles, content: Content, files: Sequence[Mapping[str, Any]]) -> None:
    heading = Heading(
        "tep_nhan_duoc",
        f"TỪNG TỆP BÁO CÁO ĐÃ NHẬN VÀ KẾT QUẢ ĐỌC, THÁNG {month_text(content.month)}",
        f"Bảng gồm {number(len(files))} dòng, mỗi dòng một tệp hoặc một trang có biểu mẫu.",
    )
    fields: list[Field[Mapping[str, Any]]] = [
        Field("Tệp", 220, "text", lambda file: file["file"]),
        Field("Trang", 110, "text", lambda file: file["sheet"] or NOT_APPLICABLE),
        Field("Mã cơ quan", 100, "code", lambda file: file["code"] or NOT_APPLICABLE),
        Field("Kết quả", 100, "centre", lambda file: OUTCOME_STATES[file["state"]]),
        Field("Chi tiết", 460, "small", lambda file: file["message"]),
    ]
    lay_table_sheet(sheet, styles, content, heading, fields, files)


def _body_fields() -> list[Field[Row]]:
    return [
        report_field(TABLE, "organisation_code", 90, "code"),
        report_field(TABLE, "organisation_name", 230, "text"),
        report_field(
            TABLE, "organisation_kind", 110, "centre", lambda row: ORGANISATION_KINDS[str(row["organisation_kind"])]
        ),
    ]


def _known_headcount(row: Row) -> object:
    return NO_HEADCOUNT if row["registry_headcount"] is None else row["registry_headcount"]


def _sent_at(row: Row) -> object:
    moment = row["submitted_at"]
    return f"{local_time(moment):%d/%m/%Y %H:%M}" if isinstance(moment, datetime) else NOT_RETURNED


def _own_notes() -> list[tuple[str, str, str]]:
    group = "Phiếu báo cáo"
    return [
        (
            group,
            "Số người, đã cài đặt, đã đo",
            "Do cơ quan, đơn vị tự báo cáo theo biểu mẫu của tháng: tổng số cán bộ, công chức, viên chức, người lao "
            "động; số người đã cài đặt ứng dụng; số người đã đo ít nhất một lần trong tháng.",
        ),
        (
            group,
            "Phiếu được tính",
            "Mỗi cơ quan, đơn vị tính một phiếu: phiếu gửi sau cùng trong các phiếu hợp lệ. Phiếu gửi trước và phiếu "
            "không hợp lệ được giữ lại, nêu ở trang Tệp nhận được cùng lý do.",
        ),
        (
            group,
            "Tỷ lệ",
            "Số người đã cài đặt, đã đo chia cho tổng số người; tỷ lệ chung tính trên các cơ quan, đơn vị đã gửi báo "
            "cáo, không suy ra cho nơi chưa gửi.",
        ),
        (
            group,
            "Gửi muộn",
            "Gửi từ ngày đến hạn trở đi (giờ Việt Nam); công văn yêu cầu gửi trước ngày đó. Phiếu gửi muộn vẫn tính.",
        ),
        (
            group,
            "Lượt đo, thiết bị theo mã",
            "Số đo được ghi nhận với mã giới thiệu mà cơ quan, đơn vị giữ. Ít thiết bị hơn số người báo đã đo: có "
            "người đo mà không nhập mã, hoặc báo cáo chưa khớp; cần đối chiếu trước khi kết luận.",
        ),
    ]

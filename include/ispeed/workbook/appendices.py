"""Phụ lục I (communes), Phụ lục II (referral codes) and the organisations, all on mobile networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from xlsxwriter.utility import xl_cell_to_rowcol, xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.content import Content, Row
from ispeed.workbook.fields import figure_fields, heading_of, mix_field, report_field, return_fields, state_of
from ispeed.workbook.marks import NO_HEADCOUNT, NO_TEXT, NOT_ASKED, NOT_IN_REGISTRY, text_or
from ispeed.workbook.style import Styles
from ispeed.workbook.table_sheet import (
    FIRST_SHEET,
    GROUP_BEGINS,
    Field,
    Groups,
    Heading,
    Link,
    lay_table_sheet,
    write_cell,
)
from ispeed.workbook.wording import HOLDER_KINDS, ORGANISATION_KINDS, alphabetical, kinds_of, month_text, number, roman

DISTRICT_NUMBER: Final = "TT cấp huyện"
# STT and the district's number stand before it.
_DISTRICT_COLUMN: Final = 2
_ELSEWHERE = (
    "Mạng di động: gộp 2G đến 5G và mọi nhà mạng, cơ cấu công nghệ ghi ở từng dòng. Cơ cấu nhà mạng, số liệu theo từng "
    "công nghệ, mạng cố định và đầy đủ các phân vị ở thư mục csv kèm theo."
)


@dataclass(frozen=True)
class Whereabouts:
    """Where Phụ lục I has each commune, by its code, and where each district begins, by its code."""

    communes: Mapping[str, Link]
    districts: Mapping[str, Link]


def lay_appendix_one(sheet: Worksheet, styles: Styles, content: Content) -> Whereabouts:
    """Phụ lục I: every commune of the month by district and name, as the letter lists them.

    The letter's rows "I. Thành phố Nha Trang" would break the table (a filter or a sum would meet them): the district's
    number and name are columns instead, a thick line and a shade say where one begins. Its totals stand on Tổng quan.
    """
    table = "report_commune_month"
    rows = sorted(content.rows(table, "mobile"), key=commune_order)
    kinds = kinds_of(row["kind"] for row in rows)
    heading = Heading(
        "phu_luc_i",
        f"SỐ LIỆU THỐNG KÊ TẠI {kinds.upper()} THỰC HIỆN ĐO BĂNG RỘNG DI ĐỘNG THÁNG {month_text(content.month)}",
        f"Bảng gồm {number(len(rows))} {kinds} của {content.policy.province_name} "
        f"theo danh mục ngày cuối tháng. {_ELSEWHERE}",
        label="Phụ lục I",
        subtitle=goes_with(content),
    )
    fields = [*_by_district(rows), *figure_fields(table, content.policy), mix_field(table)]
    groups: Groups[Row] | None = None
    if any(row["district_name"] for row in rows):
        districts = (DISTRICT_NUMBER, heading_of(table, "district_name"))
        groups = Groups(_district, districts, "Nét đậm và ô tô nền: bắt đầu một đơn vị cấp huyện.")
    frozen = [field.heading for field in fields].index(heading_of(table, "commune_name")) + 2
    bars = {heading_of(table, "n_measurements"): content.policy.assess_minimum} if rows else None
    placed = lay_table_sheet(
        sheet, styles, content, heading, fields, rows, frozen_columns=frozen, groups=groups, bars=bars
    )
    name = sheet.get_name()
    numbered = [(row, xl_rowcol_to_cell(line, 0)) for line, row in enumerate(rows, start=placed.first_row)]
    districts_at: dict[str, Link] = {}
    for row, cell in numbered:
        districts_at.setdefault(_district(row), Link(str(row["district_name"] or ""), name, cell))
    return Whereabouts(
        {str(row["commune_code"]): Link(str(row["commune_name"]), name, cell) for row, cell in numbered},
        districts_at if groups else {},
    )


def lead_back(sheet: Worksheet, styles: Styles, where: Whereabouts, rows: Mapping[str, int]) -> None:
    """In Phụ lục I, where a district begins, its name leads to the row of Tổng quan that sums it up."""
    for code, link in where.districts.items():
        if code in rows and link.text:
            row, _ = xl_cell_to_rowcol(link.cell)
            back = Link(link.text, FIRST_SHEET, xl_rowcol_to_cell(rows[code], 0))
            write_cell(sheet, styles, row, _DISTRICT_COLUMN, back, "text", underline=1, **GROUP_BEGINS)


def _by_district(rows: list[Row]) -> list[Field[Row]]:
    """A commune's columns with its district, numbered in the registry's order, before it."""
    fields = commune_fields(rows)
    if len(fields) == 3:
        return fields
    codes = list(dict.fromkeys(_district(row) for row in rows))
    numbers = {code: roman(place) for place, code in enumerate(codes, start=1)}
    return [
        Field(DISTRICT_NUMBER, 48, "centre", lambda row: numbers[_district(row)]),
        replace(fields[3], width=168),
        *fields[:3],
    ]


def _district(row: Row) -> str:
    return str(row["district_code"] or "")


def lay_appendix_two(sheet: Worksheet, styles: Styles, content: Content) -> None:
    """Phụ lục II: every referral code of the month by its holder; codes outside the registry last."""
    table = "report_referral_code_month"
    rows = sorted(
        content.rows(table, "mobile"),
        key=lambda row: (
            not row["holder_kind"],
            str(row["holder_kind"] or ""),
            alphabetical(row["holder_name"]),
            str(row["referral_code"]),
        ),
    )
    heading = Heading(
        "phu_luc_ii",
        f"DANH SÁCH MÃ GIỚI THIỆU VÀ SỐ LIỆU ĐO BĂNG RỘNG DI ĐỘNG THEO MÃ THÁNG {month_text(content.month)}",
        f"Bảng gồm {number(len(rows))} mã giới thiệu còn hiệu lực trong tháng hoặc gặp trong số liệu. {_ELSEWHERE}",
        label="Phụ lục II",
        subtitle=goes_with(content),
    )
    fields = [
        report_field(table, "referral_code", 148, "code"),
        report_field(table, "holder_name", 188, "text", holder),
        report_field(
            table,
            "holder_kind",
            112,
            "centre",
            lambda row: HOLDER_KINDS.get(str(row["holder_kind"])) or text_or(row["holder_kind"], NOT_IN_REGISTRY),
        ),
        *figure_fields(table, content.policy, without=("n_missing_to_assess",)),
        mix_field(table),
    ]
    lay_table_sheet(sheet, styles, content, heading, fields, rows, frozen_columns=2)


def lay_organisations(sheet: Worksheet, styles: Styles, content: Content) -> None:
    """Cơ quan đơn vị: every organisation of the month by kind and name, with measurements a head."""
    table = "report_organisation_month"
    kinds = list(ORGANISATION_KINDS)
    rows = sorted(
        content.rows(table, "mobile"),
        key=lambda row: (
            kinds.index(str(row["organisation_kind"])) if row["organisation_kind"] in kinds else len(kinds),
            alphabetical(row["organisation_name"]),
        ),
    )
    reported = _reported_fields(content)
    heading = Heading(
        "co_quan_don_vi",
        f"KẾT QUẢ ĐO BĂNG RỘNG DI ĐỘNG CỦA CÁC CƠ QUAN, ĐƠN VỊ THÁNG {month_text(content.month)}",
        f"Bảng gồm {number(len(rows))} cơ quan, đơn vị; số liệu tính theo các mã giới thiệu mà cơ quan, đơn vị giữ. "
        f"{_ELSEWHERE}",
    )
    fields = [
        report_field(table, "organisation_code", 98, "code"),
        report_field(table, "organisation_name", 214, "text"),
        report_field(
            table,
            "organisation_kind",
            120,
            "centre",
            lambda row: ORGANISATION_KINDS.get(str(row["organisation_kind"])) or text_or(row["organisation_kind"]),
        ),
        report_field(table, "headcount", 56, "count", lambda row: _known(row, "headcount")),
        *reported,
        report_field(table, "n_measurements_per_head", 66, "speed", lambda row: _known(row, "n_measurements_per_head")),
        report_field(table, "staff_share_at_most", 66, "share", lambda row: _known(row, "staff_share_at_most")),
        *figure_fields(table, content.policy, without=("n_missing_to_assess", "download_mbps_mean")),
        # A page has room for one of them; the mix stands in the csv files.
        *([] if reported else [mix_field(table)]),
    ]
    lay_table_sheet(sheet, styles, content, heading, fields, rows, frozen_columns=3)


def _reported_fields(content: Content) -> list[Field[Row]]:
    """What each organisation reported itself, in months in which returns came in."""
    returns = {row["organisation_code"]: row for row in content.rows("report_return_month")}
    if not returns:
        return []

    def beside(field: Field[Row]) -> Field[Row]:
        def value(row: Row) -> object:
            found = returns.get(row["organisation_code"])
            return NOT_ASKED if found is None else field.value(found)

        return replace(field, value=value)

    state = report_field("report_return_month", "state", 62, "centre", state_of)
    return [beside(field) for field in (state, *return_fields())]


def commune_order(row: Row) -> tuple[str, tuple[list[int], str], str]:
    """Districts by code as the registry lists them, then names by the alphabet."""
    return str(row["district_code"] or ""), alphabetical(row["commune_name"]), str(row["commune_code"])


def commune_fields(rows: list[Row], table: str = "report_commune_month") -> list[Field[Row]]:
    """Code, name, kind and, where there are districts, district."""
    fields = [
        report_field(table, "commune_code", 58, "code"),
        report_field(table, "commune_name", 136, "text"),
        report_field(table, "kind", 68, "centre", lambda row: text_or(row["kind"])),
    ]
    if any(row["district_name"] for row in rows):
        fields.append(
            report_field(table, "district_name", 154, "text", lambda row: text_or(row["district_name"], NO_TEXT))
        )
    return fields


def goes_with(content: Content) -> str:
    """The line under an appendix's title; room for a number by hand where the letter is not known."""
    return f"(Kèm theo {content.policy.reference or 'Công văn số            /            ngày      /      /        '})"


def holder(row: Row) -> object:
    """Who holds a code; where it was handed on within the month, since when and from whom; where it ended, when."""
    since, until = row["holder_since"], row.get("holder_until")
    if not row["holder_name"]:
        return NOT_IN_REGISTRY
    told = []
    if isinstance(since, date):
        before = number(int(str(row["n_measurements_earlier"])))
        told.append(f"từ {since:%d/%m/%Y}; trước đó: {row['earlier_holder_name']}, {before} lượt đo")
    if isinstance(until, date):
        told.append(f"mã hết hiệu lực sau ngày {until:%d/%m/%Y}")
    return f"{row['holder_name']} ({'; '.join(told)})" if told else str(row["holder_name"])


def _known(row: Row, column: str) -> object:
    return NO_HEADCOUNT if row[column] is None else row[column]

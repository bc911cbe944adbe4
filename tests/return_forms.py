"""Forms as people fill them in, save them and send them: how each was made, and what must become of it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from openpyxl import Workbook, load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from ispeed.returns.form import SHEET

# The column of the three numbers in the form as it is sent, and their first row in October's.
COLUMN, FIRST = "Q", 14
Numbers = tuple[object, object, object]


def filled(form: bytes, numbers: Numbers) -> Workbook:
    """The form with the three numbers typed in."""
    book = load_workbook(io.BytesIO(form))
    for cell, value in zip(number_cells(book[SHEET]), numbers, strict=True):
        cell.value = value
    return book


def number_cells(sheet: Worksheet) -> list[Any]:
    """The cells that the form leaves open in the column of numbers."""
    return [cell for cell in sheet[COLUMN] if cell.protection.locked is False][:3]


def saved(book: Workbook) -> bytes:
    memory = io.BytesIO()
    book.save(memory)
    return memory.getvalue()


def as_typed(*numbers: object) -> Callable[[bytes], bytes]:
    def make(form: bytes) -> bytes:
        return saved(filled(form, numbers))  # type: ignore[arg-type]

    return make


def changed(change: Callable[[Workbook], Any], *numbers: object) -> Callable[[bytes], bytes]:
    """The form, filled in, and then changed by whoever had it open."""

    def make(form: bytes) -> bytes:
        book = filled(form, numbers)  # type: ignore[arg-type]
        change(book)
        return saved(book)

    return make


def unmerged(book: Workbook) -> None:
    sheet = book[SHEET]
    sheet.protection.disable()
    for area in list(sheet.merged_cells.ranges):
        sheet.unmerge_cells(str(area))


def without_code(book: Workbook) -> None:
    for row in book[SHEET].iter_rows():
        for cell in row:
            if isinstance(cell.value, str) and "ISPEED-PHIEU" in cell.value:
                cell.value = None


def copied_into_another(book: Workbook) -> None:
    """The sheet by copy and paste into a workbook of somebody's own, three rows down and two columns right."""
    other = book.create_sheet("Phong A", 0)
    other.append(["Họ tên", "Số người đã cài"])
    other.append(["Tổng", 17])
    target = book.create_sheet("Gửi Sở")
    copy_cells(book[SHEET], target, 3, 2)
    del book[SHEET]


def copy_cells(source: Worksheet, target: Worksheet, down: int, right: int) -> None:
    for row in source.iter_rows():
        for cell in row:
            if cell.value is not None:
                target.cell(cell.row + down, cell.column + right, cell.value)
    for area in source.merged_cells.ranges:
        target.merge_cells(
            start_row=area.min_row + down,
            start_column=area.min_col + right,
            end_row=area.max_row + down,
            end_column=area.max_col + right,
        )


def typed(place: str, value: object) -> Callable[[Workbook], None]:
    """Something typed into a cell that is not for it."""

    def change(book: Workbook) -> None:
        book[SHEET][place] = value

    return change


def of_version_7(book: Workbook) -> None:
    for cell in book[SHEET]["A"]:
        if isinstance(cell.value, str):
            cell.value = cell.value.replace("PHIEU/1/", "PHIEU/7/")


def with_hidden_older_copy(book: Workbook) -> None:
    hidden = book.create_sheet("cu")
    copy_cells(book[SHEET], hidden, 0, 0)
    hidden[f"{COLUMN}{FIRST + 2}"] = 1
    hidden.sheet_state = "hidden"


def merged_rows(book: Workbook) -> None:
    """Each line of the table spread over two rows, number and all."""
    sheet = book[SHEET]
    values = [[sheet.cell(row, column).value for column in (1, 3, 17)] for row in range(FIRST, FIRST + 3)]
    unmerged(book)
    sheet.delete_rows(FIRST, sheet.max_row)
    for place, line in enumerate(values):
        for column, last, value in ((1, 2, line[0]), (3, 16, line[1]), (17, 20, line[2])):
            row = FIRST + 2 * place
            sheet.cell(row, column, value)
            sheet.merge_cells(start_row=row, end_row=row + 1, start_column=column, end_column=last)


def text_file(delimiter: str, encoding: str, *numbers: object) -> Callable[[bytes], bytes]:
    """Saved as text by a spreadsheet: every cell in its column, shares as their formulas came out."""

    def make(form: bytes) -> bytes:
        sheet = filled(form, numbers)[SHEET]  # type: ignore[arg-type]
        lines = []
        for row in sheet.iter_rows(values_only=True):
            texts = ["" if value is None or str(value).startswith("=") else str(value) for value in row]
            lines.append(delimiter.join(f'"{text}"' if delimiter in text or "\n" in text else text for text in texts))
        return "\r\n".join(lines).encode(encoding)

    return make


def macro_workbook(*numbers: object) -> Callable[[bytes], bytes]:
    def make(form: bytes) -> bytes:
        return edited(
            as_typed(*numbers)(form),
            "[Content_Types].xml",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
            "application/vnd.ms-excel.sheet.macroEnabled.main+xml",
        )

    return make


def edited(book: bytes, part: str, old: str, new: str) -> bytes:
    """A workbook with a text of one of its parts replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == part:
                assert old.encode() in content
                content = content.replace(old.encode(), new.encode())
            target.writestr(name, content)
    return out.getvalue()


def office(suffix: str, *numbers: object) -> Callable[[bytes], bytes]:
    """Opened and saved by LibreOffice, in another format or the same."""

    def make(form: bytes) -> bytes:
        program = shutil.which("soffice")
        assert program is not None
        # Text as LibreOffice is asked for it: comma, quotation mark, UTF-8.
        kind = f"{suffix}:Text - txt - csv (StarCalc):44,34,76" if suffix == "csv" else suffix
        folder = Path(os.environ["PYTEST_SCRATCH"]) / f"office-{suffix}"
        (folder / "out").mkdir(parents=True, exist_ok=True)
        (folder / "phieu.xlsx").write_bytes(as_typed(*numbers)(form))
        subprocess.run(
            [
                program,
                f"-env:UserInstallation=file://{folder}/profile",
                *("--headless", "--convert-to", kind, "--outdir", str(folder / "out"), str(folder / "phieu.xlsx")),
            ],
            check=True,
            capture_output=True,
            timeout=180,
        )
        return (folder / "out" / f"phieu.{suffix}").read_bytes()

    return make


def packed(**members: str | bytes) -> Callable[[bytes], bytes]:
    def make(form: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
        return out.getvalue()

    return make


def bomb(form: bytes) -> bytes:
    """A sheet of a few kilobytes that unpacks to 30 MB of empty cells."""
    book = as_typed(10, 5, 5)(form)
    return edited(book, "xl/worksheets/sheet1.xml", "</sheetData>", "<row>" + "<c/>" * 6_000_000 + "</row></sheetData>")


def entities(form: bytes) -> bytes:
    book = as_typed(10, 5, 5)(form)
    declared = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><worksheet '
    return edited(book, "xl/worksheets/sheet1.xml", "<worksheet ", declared)


def raw(content: bytes) -> Callable[[bytes], bytes]:
    return lambda form: content


@dataclass(frozen=True)
class Sent:
    """A file as it was sent: by whom (whose form), its name, how it was made; what must be told of it.

    `counts` are the numbers that must count for the body. `month` is that of the form.
    """

    body: str
    name: str
    make: Callable[[bytes], bytes]
    told: str
    counts: tuple[int, int, int] | None = None
    at: datetime = datetime.fromisoformat("2024-11-08T09:00:00+07:00")
    month: str = "2024-10"
    office: bool = False


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
SHARE_TYPED = "tỷ lệ (“80%”) thay cho số người"
LATER = datetime.fromisoformat("2024-11-09T23:59:59+07:00")
LATE = datetime.fromisoformat("2024-11-10T00:00:00+07:00")

GOOD: Final = (
    Sent("SO-NV", "Bản sao của phiếu (1) FINAL.xlsx", as_typed(50, 40, 30), "50/40/30 người", (50, 40, 30)),
    Sent("SO-TP", "so-tp.xlsx", office("xlsx", 204, 150, 100), "204/150/100", (204, 150, 100), office=True),
    Sent("SO-KHDT", "so khdt.ods", office("ods", 183, 100, 90), "183/100/90", (183, 100, 90), office=True),
    Sent("SO-TC", "so-tc.csv", office("csv", 196, 180, 170), "196/180/170", (196, 180, 170), office=True),
    Sent("SO-CT", "SO_CT.xlsm", macro_workbook(169, 100, 80), "169/100/80", (169, 100, 80)),
    Sent("SO-NNPTNT", "Tong hop.xlsx", changed(copied_into_another, 63, 60, 50), "63/60/50", (63, 60, 50)),
    Sent("SO-GTVT", "gtvt.xlsx", as_typed("38 người", " 30 ", "25 NGƯỜI."), "38/30/25", (38, 30, 25)),
    Sent("SO-XD", "xd.xlsx", as_typed("1.234", "1 100", "1,000"), "khác xa danh mục (208 người)", (1234, 1100, 1000)),
    Sent("SO-TNMT", "không khóa.xlsx", changed(unmerged, 237, 200, 150), "237/200/150", (237, 200, 150)),
    Sent("SO-TTTT", "tttt.xlsx", changed(with_hidden_older_copy, 124, 124, 124), "124/124/124", (124, 124, 124)),
    Sent("SO-LDTBXH", "mất mã.xlsx", changed(without_code, 175, 10, 9), "175/10/9", (175, 10, 9)),
    Sent("SO-VHTT", "a.xlsx", as_typed(82, 20, 10), "không tính vì có phiếu gửi sau: vhtt/b.xlsx"),
    Sent("SO-VHTT", "vhtt/b.xlsx", as_typed(82.0, 30.0, 20.0), "82/30/20", (82, 30, 20), LATER),
    Sent("SO-DL", "gộp dòng.xlsx", changed(merged_rows, 209, 8, 7), "209/8/7", (209, 8, 7)),
    Sent("SO-KHCN", "khcn.csv", text_file(";", "utf-8-sig", "112", "45,00", "40"), "112/45/40", (112, 45, 40)),
    Sent("SO-GDDT", "gddt.txt", text_file("\t", "utf-16", 137, 100, 99), "137/100/99", (137, 100, 99)),
    Sent("SO-YT", "bằng không.xlsx", as_typed(128, 0, 0), "128/0/0", (128, 0, 0)),
    Sent("SO-NGV", "trễ.xlsx", as_typed(148, 140, 130), "148/140/130", (148, 140, 130), LATE),
    Sent("22366", "số rộng.xlsx", as_typed("\uff14\uff15", "\u00a030\u00a0", "'20"), "45/30/20", (45, 30, 20)),
)  # fmt: skip

BAD: Final = (
    Sent("THANHTRA", "trống.xlsx", as_typed(None, None, None), "phiếu trống"),
    Sent("THANHTRA", "tỷ lệ.xlsx", as_typed(210, "80%", 10), f"ô Q15: số người đã cài đặt: {SHARE_TYPED}"),
    Sent("THANHTRA", "phần mười.xlsx", as_typed(210, 0.8, 0.5), "ô Q15: số người đã cài đặt: tỷ lệ (80%)"),
    Sent("THANHTRA", "đo nhiều.xlsx", as_typed(210, 100, 120), "ô Q16: số người đã đo 120 lớn hơn số người đã cài đặt"),
    Sent("THANHTRA", "quá 100.xlsx", as_typed(200, 210, 10), "210 lớn hơn tổng số người 200 (105,0%)"),
    Sent("THANHTRA", "tháng 9.xlsx", as_typed(210, 10, 10), "phiếu của tháng 2024-09; cần: phiếu", month="2024-09"),
    Sent("KHONG-CO", "lạ.xlsx", as_typed(1, 1, 1), "mã cơ quan “KHONG-CO” không thuộc danh sách"),
    Sent("THANHTRA", "mật khẩu.xlsx", raw(OLE + "EncryptedPackage".encode("utf-16-le")), "tệp có mật khẩu"),
    Sent("THANHTRA", "cũ.xls", raw(OLE), "đời cũ (.xls, .doc)"),
    Sent("THANHTRA", "IMG_0001.jpg", raw(b"\xff\xd8\xff\xe0" + b"\0" * 99), "ảnh chụp"),
    Sent("THANHTRA", "ảnh đổi tên.xlsx", raw(b"\x89PNG\r\n" + b"\0" * 99), "ảnh chụp"),
    Sent("THANHTRA", "phiếu ký.pdf", raw(b"%PDF-1.7\n"), "tệp PDF"),
    Sent("THANHTRA", "báo cáo.docx", packed(word__document_dot_xml="<x/>"), "văn bản Word"),
    Sent("THANHTRA", "bom.xlsx", bomb, "vượt giới hạn an toàn"),
    Sent("THANHTRA", "thực thể.xlsx", entities, "khai báo kiểu tài liệu (DOCTYPE)"),
    Sent("THANHTRA", "nửa tệp.xlsx", lambda form: as_typed(1, 1, 1)(form)[:4000], "tệp hỏng"),
    Sent("THANHTRA", "rỗng.xlsx", raw(b""), "tệp rỗng"),
    Sent("THANHTRA", "nén.zip", packed(a_dot_xlsx=b"PK"), "tệp nén; "),
    Sent("THANHTRA", "ghi chú.xlsx", as_typed(210, "12 người, 3 nữ", 10), "ô Q15: số người đã cài đặt: “12 người, 3"),
    Sent("THANHTRA", "lẻ.xlsx", as_typed(210, 45.5, 10), "45,5, không phải số nguyên"),
    Sent("THANHTRA", "chữ lẻ.xlsx", as_typed(210, "45,5", 10), "“45,5”, không phải số nguyên"),
    Sent("THANHTRA", "công thức.xlsx", as_typed(210, "=30+15", 10), "công thức chưa được tính"),
    Sent("THANHTRA", "thiếu.xlsx", as_typed(210, 45, None), "số người đã đo: ô trống"),
    Sent("THANHTRA", "ngày.xlsx", as_typed(210, datetime(2024, 12, 1), 1), "ngày tháng hoặc giờ"),
    Sent("THANHTRA", "âm.xlsx", as_typed(210, -5, 1), "-5, nhỏ hơn 0"),
    Sent("THANHTRA", "không người.xlsx", as_typed(0, 0, 0), "tổng số người bằng 0"),
    Sent("THANHTRA", "mất dòng.xlsx", changed(lambda book: book[SHEET].delete_rows(15), 210, 5, 1), "mất dòng này"),
    Sent("THANHTRA", "cột khác.xlsx", changed(typed("AB15", 44), 210, None, 4), "số 44 nằm ngoài cột “Số lượng”"),
    Sent("THANHTRA", "chỉ tỷ lệ.xlsx", changed(typed("U15", 0.8), 210, None, 4), "chỉ có tỷ lệ (0.8)"),
    Sent("THANHTRA", "phiên bản.xlsx", changed(of_version_7, 1, 1, 1), "biểu mẫu phiên bản 7"),
    Sent("THANHTRA", "danh sách.xlsx", lambda form: saved(Workbook()), "không thấy biểu mẫu"),
    Sent("THANHTRA", "trang.xls", raw(b"<html><table><tr><td>1</td></tr></table></html>"), "trang web"),
)  # fmt: skip
IGNORED: Final = ("~$so-nv.xlsx", ".DS_Store", "Thumbs.db")

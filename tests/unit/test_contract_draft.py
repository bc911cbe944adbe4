"""What is seen of an unknown export, and what is told to be unsure: small files in, a contract out."""

from __future__ import annotations

import gzip
import io
import json
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import xlsxwriter

from ispeed.contract_draft import ContractDraft, draft_contract
from ispeed.contract_preview import preview_contract
from ispeed.contracts import COLUMNS, Contract, read_contract
from ispeed.errors import UserError
from ispeed.legacy_codecs import register
from ispeed.months import Month
from ispeed.sample import make_exports
from pipeline import settings_in

Draft = Callable[..., tuple[ContractDraft, Contract]]
REAL = Path(__file__).parents[2] / ".." / "shared" / "real_exports"
ROW = "15/10/2024 08:00:00;4G;33,5\n"
HEAD = "Thời gian đo;Loại mạng;Download (Mbps)\n"


def real(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (REAL / name).exists(), reason=f"../shared/real_exports/{name} is not here")


@pytest.fixture
def draft(tmp_path: Path, registry_tables: Path) -> Draft:
    """Draft a contract for a file of this content; the contract must be one that can be read."""

    def drafted(content: str | bytes, name: str = "export.csv") -> tuple[ContractDraft, Contract]:
        file = tmp_path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        found = draft_contract(file, registry_tables)
        contract = tmp_path / "drafted.yaml"
        contract.write_text(found.text, encoding="utf-8")
        return found, read_contract(contract)

    return drafted


def doubt(found: ContractDraft, *parts: str) -> str:
    """The one doubt that says all these parts."""
    (said,) = [line for line in found.doubts if all(part in line for part in parts)]
    return said


def table(header: str, *rows: str) -> str:
    return "\n".join((header, *rows)) + "\n"


@pytest.mark.parametrize(
    ("number", "delimiter", "decimal", "form"),
    [(1, ",", ".", "%d/%m/%Y %H:%M:%S"), (2, ";", ",", "%Y-%m-%d %H:%M:%S")],
)
def test_our_own_exports_are_drafted_as_their_contract_reads_them(
    tmp_path: Path, registry_tables: Path, number: int, delimiter: str, decimal: str, form: str
) -> None:
    settings = settings_in(tmp_path)
    make_exports(settings, [Month(2024, 10)], n_rows=2_000)
    (file,) = settings.exports_of(Month(2024, 10)).glob(f"*_{number}.csv*")
    found = draft_contract(file, registry_tables)
    source = tmp_path / "drafted.yaml"
    source.write_text(found.text, encoding="utf-8")
    contract, known = read_contract(source), read_contract(settings.source)
    shape = contract.shape_of(file.name)
    assert (shape.encoding, shape.delimiter, shape.decimal, shape.thousands) == ("utf-8", delimiter, decimal, "")
    assert shape.timestamp_formats[0] == form
    for column, headers in contract.headers.items():
        assert set(headers) <= set(known.headers[column])
    assert {"measured_at", "technology", "download_mbps", "commune_code"} <= set(contract.headers)
    assert not contract.ignored


HEADERS = [
    ("thoi_gian_do", "measured_at"),
    ("THỜI ĐIỂM", "measured_at"),
    ("Loai mang", "technology"),
    ("networkType", "technology"),
    ("Tốc độ tải xuống (Mbps)", "download_mbps"),
    ("DL speed", "download_mbps"),
    ("Ten xa/phuong", "commune_name"),
]


@pytest.mark.parametrize(("header", "column"), HEADERS)
def test_headers_mean_what_they_are_like(draft: Draft, header: str, column: str) -> None:
    values = {
        "measured_at": "15/10/2024 08:00:00",
        "technology": "4G",
        "download_mbps": "33.5",
        "commune_name": "Lộc Thọ",
    }
    _, contract = draft(table(f"x,{header}", f"a,{values[column]}", f"b,{values[column]}"))
    assert {name for name, headers in contract.headers.items() if header in [*map(text_of, headers)]} == {column}


def text_of(header: object) -> str:
    return str(getattr(header, "text", header))


def test_a_name_that_is_only_alike_is_told(draft: Draft) -> None:
    found, _ = draft(table("time,user_isp_id,speed_dl", "2024-10-15 08:00:00,Viettel,33.5"))
    assert doubt(found, "'user_isp_id' is taken for operator")
    assert doubt(found, "no column is technology")


def test_a_figure_is_made_of_numbers_whatever_its_header(draft: Draft) -> None:
    _, contract = draft(
        table("time,Download,throughput", "2024-10-15 08:00:00,done,33.5", "2024-10-16 08:00:00,done,3.5")
    )
    assert [text_of(header) for header in contract.headers["download_mbps"]] == ["throughput"]


@pytest.mark.parametrize(
    ("times", "formats", "told"),
    [
        (["15/10/2024 08:00:00", "01/02/2024 09:00:00"], ("%d/%m/%Y %H:%M:%S",), None),
        (["10/15/2024 08:00:00", "01/02/2024 09:00:00"], ("%m/%d/%Y %H:%M:%S",), None),
        (["05/10/2024 08:00", "01/02/2024 09:00"], ("%d/%m/%Y %H:%M",), "%m/%d/%Y %H:%M would fit the same 2 values"),
        (["2024-10-15"] * 3, ("%Y-%m-%d",), "a day without a time"),
        (["2024-10-15T08:00:00Z"], ("%Y-%m-%dT%H:%M:%SZ",), "the times end in Z"),
        (
            ["15/10/2024 08:00:00"] * 3 + ["2024-10-15 08:00:00"],
            ("%d/%m/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S"),
            "in 2 ways",
        ),
        (["15/10/2024 08:00:00"] * 3 + ["soon"], ("%d/%m/%Y %H:%M:%S",), "1 of 4 values fit none"),
        (["1728950400"] * 2, ("%d/%m/%Y %H:%M:%S",), "seconds since 1970"),
        (["45580.333"] * 2, ("%d/%m/%Y %H:%M:%S",), "a day as Excel counts it"),
        (["1/10/2024 8:00", "15/9/2024 18:05"], ("%-d/%-m/%Y %-H:%M",), None),
        (["1/10/2024 8:00"] * 2, ("%-d/%-m/%Y %-H:%M",), "%-m/%-d/%Y %-H:%M would fit the same 2 values"),
        (["15.10.2024 08:00"], ("%d.%m.%Y %H:%M",), None),
        (["15/10/2024"], ("%d/%m/%Y",), "a day without a time"),
        (
            ["2024-10-15T08:00:00+07:00"],
            ("%Y-%m-%dT%H:%M:%S+07:00",),
            "Asia/Ho_Chi_Minh is taken: the times end in +07",
        ),
        (["2024-10-15T08:00:00+09:00"], ("%Y-%m-%dT%H:%M:%S+09:00",), "Etc/GMT-9 is taken: the times end in +09"),
        (["soon"] * 2, ("%d/%m/%Y %H:%M:%S",), "stands for it"),
    ],
)
def test_times(draft: Draft, times: list[str], formats: tuple[str, ...], told: str | None) -> None:
    found, contract = draft(HEAD + "".join(f"{time};4G;33,5\n" for time in times))
    assert contract.shapes[0].timestamp_formats == formats
    if told:
        assert doubt(found, told)
    else:
        assert not [line for line in found.doubts if "%" in line and "Thời gian" in line]


@pytest.mark.parametrize(
    ("numbers", "marks", "told"),
    [
        (["33.5", "1000"], (".", ""), None),
        (["33,5", "1000"], (",", ""), None),
        (["1.234,5", "33,5"], (",", "."), None),
        (["1,234.5", "33.5"], (".", ","), None),
        (["1.234", "5.678"], (".", ""), "by which 1.234 would be 1234"),
        (["33.5", "33,5", "4.5"], (".", ""), "1 numbers do not fit"),
    ],
)
def test_decimal_and_thousands_marks(
    draft: Draft, numbers: list[str], marks: tuple[str, str], told: str | None
) -> None:
    found, contract = draft(HEAD + "".join(f"15/10/2024 08:00:00;4G;{number}\n" for number in numbers))
    assert (contract.shapes[0].decimal, contract.shapes[0].thousands) == marks
    if told:
        assert doubt(found, told)
    else:
        assert not [line for line in found.doubts if line.startswith("decimal") or "numbers do not fit" in line]


def as_cp1258(text: str) -> bytes:
    """Vietnamese as Windows writes it: letters with hat or horn, then the tone by itself."""
    out = b""
    for letter in unicodedata.normalize("NFC", text):
        try:
            out += letter.encode("cp1258")
        except UnicodeEncodeError:
            parts = unicodedata.normalize("NFD", letter)
            tones = "".join(part for part in parts if part in "\u0300\u0301\u0303\u0309\u0323")
            base = unicodedata.normalize("NFC", "".join(part for part in parts if part not in tones))
            out += (base + tones).encode("cp1258")
    return out


register()
TEXT = (
    HEAD.replace("\n", ";Xã/Phường\n")
    + "15/10/2024 08:00:00;4G;33,5;Phường Vĩnh Hoà\n15/10/2024 09:00:00;5G;3,5;Xã Đắc Lộc\n"
)
ROWS = TEXT.partition("\n")[2].encode()


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (TEXT.encode("utf-8-sig"), "utf-8"),
        (unicodedata.normalize("NFD", TEXT).encode(), "utf-8"),
        (TEXT.encode("utf-16"), "utf-16"),
        (TEXT.encode("utf-16-le"), "utf-16-le"),
        (as_cp1258(TEXT), "cp1258"),
        (TEXT.encode("tcvn3"), "tcvn3"),
        (TEXT.encode("vni"), "vni"),
        (TEXT.encode() + ROWS * 20 + b"15/10/2024 09:00:00;5G;3,5;X\xc3\n", "utf-8"),
    ],
)
def test_encodings(draft: Draft, content: bytes, encoding: str) -> None:
    _, contract = draft(content)
    assert contract.shapes[0].encoding == encoding
    assert set(contract.headers) == {"measured_at", "technology", "download_mbps", "commune_name"}


@pytest.mark.parametrize("encoding", ["tcvn3", "vni"])
def test_an_old_encoding_is_never_taken_without_a_word(draft: Draft, encoding: str) -> None:
    found, _ = draft(TEXT.encode(encoding))
    assert doubt(found, f"encoding {encoding} is taken")


def test_bytes_of_an_encoding_that_nobody_knows_here_are_told(draft: Draft) -> None:
    """Words in VISCII, for which there is no codec here."""
    viscii = (
        b"Ph\xdf\xb6ng V\xeenh Ho\xe0",
        b"X\xe3 \xd0\xa1c L\xb5c",
        b"Th\xb8 tr\xa4n Di\xean Kh\xe1nh",
        b"S\xb7n T\xe2n",
    )
    rows = [b"2024-10-15 08:00:00,4G,33.5," + word for word in viscii]
    found, _ = draft(b"time,tech,dl,ward\n" + b"\n".join(rows))
    assert doubt(found, "encoding", "it may be another")


def test_bytes_that_are_of_no_encoding_are_told(draft: Draft) -> None:
    found, _ = draft(TEXT.encode() + ROWS * 20 + b"15/10/2024 09:00:00;5G;3,5;X\xc3\n")
    assert doubt(found, "1 bytes are not utf-8", "line 44")


def test_columns_that_say_nothing_and_marks_for_nothing_are_told(draft: Draft) -> None:
    rows = [
        f"15/10/2024 08:00:{n:02d};4G;{n + 1};Nha Trang;;{'2147483647' if n % 2 else n};{'NULL' if n else 'a'}"
        for n in range(9)
    ]
    found, contract = draft(table("Thời gian đo;Loại mạng;Download (Mbps);City;Empty;Ping (ms);Nhà mạng", *rows))
    assert set(contract.missing) == {"", "2147483647", "NULL"}
    assert doubt(found, "'2147483647' is taken to stand for nothing", "Ping (ms) (4 rows)")
    assert doubt(found, "'NULL' is taken to stand for nothing", "Nhà mạng (8 rows)")
    assert doubt(found, "City: 'Nha Trang' in every row")
    assert doubt(found, "Empty: empty in every row")
    assert doubt(found, "not read", "'City'")


def test_technologies_by_other_names_are_mapped_or_asked_about(draft: Draft) -> None:
    found, contract = draft(
        HEAD + "".join(f"15/10/2024 08:00:00;{name};33,5\n" for name in ("4g", "LTE", "WLAN", "Sat"))
    )
    assert contract.values["technology"] == {"lte": "4G", "wlan": "WiFi"}
    assert doubt(found, "technology: 1 rows with 'Sat'")


UNITS = [
    ("Download (kbit/s)", "33500", "kbit/s", None),
    ("downloadKbps", "33500", "kbit/s", None),
    ("Download_Kbps", "33500", "kbit/s", None),
    ("download_bits_per_second", "33500000", "bit/s", None),
    ("Download B/s", "4187500", "B/s", None),
    ("DownloadBytesPerSec", "4187500", "B/s", None),
    ("Download (MB/s)", "4.1", "MB/s", None),
    ("Download (Mbit/s)", "33.5", None, None),
    ("Download (Mbps)", "33.5", None, None),
    ("Download (kb/s)", "33500", "kbit/s", "taken for bits (kbit/s); some write it for bytes"),
    ("DOWNLOAD KBPS", "33500", "kbit/s", "KBPS is taken for bits; it may also be bytes"),
    ("Download", "33.5", None, "names no unit; Mbit/s is taken"),
    ("Download", "33500", "kbit/s", "by its median 33500, kbit/s is taken (33.5 Mbit/s); it may also be kB/s (268)"),
    ("Download (Mbps)", "33500000", None, "not likely in Mbit/s: look at its unit"),
    ("Download (kbit/s)", "33.5", "kbit/s", "not likely in kbit/s"),
    ("Ping (s)", "0.025", "s", None),
    ("Ping", "0.025", "s", "by its median 0.025, s is taken (25 ms)"),
    ("pingMs", "25", None, None),
    ("Độ trễ (giây)", "0.025", "s", None),
    ("Packet loss", "0.02", "share", "no value above 1; share (0 to 1) is taken"),
    ("Packet loss (%)", "0.02", None, None),
    ("Location accuracy (km)", "0.02", "km", None),
]


@pytest.mark.parametrize(("header", "number", "unit", "told"), UNITS)
def test_a_unit_is_written_where_the_header_or_the_values_say_it(
    draft: Draft, header: str, number: str, unit: str | None, told: str | None
) -> None:
    required = "" if header.lower().startswith("download") else ",Download (Mbps)"
    line = f"15/10/2024 08:00:00,4G,{number}" + (",33.5" if required else "")
    found, contract = draft(table(f"Thời gian đo,Loại mạng,{header}{required}", line))
    assert list(contract.units.values()) == ([unit] if unit else [])
    of_unit = [
        said for said in found.doubts if said.startswith(repr(header)) and "taken for " not in said.split(";")[0]
    ]
    of_unit += [said for said in found.doubts if said.startswith(repr(header)) and "for bits" in said]
    assert [told in said for said in dict.fromkeys(of_unit) if told] == ([True] if told else [])
    assert bool(of_unit) == bool(told)


@pytest.mark.parametrize("quote", ['"', "'"])
def test_the_quote_is_the_mark_that_fields_stand_between(draft: Draft, quote: str) -> None:
    row = f"{quote}15/10/2024 08:00:00{quote},4G,33.5,{quote}a,b{quote}"
    _, contract = draft(table("Thời gian đo,Loại mạng,Download (Mbps),Thiết bị", row, row.replace("a,b", "c,d")))
    assert contract.shapes[0].quote == quote


def test_the_preview_is_what_staging_reads(draft: Draft, tmp_path: Path, registry_tables: Path) -> None:
    rows = "15/10/2024 08:00:00;4g;33,5;VNPT;Vĩnh Hải\n15/10/2024 08:00:00;4G;fast;Acme;Ở đâu\n"
    draft(HEAD.replace("\n", ";Nhà mạng;Xã/Phường\n") + rows + 14 * "15/10/2024 08:00:00;5;33,5;;\n")
    found = preview_contract(tmp_path / "export.csv", tmp_path / "drafted.yaml", registry_tables)
    assert len(found.rows) == 10
    assert found.rows[0].startswith(
        "row 2: measured_at=2024-10-15 08:00:00, commune_name=Vĩnh Hải, operator=VNPT, tech"
    )
    assert found.rows[0].endswith("technology=4G, download_mbps=33.5")
    assert "read_error=download_mbps fast" in found.rows[1]
    assert found.doubts == (
        "by this contract, of 16 rows 1 would be unreadable and 0 more lack what is required",
        "unreadable: download_mbps fast (1 rows, first row 3)",
        "technology: of 16 rows that name one, 14 name none that is known on their day: '5'; "
        "say under values what they are",
        "operator: of 2 rows that name one, 1 name none that is known on their day: 'Acme'; "
        "say under values what they are",
        "commune: of 2 rows that name one, 1 name none that is known on their day: 'Ở đâu'; "
        "such rows stay, and are flagged",
    )


def test_what_is_required_and_not_yet_named_does_not_hinder_a_look_at_the_rest(
    draft: Draft, tmp_path: Path, registry_tables: Path
) -> None:
    draft(table("x;Download (Mbps)", "a;33,5"))
    found = preview_contract(tmp_path / "export.csv", tmp_path / "drafted.yaml", registry_tables)
    assert found.rows == ("row 2: download_mbps=33.5",)


def test_a_file_that_a_contract_cannot_read_is_told(draft: Draft, tmp_path: Path, registry_tables: Path) -> None:
    draft(HEAD + ROW)
    other = tmp_path / "other.csv"
    other.write_text("a;b\n1;2\n", encoding="utf-8")
    found = preview_contract(other, tmp_path / "drafted.yaml", registry_tables)
    assert not found.rows
    assert "cannot be read by this contract yet: file other.csv, row 1: no header for the required" in found.doubts[0]


def test_a_draft_keeps_the_devices_to_itself(draft: Draft, tmp_path: Path, registry_tables: Path) -> None:
    found, _ = draft(table("time,imei,tech,dl", *["2024-10-15 08:00:00,secret-device,4G,33.5"] * 300))
    assert doubt(found, "one value stands for 300 of 300 rows")
    rows = preview_contract(tmp_path / "export.csv", tmp_path / "drafted.yaml", registry_tables).rows
    assert "secret-device" not in "".join([found.text, *found.doubts, *rows])


def test_what_is_not_read_is_sketched_unless_it_may_tell_of_persons(draft: Draft) -> None:
    rows = [f"15/10/2024 08:00:00;4G;33,5;{'ab'[n % 2]};0912{n:06};" for n in range(60)]
    found, contract = draft(table("Thời gian đo;Loại mạng;Download (Mbps);Band;Msisdn;Note", *rows))
    assert contract.ignored == ("Band", "Msisdn", "Note")
    said = doubt(found, "not read")
    assert said.endswith("'Band' (a, b); 'Msisdn' (60 different values); 'Note' (empty)")


def test_operators_and_provinces_are_mapped_by_the_registry_or_asked_about(draft: Draft) -> None:
    head = "Thời gian đo;Loại mạng;Download (Mbps);Nhà mạng;Tỉnh"
    texts = ("Viettel Group", "VNPT", "MOBIFONE JSC", "Vietnamobil", "Acme", "VNPT - Viettel")
    rows = [f"15/10/2024 08:00:00;4G;33,5;{text};{'Khánh Hoà' if text[0] == 'V' else 'Ninh Thuan'}" for text in texts]
    found, contract = draft(table(head, *rows))
    assert contract.values["operator"] == {
        "viettel group": "Viettel",
        "mobifone jsc": "MobiFone",
        "vietnamobil": "Vietnamobile",
    }
    assert contract.values["province_code"] == {"khánh hòa": "56", "ninh thuan": "58"}
    assert doubt(found, "operator: 2 rows with 'Acme', 'VNPT - Viettel'; say under values.operator")


def test_columns_of_another_name_are_known_by_their_values(draft: Draft) -> None:
    rows = ["15/10/2024 08:00:00,30.5,LTE,P. Lộc Thọ", "16/10/2024 08:00:00,31.5,NR,Ba Ngòi"]
    found, contract = draft(table("when,download,x1,spot", *rows))
    assert text_of(contract.headers["technology"][0]) == "x1"
    assert text_of(contract.headers["commune_name"][0]) == "spot"
    assert text_of(contract.headers["measured_at"][0]) == "when"
    assert len([line for line in found.doubts if "its values say so, not its name" in line]) == 3


def test_rows_above_the_headers_of_a_csv_are_told(draft: Draft) -> None:
    found, contract = draft("Báo cáo đo tháng 10;;\n;;\n" + HEAD + ROW * 3)
    assert doubt(found, "the headers stand in record 3")
    assert "download_mbps" in contract.headers


def test_a_pattern_takes_names_in_any_case(draft: Draft) -> None:
    _, contract = draft(HEAD + ROW, "EXPORT.CSV")
    assert contract.shapes[0].pattern == "*.csv"
    assert contract.shape_of("Thang-10.CSV").delimiter == ";"


def test_an_archive_has_a_shape_for_each_kind_of_member(draft: Draft) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("a/one.csv", HEAD + ROW * 3)
        packed.writestr("two.csv", table("time,tech,dl", "2024-10-15 08:00:00,LTE,33.5"))
        packed.writestr("three.jsonl", '{"time": "15.10.2024 08:00", "tech": "4G", "dl (kbps)": 33500}')
        packed.writestr("readme.txt", "made by the portal")
    found, contract = draft(buffer.getvalue(), "all.zip")
    assert [shape.pattern for shape in contract.shapes] == ["two.csv", "*.csv", "*.jsonl"]
    assert [text_of(header) for header in contract.headers["download_mbps"]] == [
        "Download (Mbps)",
        "dl (kbps)",
        "dl",
    ]
    assert doubt(found, "all.zip/readme.txt: no row under a header")
    assert doubt(found, "all.zip/two.csv", "written unlike the other *.csv")
    assert doubt(found, "one contract cannot read both")


def test_of_a_workbook_the_sheet_with_headers_is_taken_and_others_told(draft: Draft) -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        book.add_worksheet("Bìa").write(0, 0, "Kết quả đo")
        for name, time in (("Tuần 1", 45580.25), ("Tuần 2", 45587.5)):
            sheet = book.add_worksheet(name)
            sheet.write(0, 0, "Kết quả đo của một tuần")
            sheet.write_row(2, 0, ["Thời gian đo", "Loại mạng", "Tải xuống (Kbps)"])
            sheet.write_row(3, 0, [time, "4G", 33500])
    found, contract = draft(buffer.getvalue(), "book.xlsx")
    assert (contract.shapes[0].format, contract.shapes[0].sheet) == ("xlsx", "Tuần 1")
    assert contract.units == {"download_mbps": "kbit/s"}
    assert doubt(found, "headers are taken from row 3 of sheet 'Tuần 1'")
    assert doubt(found, "'Tuần 2' may hold measurements too")
    assert doubt(found, "'45580.25' is read as a day that Excel counts")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_is_looked_at_in_its_encoding(draft: Draft, encoding: str) -> None:
    records = [{"Thời gian đo": "2024-10-15 08:00:00", "Loại mạng": "4G", "Download": {"Mbps": 33.5}, "dl": 33.5}]
    found, contract = draft(json.dumps(records, ensure_ascii=False).encode(encoding), "a.json")
    assert contract.shapes[0].encoding == encoding.removesuffix("-sig")
    assert text_of(contract.headers["download_mbps"][0]) == "dl"
    assert doubt(found, "'Download' holds objects or lists")


def test_a_header_cannot_write_the_contract(draft: Draft) -> None:
    header = '"a\nname: evil","b: [","#c",Download (Mbps)'
    found, contract = draft(table(header, '1,2,"x\n",3', "1,2,y,3"))
    assert contract.name == "export"
    assert contract.ignored == ("a\nname: evil", "b: [", "#c")
    assert "\nname: evil" not in found.text


def test_a_compressed_export_is_looked_at_too(draft: Draft) -> None:
    _, contract = draft(gzip.compress((HEAD + "15/10/2024 08:00:00;4G;33,5\n").encode()), "export.csv.gz")
    assert (contract.shapes[0].pattern, contract.shapes[0].delimiter) == ("*.csv.gz", ";")


@pytest.mark.parametrize(
    ("content", "name", "found"),
    [
        (b"PK\x03\x04...", "export.xlsx", "zip archive"),
        (b"PK\x03\x04 xl/ ...", "export.xlsx", "no readable xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "export.xls", "old Excel workbook"),
        (b"<html><table><tr><td>1</td></tr></table>", "export.xls", "web page"),
        (b'[{"a": 1}', "export.json", "array of objects"),
        (b"[1, 2]", "export.json", "no object"),
        (b"PAR1 and no more", "export.parquet", "no readable Parquet"),
        (gzip.compress(b"a,b\n1,2\n"), "export.csv", "gzip bytes"),
        (b"a,b\n1,2\n", "export.csv.gz", "damaged gzip"),
        (gzip.compress(b"a,b\n1,2\n")[:-9], "export.csv.gz", "end-of-stream"),
        (b"a,b\n", "export.csv", "no row"),
        (b"", "export.csv", "no row"),
    ],
)
def test_what_holds_no_table_is_told(draft: Draft, content: bytes, name: str, found: str) -> None:
    with pytest.raises(UserError, match=found):
        draft(content, name)


def test_a_file_that_is_not_there_is_told(tmp_path: Path, registry_tables: Path) -> None:
    with pytest.raises(UserError, match="FILE="):
        draft_contract(tmp_path / "none.csv", registry_tables)


@real("crowd_5g_gbk.csv")
def test_the_crowd_export_decodes_wrongly_without_failing_and_has_a_sentinel(
    tmp_path: Path, registry_tables: Path
) -> None:
    found = draft_contract(REAL / "crowd_5g_gbk.csv", registry_tables)
    said = doubt(found, "utf-8 reads the same bytes without failing")
    assert said.startswith("encoding gb18030")
    for line in ("3,161", "8,952", "9,188"):
        assert f"line {line}: '未知', not" in said
    assert doubt(found, "'2147483647' is taken to stand for nothing", "cell_csiSinr (8,532 rows)")
    assert doubt(found, "no column is measured_at")
    assert doubt(found, "'user_uid'", "588 of 10,000 rows")
    source = tmp_path / "drafted.yaml"
    source.write_text(found.text, encoding="utf-8")
    contract = read_contract(source)
    assert "2147483647" in contract.missing
    assert list(contract.headers) == [c for c in COLUMNS if c in contract.headers]
    assert text_of(contract.headers["download_mbps"][0]) == "bandwidth_Mbps"
    preview = preview_contract(REAL / "crowd_5g_gbk.csv", source, registry_tables)
    assert preview.doubts[0].startswith("by this contract, of 10,000 rows 0 would be unreadable and 0 more lack")

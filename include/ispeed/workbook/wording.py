"""Vietnamese wording: numbers, months and days in sentences, names of codes, alphabetical order."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from ispeed.months import Month

SAMPLE_MARK: Final = "DỮ LIỆU MẪU"

KINDS: Final = ("xã", "phường", "thị trấn", "đặc khu")
NETWORKS: Final = {"mobile": "Di động", "fixed": "Cố định"}
ORGANISATION_KINDS: Final = {
    "department": "Sở, ban, ngành",
    "district": "UBND cấp huyện",
    "commune": "UBND cấp xã",
    "youth_union": "Đoàn Thanh niên",
    "school": "Trường học",
    "other": "Khác",
}
RETURN_STATES: Final = {"returned": "Đúng hạn", "late": "Gửi muộn", "missing": "Chưa gửi"}
OUTCOME_STATES: Final = {"accepted": "Được tính", "superseded": "Có phiếu sau", "refused": "Không tính được"}
HOLDER_KINDS: Final = {"commune": "Đơn vị cấp xã", "organisation": "Cơ quan, đơn vị"}
ATLAS_LEVELS: Final = {"province": "Tỉnh", "commune": "Xã"}
SEVERITIES: Final = {"critical": "Nghiêm trọng", "warning": "Cảnh báo", "info": "Thông tin"}
TABLES: Final = {
    "staging_measurement": "Dòng đo như đã nhận",
    "quarantine_measurement": "Dòng bị cách ly",
    "core_measurement": "Dòng đo được chấp nhận",
    "flag_measurement": "Dòng được đánh dấu",
    "report_commune_month": "Phụ lục I",
    "report_commune_technology_month": "Xã theo công nghệ",
    "report_referral_code_month": "Phụ lục II",
    "report_organisation_month": "Cơ quan đơn vị",
    "report_operator_month": "Nhà mạng",
    "report_province_month": "Tổng quan",
    "report_quality_month": "Chất lượng dữ liệu",
    "report_integrity_month": "Dấu hiệu bất thường",
    "report_return_month": "Phiếu báo cáo",
    "report_atlas_month": "Đối chiếu VNNIC",
    "month_drift": "So với các tháng trước",
    "report_commune_restated": "Theo địa giới",
    "report_restated_origin": "Nguồn gốc số liệu",
}
# How the measurements of a restated month were attributed to a unit of another day's map.
ATTRIBUTIONS: Final = {
    "whole": "Toàn bộ đơn vị",
    "coordinates": "Theo tọa độ",
    "no_location": "Ứng với nhiều đơn vị, không xác định được vị trí",
    "located_elsewhere": "Ứng với nhiều đơn vị, tọa độ nằm ngoài",
    "no_succession": "Danh mục không nêu đơn vị kế thừa",
    "other_province": "Nay thuộc tỉnh khác",
}
ACTIONS: Final = {
    "stop": "Dừng phát hành",
    "quarantine": "Cách ly dòng",
    "flag": "Đánh dấu dòng",
    "tell": "Nêu để xem xét",
}

_ROMAN: Final = (
    (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
)  # fmt: skip
_ALPHABET: Final = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"


def number(value: float, decimals: int = 0) -> str:
    """A number as a Vietnamese reader writes it: 1.234,5. Halves go up, as in the published tables."""
    rounded = Decimal(repr(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return f"{rounded:,f}".translate(str.maketrans(",.", ".,"))


def percent(share: float) -> str:
    """A share of 0 to 1 in per cent with one decimal: 45,6%."""
    return f"{number(share * 100, 1)}%"


def month_text(month: Month) -> str:
    return f"{month.number:02d}/{month.year}"


def day_text(day: date) -> str:
    return f"{day.day:02d}/{day.month:02d}/{day.year}"


def listing(words: Sequence[str]) -> str:
    """Words as a sentence lists them: "a, b và c"."""
    return " và ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def roman(value: int) -> str:
    """A number above 0 as districts are numbered in an appendix: IV, XIX."""
    text = ""
    for size, digits in _ROMAN:
        text += digits * (value // size)
        value %= size
    return text


def kinds_of(kinds: Iterable[object]) -> str:
    """The kinds of communes that a month has, in their usual order: "xã, phường, thị trấn"."""
    present = set(kinds)
    return ", ".join(kind for kind in KINDS if kind in present) or "xã, phường"


def alphabetical(text: object) -> tuple[list[int], str]:
    """Sort key of the Vietnamese alphabet: ă after a, đ after d; tones decide only between equal letters."""
    plain = str(text or "").casefold()
    letters = []
    for letter in unicodedata.normalize("NFC", plain):
        parts = unicodedata.normalize("NFD", letter)
        # Breve, circumflex and horn make letters of their own; what else is above or below is a tone.
        base = unicodedata.normalize("NFC", parts[0] + "".join(c for c in parts[1:] if c in "\u0306\u0302\u031b"))
        place = _ALPHABET.find(base)
        letters.append(place + 0x10000 if place >= 0 else ord(base[0]))
    return letters, plain


_NOT_USED: Final = "Không dùng trong số liệu"
# Each column of an export as readers call it, and what it means for the figures that a file lacks it.
COLUMNS: Final = {
    "measurement_id": ("mã phép đo", "Dòng trùng là dòng giống nhau ở mọi cột"),
    "measured_at": ("thời gian đo", "Không đọc được tệp"),
    "device_id": ("mã thiết bị", "Mỗi dòng được coi là một thiết bị"),
    "referral_code": ("mã giới thiệu", "Không tính cho mã và cơ quan nào"),
    "province_code": ("mã tỉnh", "Coi là trong tỉnh"),
    "district_code": ("mã huyện", "Tìm xã theo các cột còn lại"),
    "district_name": ("tên huyện", "Tìm xã theo các cột còn lại"),
    "commune_code": ("mã xã", "Tìm xã theo tên"),
    "commune_name": ("tên xã", "Tìm xã theo mã"),
    "operator": ("nhà mạng", "Nhà mạng ghi là không xác định"),
    "technology": ("loại mạng", "Không đọc được tệp"),
    "download_mbps": ("tốc độ tải xuống", "Không đọc được tệp"),
    "upload_mbps": ("tốc độ tải lên", "Không có số liệu tải lên"),
    "ping_ms": ("độ trễ", "Không có số liệu độ trễ"),
    "jitter_ms": ("biến động trễ", "Không có số liệu biến động trễ"),
    "packet_loss_pct": ("tỷ lệ mất gói", _NOT_USED),
    "latitude": ("vĩ độ", "Không xác định được xã theo tọa độ"),
    "longitude": ("kinh độ", "Không xác định được xã theo tọa độ"),
    "location_accuracy_m": ("sai số vị trí", "Không đánh dấu sai số vị trí lớn; mọi tọa độ được coi là dùng được"),
    "os": ("hệ điều hành", _NOT_USED),
    "device_model": ("thiết bị", _NOT_USED),
    "app_version": ("phiên bản ứng dụng", _NOT_USED),
}

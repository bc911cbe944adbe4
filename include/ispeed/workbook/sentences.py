"""What Tổng quan says in words, written from the figures."""

from __future__ import annotations

from typing import Final

from ispeed.tables import REPORT_PROVINCE_MONTH
from ispeed.workbook.content import Content, Row
from ispeed.workbook.marks import reason_marks
from ispeed.workbook.wording import alphabetical, kinds_of, listing, month_text, number, percent

_NAMED: Final = 3


def province(content: Content) -> Row:
    """The province's mobile figures; of a month without a single row, counts of 0 and no figures."""
    row = next(iter(content.rows("report_province_month", "mobile")), None)
    if row is not None:
        return row
    communes = content.rows("report_commune_month", "mobile")
    empty: dict[str, object] = dict.fromkeys(REPORT_PROVINCE_MONTH.column_names)
    counts = ("n_communes_publishable", "n_communes_assessable", "n_measurements", "n_samples", "n_devices")
    return {**empty, **dict.fromkeys(counts, 0), "n_communes": len(communes), "reason": "no_samples"}


def whole(row: Row, column: str) -> int:
    """A count of a row; 0 where it is missing."""
    value = row[column]
    return value if isinstance(value, int) else 0


def interval(row: Row, metric: str) -> str:
    """The 95 % interval of a metric's median, as a note: "95%: 53,10–55,20"."""
    low, high = row[f"{metric}_ci_low"], row[f"{metric}_ci_high"]
    if isinstance(low, (int, float)) and isinstance(high, (int, float)):
        return f"95%: {number(low, 2)}–{number(high, 2)}"
    return "chưa có khoảng 95%"


def findings(content: Content) -> list[str]:
    """Three sentences: how much was measured, how fast it was, who is behind."""
    return [_coverage(content), _speed(content), _behind(content)]


def is_clear(column: str, now: Row, before: Row | None) -> bool:
    """Whether a change says something: of a median, where the intervals of the two months do not overlap."""
    if not column.endswith("_median"):
        return True
    metric = column.removesuffix("_median")
    bounds = [row[f"{metric}_{end}"] if row else None for row in (now, before) for end in ("ci_low", "ci_high")]
    low, high, earlier_low, earlier_high = (bound if isinstance(bound, (int, float)) else None for bound in bounds)
    if low is None or high is None or earlier_low is None or earlier_high is None:
        return False
    return low > earlier_high or high < earlier_low


def unclear(change: float) -> str:
    """A change that may be none: "≈ +0,99"."""
    return f"≈ {'+' if change > 0 else '−'}{number(abs(change), 2)}"


def fixed_note(content: Content) -> str:
    """The fixed network in one line: counted apart, never pooled with mobile."""
    row = next(iter(content.rows("report_province_month", "fixed")), None)
    median = row["download_mbps_median"] if row else None
    if row is None or not whole(row, "n_measurements"):
        return "Mạng cố định (WiFi, Cố định): không có lượt đo nào trong tháng."
    speed = f"tải xuống trung vị {number(median, 2)} Mbps" if isinstance(median, (int, float)) else "chưa đủ để công bố"
    count = number(whole(row, "n_measurements"))
    return f"Mạng cố định (WiFi, Cố định) thống kê riêng, không gộp: {count} lượt đo, {speed}."


def in_sentence(name: str) -> str:
    """ "huyện Diên Khánh" for "Huyện Diên Khánh": the kind of a unit is no name."""
    return f"{name[:1].lower()}{name[1:]}"


def commune(row: Row) -> str:
    """A commune as it is named in a sentence: "xã Sơn Lâm"."""
    return f"{row['kind'] or ''} {row['commune_name']}".strip()


def _coverage(content: Content) -> str:
    now, policy = province(content), content.policy
    kinds = kinds_of(row["kind"] for row in content.rows("report_commune_month", "mobile"))
    start = f"1. Tháng {month_text(content.month)}, {policy.province_name}"
    measurements, samples, devices, communes, publishable, assessable = (
        number(whole(now, column))
        for column in (
            "n_measurements",
            "n_samples",
            "n_devices",
            "n_communes",
            "n_communes_publishable",
            "n_communes_assessable",
        )
    )
    if not whole(now, "n_measurements"):
        return f"{start} không có lượt đo di động nào được chấp nhận tại {communes} {kinds}."
    return (
        f"{start} có {measurements} lượt đo di động được chấp nhận từ {devices} thiết bị ({samples} mẫu đại diện)"
        f"{_elsewhere(content)}; "
        f"trong {communes} {kinds}, {publishable} đơn vị đủ {policy.publish_minimum} lượt đo để công bố và "
        f"{assessable} đơn vị đủ {policy.assess_minimum} lượt đo để đánh giá."
    )


def _elsewhere(content: Content) -> str:
    """What Phụ lục I does not have: measurements of no commune that is known, or outside the province."""
    placed = sum(whole(row, "n_measurements") for row in content.rows("report_commune_month", "mobile"))
    rest = whole(province(content), "n_measurements") - placed
    if rest <= 0:
        return ""
    return f", gồm {number(placed)} lượt ở các đơn vị và {number(rest)} lượt chưa xác định được xã hoặc đo ngoài tỉnh"


def _speed(content: Content) -> str:
    now, policy = province(content), content.policy
    down, up, ping = (now[f"{metric}_median"] for metric in ("download_mbps", "upload_mbps", "ping_ms"))
    if not isinstance(down, (int, float)):
        mark = reason_marks(policy).get(str(now["reason"]))
        return f"2. Chưa công bố tốc độ toàn địa bàn: {mark.meaning if mark else 'không có số liệu'}."
    parts = [
        f"2. Tốc độ tải xuống trung vị toàn địa bàn là {number(down, 2)} Mbps "
        f"(khoảng tin cậy {interval(now, 'download_mbps')})"
    ]
    mean = now["download_mbps_mean"]
    if isinstance(mean, (int, float)):
        parts[0] += f", trung bình {number(mean, 2)} Mbps"
    change = now["download_mbps_median_change"]
    if isinstance(change, (int, float)):
        parts[0] += _since(change, str(now["change_sign"]))
    if isinstance(up, (int, float)):
        parts.append(f"tải lên trung vị {number(up, 2)} Mbps")
    if isinstance(ping, (int, float)):
        parts.append(f"độ trễ trung vị {number(ping, 2)} ms")
    share = now["share_at_target"]
    if isinstance(share, (int, float)):
        parts.append(f"{percent(share)} mẫu 4G, 5G đạt mục tiêu tốc độ tải xuống")
    if reached := _at_mean_target(content):
        parts.append(f"trung bình đạt mục tiêu: {', '.join(reached)}")
    return "; ".join(parts) + "."


def _since(change: float, sign: str) -> str:
    """How the median moved; up or down only where the intervals of the two months do not overlap."""
    if not change:
        return ", không đổi so với tháng trước"
    if sign in ("up", "down"):
        return f", {'tăng' if change > 0 else 'giảm'} {number(abs(change), 2)} Mbps so với tháng trước"
    moved = f"{'+' if change > 0 else '−'}{number(abs(change), 2)}"
    overlap = "khoảng tin cậy của hai tháng chồng lên nhau, chưa rõ tăng hay giảm"
    return f", chênh {moved} Mbps so với tháng trước nhưng {overlap}"


def _at_mean_target(content: Content) -> list[str]:
    """By technology with a target: how many of the communes that have a published mean reach it by that mean, which is
    what QĐ 1110/QĐ-BTTTT judges by.
    """
    told = []
    for technology, target in content.policy.targets.items():
        means = [
            mean
            for row in content.rows("report_commune_technology_month", "mobile")
            if row["technology"] == technology and isinstance(mean := row["download_mbps_mean"], (int, float))
        ]
        if means:
            reached = sum(mean >= target for mean in means)
            told.append(f"{technology} {number(reached)}/{number(len(means))} đơn vị (mức {number(target)} Mbps)")
    return told


def _behind(content: Content) -> str:
    """Communes without any measurement, those that miss most by district, those that are slower for certain."""
    policy = content.policy
    rows = content.rows("report_commune_month", "mobile")
    short = [row for row in rows if whole(row, "n_missing_to_assess")]
    if not rows:
        return "3. Danh mục không có đơn vị cấp xã nào trong tháng."
    if not short:
        parts = [f"3. Mọi đơn vị đã đủ {policy.assess_minimum} lượt đo"]
    else:
        total = sum(whole(row, "n_missing_to_assess") for row in short)
        parts = [
            f"3. Còn {number(len(short))} đơn vị chưa đủ {policy.assess_minimum} lượt đo, "
            f"thiếu tổng cộng {number(total)} lượt{_where(short)}"
        ]
    empty = sorted((row for row in rows if not whole(row, "n_measurements")), key=by_name)
    if empty and len(empty) < len(rows):
        named = [commune(row) for row in empty[:_NAMED]]
        rest = len(empty) - len(named)
        names = listing(named) if not rest else f"{', '.join(named)} và {number(rest)} đơn vị khác"
        parts.append(f"{number(len(empty))} đơn vị chưa có lượt đo nào ({names})")
    lower = province(content)["download_mbps_ci_low"]
    # A low median of few samples is no finding: only where its whole interval lies below the province's.
    slow = sorted(
        (
            (float(str(row["download_mbps_median"])), row)
            for row in rows
            if isinstance(high := row["download_mbps_ci_high"], (int, float))
            and isinstance(lower, (int, float))
            and high < lower
        ),
        key=lambda pair: (pair[0], by_name(pair[1])),
    )
    if slow:
        named = [
            f"{commune(row)} {number(median, 1)} ({interval(row, 'download_mbps')})" for median, row in slow[:_NAMED]
        ]
        more = f" và {number(len(slow) - _NAMED)} đơn vị khác" if len(slow) > _NAMED else ""
        parts.append(f"tải xuống trung vị thấp hơn rõ so với toàn địa bàn (Mbps): {', '.join(named)}{more}")
    return "; ".join(parts) + "."


def _where(short: list[Row]) -> str:
    """The districts that miss most; nothing where the month has no districts."""
    missing: dict[str, int] = {}
    for row in short:
        if row["district_name"]:
            name = in_sentence(str(row["district_name"]))
            missing[name] = missing.get(name, 0) + whole(row, "n_missing_to_assess")
    if len(missing) < 2:
        return ""
    most = sorted(missing.items(), key=lambda pair: (-pair[1], alphabetical(pair[0])))[:2]
    return ", nhiều nhất ở " + listing([f"{name} ({number(count)})" for name, count in most])


def by_name(row: Row) -> tuple[tuple[list[int], str], str]:
    """Sort key of communes by the alphabet."""
    return alphabetical(row["commune_name"]), str(row["commune_code"])

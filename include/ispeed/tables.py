"""The report tables: their columns, types, English comments and Vietnamese headings, written once.

The SQL files of `include/sql/report/`, the reports database, the csv files and the workbook all take their columns
from here, in this order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ColumnType = Literal["text", "integer", "double", "date", "timestamp", "boolean"]

METRICS: Final = {
    "download_mbps": ("Download", "Tải xuống (Mbps)"),
    "upload_mbps": ("Upload", "Tải lên (Mbps)"),
    "ping_ms": ("Ping", "Độ trễ (ms)"),
    "jitter_ms": ("Jitter", "Biến động trễ (ms)"),
}
UNITS: Final = {"download_mbps": "Mbit/s", "upload_mbps": "Mbit/s", "ping_ms": "ms", "jitter_ms": "ms"}
STATISTICS: Final = {
    "median": ("median", "trung vị"),
    "mean": ("mean", "trung bình"),
    "p10": ("10th percentile", "p10"),
    "p25": ("25th percentile", "p25"),
    "p75": ("75th percentile", "p75"),
    "p90": ("90th percentile", "p90"),
    "ci_low": ("lower end of the 95 % interval of the median", "cận dưới 95%"),
    "ci_high": ("upper end of the 95 % interval of the median", "cận trên 95%"),
}


@dataclass(frozen=True)
class Column:
    """One column: its name in SQL, its type, what it holds (English), and its heading for readers (Vietnamese).

    `unit` is that of a figure as UCUM writes it (ucum.org): Mbit/s, ms, 1 for counts and shares, 1/d; `values` are all
    that a text can be, where they are few and known.
    """

    name: str
    type: ColumnType
    comment: str
    heading: str
    unit: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One report table. `key` identifies a row within a month and revision."""

    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def figures(self) -> tuple[Column, ...]:
        """The columns that hold a number with a unit."""
        return tuple(column for column in self.columns if column.unit)


def _text(name: str, comment: str, heading: str, values: tuple[str, ...] = ()) -> Column:
    return Column(name, "text", comment, heading, values=values)


def _count(name: str, comment: str, heading: str) -> Column:
    return Column(name, "integer", comment, heading, unit="1")


def _number(name: str, comment: str, heading: str, unit: str = "1") -> Column:
    return Column(name, "double", comment, heading, unit)


MONTH: Final = Column("month", "date", "First day of the month that was measured", "Tháng")
REVISION: Final = Column("revision", "integer", "Revision of the month's publication, from 1", "Bản phát hành")
BOUNDARIES_DAY: Final = Column(
    "boundaries_day", "date", "Day on whose map of communes the figures stand", "Địa giới ngày"
)
NETWORK: Final = _text(
    "network", "mobile (2G to 5G) or fixed (WiFi, Cố định); never pooled", "Loại mạng", ("mobile", "fixed")
)
TECHNOLOGY: Final = _text(
    "technology", "2G, 3G, 4G, 5G, WiFi or Cố định", "Công nghệ", ("2G", "3G", "4G", "5G", "WiFi", "Cố định")
)
COMMUNE_KIND: Final = _text("kind", "xã, phường, thị trấn or đặc khu", "Loại", ("xã", "phường", "thị trấn", "đặc khu"))

COUNTS: Final = (
    _count("n_measurements", "Accepted measurements", "Lượt đo"),
    _count("n_samples", "Representative samples", "Mẫu đại diện"),
    _count("n_devices", "Distinct devices; a row without a device counts as its own", "Thiết bị"),
)
SPEEDS: Final = tuple(
    _number(
        f"{metric}_{statistic}",
        f"{metric_name} over representative samples: {statistic_name} ({metric.rsplit('_', 1)[1]})",
        metric_heading.replace(" (", f" {statistic_heading} ("),
        UNITS[metric],
    )
    for metric, (metric_name, metric_heading) in METRICS.items()
    for statistic, (statistic_name, statistic_heading) in STATISTICS.items()
)
FIGURES: Final = (
    *COUNTS,
    *SPEEDS,
    _number(
        "share_at_target",
        "Share (0 to 1) of representative samples at or above their technology's download target; "
        "2G, 3G and fixed have none and do not count",
        "Tỷ lệ mẫu đạt mục tiêu",
    ),
    _count(
        "n_missing_to_publish", "Measurements still missing to the number needed to publish (30)", "Còn thiếu đến 30"
    ),
    _count(
        "n_missing_to_assess", "Measurements still missing to the number needed to assess (300)", "Còn thiếu đến 300"
    ),
    _text(
        "reason",
        "Why figures are blank: no_samples, below_publish_minimum (under 30 measurements), "
        "too_few_devices (under 5 devices), not_attributable (of no one unit: only in report_commune_restated)",
        "Lý do để trống",
        ("no_samples", "below_publish_minimum", "too_few_devices", "not_attributable"),
    ),
    _text(
        "blank_metrics",
        "Metrics that are blank though the row is not, since fewer than 5 devices measured them: upload_mbps, ping_ms, "
        "jitter_ms",
        "Chỉ tiêu để trống",
    ),
    _number(
        "download_mbps_median_change",
        "Median download minus that of the month before, as published (Mbps)",
        "Thay đổi trung vị tải xuống (Mbps)",
        UNITS["download_mbps"],
    ),
    _text(
        "change_reason",
        "Why the change is blank: no_previous_month, new_unit (not the same unit, or holder of the code, a month ago), "
        "blank_before, blank_now",
        "Lý do không so sánh",
        ("no_previous_month", "new_unit", "blank_before", "blank_now"),
    ),
    _text(
        "change_sign",
        "up or down where the 95 % intervals of the two months do not overlap; unclear where they do or one has none",
        "Chiều thay đổi",
        ("up", "down", "unclear"),
    ),
)
# Where figures pool technologies and operators, they say what is in them.
MIX: Final = (
    _text(
        "technology_mix",
        "Representative samples by technology, such as '5G 12, 4G 340'; blank where there are fewer than 5 devices",
        "Cơ cấu công nghệ",
    ),
    _text(
        "top_operator",
        "Operator with most representative samples; blank where there are fewer than 5 devices",
        "Nhà mạng nhiều mẫu nhất",
    ),
    _number("top_operator_share", "Its share (0 to 1) of the representative samples", "Tỷ trọng của nhà mạng đó"),
)
RANK: Final = (
    _count(
        "download_mbps_median_rank",
        "1 + the number of others (of the same network, and technology where it is in the key) whose 95 % interval of "
        "the median lies wholly above: overlapping intervals share a rank; blank without an interval",
        "Hạng tải xuống",
    ),
    _count("n_ranked", "How many of them have an interval", "Số được xếp hạng"),
)


def _table(name: str, comment: str, key: tuple[str, ...], *columns: Column) -> Table:
    return Table(name, comment, key, (MONTH, REVISION, *columns))


REPORT_COMMUNE_MONTH: Final = _table(
    "report_commune_month",
    "Phụ lục I: every commune of the registry as of the month, measured or not",
    ("network", "commune_code"),
    NETWORK,
    _text("commune_code", "Commune code of the registry as of the month", "Mã xã"),
    _text("commune_name", "Commune name without its kind", "Tên đơn vị"),
    COMMUNE_KIND,
    _text("district_code", "District code; empty from 07/2025", "Mã huyện"),
    _text("district_name", "District name; empty from 07/2025", "Cấp huyện"),
    *FIGURES,
    *MIX,
    *RANK,
    _number(
        "n_measurements_per_day",
        "Accepted measurements a day, from the month's first day to the last that has any in the province",
        "Lượt đo mỗi ngày",
        "1/d",
    ),
    Column(
        "assess_day",
        "date",
        "Day of the 300th accepted measurement; where it was not reached, the day on which it would be at the month's "
        "pace, counted from the first day of the month (it may lie after its end)",
        "Ngày đạt 300",
    ),
)
REPORT_COMMUNE_TECHNOLOGY_MONTH: Final = _table(
    "report_commune_technology_month",
    "Every commune by technology, as met in the month: what report_commune_month pools",
    ("network", "commune_code", "technology"),
    NETWORK,
    _text("commune_code", "Commune code of the registry as of the month", "Mã xã"),
    _text("commune_name", "Commune name without its kind", "Tên đơn vị"),
    COMMUNE_KIND,
    TECHNOLOGY,
    *FIGURES,
    *RANK,
)
REPORT_REFERRAL_CODE_MONTH: Final = _table(
    "report_referral_code_month",
    "Phụ lục II: every referral code valid in the month, and those met that are unknown or expired",
    ("network", "referral_code"),
    NETWORK,
    _text("referral_code", "Referral code entered in the app", "Mã giới thiệu"),
    _text(
        "holder_kind",
        "commune, organisation, or empty where the code is unknown",
        "Loại đơn vị giữ mã",
        ("commune", "organisation"),
    ),
    _text("holder_code", "Commune or organisation code of the holder", "Mã đơn vị giữ mã"),
    _text("holder_name", "Name of the holder, the latest one where the code was handed on", "Đơn vị giữ mã"),
    Column(
        "holder_since",
        "date",
        "Day from which the holder has the code, where another one held it before within the month",
        "Giữ mã từ ngày",
    ),
    _text("earlier_holder_name", "Name of who held it before holder_since, within the month", "Đơn vị giữ mã trước đó"),
    _count("n_measurements_earlier", "Accepted measurements before holder_since", "Lượt đo trước khi chuyển giao"),
    Column(
        "holder_until",
        "date",
        "Last day on which the code was valid, where it ended before the month did: what was measured with it later "
        "counts for no organisation",
        "Hết hiệu lực sau ngày",
    ),
    *FIGURES,
    *MIX,
)
REPORT_ORGANISATION_MONTH: Final = _table(
    "report_organisation_month",
    "Every organisation valid in the month, by the referral codes it holds",
    ("network", "organisation_code"),
    NETWORK,
    _text("organisation_code", "Organisation code", "Mã cơ quan"),
    _text("organisation_name", "Organisation name", "Cơ quan, đơn vị"),
    _text(
        "organisation_kind",
        "department, district, youth_union, school or other",
        "Loại cơ quan",
        ("department", "district", "youth_union", "school", "other"),
    ),
    _count("headcount", "Staff as told by the registry", "Số người"),
    _number("n_measurements_per_head", "Accepted measurements divided by headcount", "Lượt đo mỗi người"),
    _number(
        "staff_share_at_most",
        "The largest share (0 to 1) of staff that can have measured at least once: devices divided by headcount, at "
        "most 1; one person may use several devices, and others than staff may use the code",
        "Tỷ lệ người đo tối đa",
    ),
    *FIGURES,
    *MIX,
)
REPORT_OPERATOR_MONTH: Final = _table(
    "report_operator_month",
    "Every operator and technology met in the month",
    ("network", "operator", "technology"),
    NETWORK,
    _text("operator", "Brand of the operators registry; unknown where it is not in it", "Nhà mạng"),
    _text("host_network", "Network that carries the brand; the first → the last where it changed", "Hạ tầng mạng"),
    TECHNOLOGY,
    *FIGURES,
    *RANK,
)
REPORT_PROVINCE_MONTH: Final = _table(
    "report_province_month",
    "The province: every accepted measurement of the month",
    ("network",),
    NETWORK,
    _text("province_code", "Province code", "Mã tỉnh"),
    _text("province_name", "Province name", "Tỉnh"),
    _count("n_communes", "Communes of the registry as of the month", "Số đơn vị cấp xã"),
    _count("n_communes_publishable", "Communes with at least 30 accepted measurements", "Số đơn vị đủ 30 lượt đo"),
    _count("n_communes_assessable", "Communes with at least 300 accepted measurements", "Số đơn vị đủ 300 lượt đo"),
    *FIGURES,
    *MIX,
)
REPORT_QUALITY_MONTH: Final = _table(
    "report_quality_month",
    "Every row accounted for: raw = accepted + quarantined per file; flagged rows are among the accepted",
    ("source_file", "outcome", "reason"),
    _text("source_file", "Name of the export file", "Tệp nguồn"),
    _text(
        "outcome",
        "raw, accepted, quarantined or flagged",
        "Kết quả",
        ("raw", "accepted", "quarantined", "flagged"),
    ),
    _text("reason", "Quarantine reason or flag; empty for raw and accepted", "Lý do"),
    _count("n_rows", "Rows", "Số dòng"),
)
REPORT_INTEGRITY_MONTH: Final = _table(
    "report_integrity_month",
    "Evidence by referral code, with thresholds from policy; never a verdict",
    ("referral_code", "indicator"),
    _text("referral_code", "Referral code entered in the app", "Mã giới thiệu"),
    _text(
        "indicator",
        "What is looked at; docs/integrity.md defines each",
        "Dấu hiệu",
    ),
    _number("value", "Value of the indicator", "Giá trị"),
    _number(
        "threshold",
        "What a code with so many cases hardly reaches by chance, at the level that policy takes for usual; from it on "
        "the indicator is shown",
        "Ngưỡng",
    ),
    _text("evidence", "The counts behind the value", "Số liệu làm căn cứ"),
)
REPORT_RETURN_MONTH: Final = _table(
    "report_return_month",
    "The bodies' own returns: every body that is asked, returned or not; empty where no return came in for the month",
    ("organisation_code",),
    _text(
        "organisation_code", "Organisation code, or that of the commune whose People's Committee it is", "Mã cơ quan"
    ),
    _text("organisation_name", "Name of the body", "Cơ quan, đơn vị"),
    _text(
        "organisation_kind",
        "department, district, commune, youth_union, school or other",
        "Loại cơ quan",
        ("department", "district", "commune", "youth_union", "school", "other"),
    ),
    _text(
        "state",
        "returned (in time), late, or missing (no return that counts so far)",
        "Tình trạng báo cáo",
        ("returned", "late", "missing"),
    ),
    _count("headcount", "Staff, as the body states", "Tự báo cáo: số người"),
    _count("n_installed", "Staff who installed the app, as the body states", "Tự báo cáo: đã cài đặt"),
    _count(
        "n_measured",
        "Staff who measured at least once in the month, as the body states",
        "Tự báo cáo: đã đo",
    ),
    _number("installed_share", "n_installed divided by headcount (0 to 1)", "Tự báo cáo: tỷ lệ cài đặt"),
    _number("measured_share", "n_measured divided by headcount (0 to 1)", "Tự báo cáo: tỷ lệ đo"),
    _count("registry_headcount", "Staff, as the registry has it", "Số người theo danh mục"),
    _count("n_measurements", "Accepted mobile measurements with the codes that the body holds", "Lượt đo theo mã"),
    _count("n_devices", "Distinct devices of these measurements", "Thiết bị theo mã"),
    Column("submitted_at", "timestamp", "When the return that counts was submitted (UTC)", "Gửi lúc (UTC)"),
    Column("is_late", "boolean", "Whether it was submitted after the deadline", "Gửi muộn"),
    _text("source_file", "Name of the file that counts", "Tệp báo cáo"),
)
REPORT_ATLAS_MONTH: Final = _table(
    "report_atlas_month",
    "VNNIC's published figures beside ours; empty where none were fetched for the month",
    ("network", "level", "code"),
    NETWORK,
    _text("level", "province or commune", "Cấp", ("province", "commune")),
    _text("code", "Province or commune code", "Mã đơn vị"),
    _text("name", "Name of the province, or of the commune with its kind; blank where the registry has none", "Đơn vị"),
    _count("atlas_n_samples", "Samples, as VNNIC publishes them", "Số mẫu (VNNIC)"),
    *COUNTS,
    *(
        column
        for metric, (metric_name, metric_heading) in METRICS.items()
        for column in (
            _number(
                f"atlas_{metric}_median",
                f"{metric_name}: median that VNNIC publishes",
                metric_heading.replace(" (", " VNNIC ("),
                UNITS[metric],
            ),
            _number(
                f"{metric}_median",
                f"{metric_name} over representative samples: median, ours",
                metric_heading.replace(" (", " trung vị ("),
                UNITS[metric],
            ),
            _number(
                f"{metric}_difference",
                f"{metric_name}: ours minus VNNIC's",
                metric_heading.replace(" (", " chênh lệch ("),
                UNITS[metric],
            ),
        )
    ),
    *(column for column in SPEEDS if column.name in ("download_mbps_ci_low", "download_mbps_ci_high")),
    _text(
        "likely_cause",
        "Where there is a difference in download, what the two can differ by: within_interval (VNNIC's median lies in "
        "our 95 % interval: chance will do), other_measurements (VNNIC has more samples than we have measurements, or "
        "fewer than we have devices), other_method (another window, filter or normalisation)",
        "Vì sao có thể khác",
        ("within_interval", "other_measurements", "other_method"),
    ),
    _text(
        "reason",
        "Why there is no difference: not_in_registry (VNNIC's code is none of the month), atlas_no_figure (VNNIC has "
        "too few samples to publish), or why ours is blank: no_samples, below_publish_minimum, too_few_devices",
        "Lý do không so sánh",
        ("not_in_registry", "atlas_no_figure", "no_samples", "below_publish_minimum", "too_few_devices"),
    ),
)

REPORT_TABLES: Final = (
    REPORT_COMMUNE_MONTH,
    REPORT_COMMUNE_TECHNOLOGY_MONTH,
    REPORT_REFERRAL_CODE_MONTH,
    REPORT_ORGANISATION_MONTH,
    REPORT_OPERATOR_MONTH,
    REPORT_PROVINCE_MONTH,
    REPORT_QUALITY_MONTH,
    REPORT_INTEGRITY_MONTH,
    REPORT_RETURN_MONTH,
    REPORT_ATLAS_MONTH,
)
REPORT_COMMUNE_RESTATED: Final = _table(
    "report_commune_restated",
    "A month on the map of another day: every commune of that day, measured or not, and what belongs to none of them",
    ("boundaries_day", "network", "commune_code"),
    BOUNDARIES_DAY,
    NETWORK,
    _text(
        "commune_code",
        "Commune code of the registry on that day; not_attributable for measurements that belong to no one unit",
        "Mã xã",
    ),
    _text("commune_name", "Commune name without its kind", "Tên đơn vị"),
    COMMUNE_KIND,
    _text("district_code", "District code; empty from 07/2025", "Mã huyện"),
    _text("district_name", "District name; empty from 07/2025", "Cấp huyện"),
    *FIGURES,
    *MIX,
    *RANK,
)
REPORT_RESTATED_ORIGIN: Final = _table(
    "report_restated_origin",
    "Where the measurements of a restated month come from: by commune as of the day of measuring, and by how they were "
    "attributed",
    ("boundaries_day", "network", "origin_code", "attribution", "commune_code"),
    BOUNDARIES_DAY,
    NETWORK,
    _text("origin_code", "Commune code as of the day of measuring", "Mã xã khi đo"),
    _text("origin_name", "Name of that commune with its kind", "Đơn vị khi đo"),
    _text("origin_district_name", "District of that commune; empty from 07/2025", "Cấp huyện khi đo"),
    _text("origin_province_code", "Province of that commune", "Mã tỉnh khi đo"),
    _text(
        "attribution",
        "whole (all of the commune lies in this unit), coordinates (it lies in several units; this is the one of them "
        "where the coordinates lie); not attributable: no_location (several units, and no coordinates that lie in a "
        "unit of the map), located_elsewhere (several units, and coordinates in another one), no_succession (the "
        "registry does not say what became of it), other_province (the unit is of another province on that day)",
        "Cách phân bổ",
        ("whole", "coordinates", "no_location", "located_elsewhere", "no_succession", "other_province"),
    ),
    _text("commune_code", "Commune code on the map of the day, or not_attributable", "Mã xã"),
    _text("commune_name", "Name of that commune with its kind", "Đơn vị quy đổi"),
    _count("n_measurements", "Accepted measurements", "Lượt đo"),
)
RESTATED_TABLES: Final = (REPORT_COMMUNE_RESTATED, REPORT_RESTATED_ORIGIN)
WITHDRAWN: Final = (
    Column("withdrawn_at", "timestamp", "When it was withdrawn (UTC); blank where it was not", "Thu hồi lúc"),
    _text("withdrawn_by", "Who withdrew it", "Người thu hồi"),
    _text("withdrawn_why", "Why it was withdrawn", "Lý do thu hồi"),
    Column(
        "files_removed_at",
        "timestamp",
        "When the files of this superseded revision were removed from the share (UTC), where policy limits how long "
        "they are kept; its rows stay",
        "Xóa tệp lúc",
    ),
)
PUBLICATION: Final = Table(
    "publication",
    "Every revision that was published",
    ("month", "revision"),
    (
        MONTH,
        REVISION,
        _text("state", "published, superseded or withdrawn", "Trạng thái"),
        _text("fingerprint", "sha256 of inputs, policy, contract, rules and report tables", "Dấu vân nội dung"),
        _text("manifest_sha256", "sha256 of the revision's manifest.json", "sha256 của manifest.json"),
        _count("n_raw", "Rows received", "Dòng nhận"),
        _count("n_accepted", "Rows accepted", "Dòng chấp nhận"),
        _count("n_quarantined", "Rows quarantined", "Dòng cách ly"),
        Column("published_at", "timestamp", "When it was published (UTC)", "Phát hành lúc"),
        _text("published_by", "Who or what published it", "Người phát hành"),
        _text("why", "Why this revision: first issue, or what changed", "Vì sao"),
        *WITHDRAWN,
    ),
)
RESTATEMENT: Final = Table(
    "restatement",
    "Every revision of a month on the map of another day",
    ("month", "boundaries_day", "revision"),
    (
        MONTH,
        Column("revision", "integer", "Revision of the month on that map, from 1", "Bản quy đổi"),
        BOUNDARIES_DAY,
        Column(
            "month_revision", "integer", "Revision of the month's own publication that it restates", "Bản phát hành"
        ),
        _text("state", "published, superseded or withdrawn", "Trạng thái"),
        _text("fingerprint", "sha256 of inputs, policy, rules, month_revision and tables", "Dấu vân nội dung"),
        _text("manifest_sha256", "sha256 of the revision's manifest.json", "sha256 của manifest.json"),
        _count("n_measurements", "Measurements restated, of both networks", "Lượt đo"),
        _count(
            "n_from_other_province",
            "Of these, measurements in communes that then were of another province: no report_commune_month has them",
            "Từ tỉnh khác",
        ),
        _count("n_not_attributable", "Of these, measurements that belong to no one unit", "Không phân bổ được"),
        Column("published_at", "timestamp", "When it was published (UTC)", "Phát hành lúc"),
        _text("published_by", "Who or what published it", "Người phát hành"),
        _text("why", "Why this revision: first issue, or what changed", "Vì sao"),
        *WITHDRAWN,
    ),
)

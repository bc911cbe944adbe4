"""Phương pháp: how the figures are made, what each mark means, where they come from, whom to ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from xlsxwriter.worksheet import Worksheet

from ispeed.workbook import atlas, marks
from ispeed.workbook.content import Content
from ispeed.workbook.integrity import SIGNS
from ispeed.workbook.style import Styles
from ispeed.workbook.table_sheet import Field, Heading, lay_table_sheet
from ispeed.workbook.wording import day_text, month_text, number, percent

# What a recipient's short workbook needs of the notes below; its marks and its own notes come on top.
_SHORT: Final = (
    "Mẫu đại diện",
    "Thiết bị",
    "Di động, cố định",
    "Đơn vị cấp xã",
    "Mã giới thiệu",
    "Trung vị, phân vị",
    "Khoảng tin cậy 95%",
    "Tỷ lệ mẫu đạt mục tiêu",
    "Mức công bố, mức đánh giá",
    "Bảo vệ người đo",
    "Tỷ lệ người đo tối đa",
)
_NOT_SHORT_MARKS: Final = (marks.EMPTIED, marks.FIRST_ISSUE, marks.NOT_IN_REGISTRY)


@dataclass(frozen=True)
class _Note:
    group: str
    term: str
    text: str


def lay_method(sheet: Worksheet, styles: Styles, content: Content) -> None:
    """Everything that the provincial workbook explains."""
    lay_notes(sheet, styles, content, "PHƯƠNG PHÁP THỐNG KÊ, CHÚ GIẢI VÀ NGUỒN SỐ LIỆU", list(_notes(content)))


def lay_notes(sheet: Worksheet, styles: Styles, content: Content, title: str, notes: Sequence[_Note]) -> None:
    """One table of notes: term and explanation, by group."""
    heading = Heading(
        "phuong_phap",
        f"{title} THÁNG {month_text(content.month)}",
        f"Bảng gồm {number(len(notes))} mục: định nghĩa, cách tính, ký hiệu ở các ô không có số, nguồn và liên hệ.",
    )
    fields: list[Field[_Note]] = [
        Field("Nhóm", 100, "text", lambda note: note.group),
        Field("Mục", 168, "text", lambda note: note.term),
        Field("Giải thích", 412, "text", lambda note: note.text),
    ]
    lay_table_sheet(sheet, styles, content, heading, fields, notes, landscape=False)


def short_notes(content: Content, own: Sequence[tuple[str, str, str]]) -> list[_Note]:
    """The notes of a recipient's workbook: definitions, its `own` (group, term, text), the marks, whom to ask."""
    hidden = {mark.text for mark in _NOT_SHORT_MARKS}
    return [
        *(note for note in (*_definitions(content), *_statistics(content)) if note.term in _SHORT),
        *(_Note(*note) for note in own),
        *(note for note in _marks(content) if note.term not in hidden),
        *(note for note in _issue(content) if note.term != "Bản phát hành"),
    ]


def _notes(content: Content) -> Iterator[_Note]:
    yield from _definitions(content)
    yield from _statistics(content)
    yield from _signs(content)
    if atlas.has_atlas(content):
        yield from (_Note(atlas.SHEET, term, text) for term, text in atlas.notes(content))
    yield from _marks(content)
    yield from _sources(content)
    yield from _issue(content)


def _definitions(content: Content) -> Iterator[_Note]:
    policy = content.policy
    group = "Định nghĩa"
    yield _Note(
        group,
        "Lượt đo",
        "Một lần đo bằng ứng dụng i-Speed, đã qua kiểm tra và được chấp nhận (xem Chất lượng dữ liệu).",
    )
    yield _Note(
        group,
        "Mẫu đại diện",
        "Trung vị các lượt đo của một thiết bị trong cùng đơn vị cấp xã, nhà mạng, công nghệ và cùng một khoảng thời "
        f"gian ({policy.window}). Mỗi người dùng có trọng số như nhau dù đo nhiều hay ít. Lượt đo không có mã thiết "
        "bị được coi là một thiết bị riêng.",
    )
    yield _Note(group, "Thiết bị", "Số thiết bị khác nhau. Mã thiết bị được mã hóa một chiều ngay khi nhận số liệu.")
    yield _Note(
        group,
        "Di động, cố định",
        "Di động gồm 2G, 3G, 4G, 5G; cố định gồm WiFi và Cố định. Hai loại mạng luôn thống kê riêng, không gộp.",
    )
    yield from _places(content)
    yield _Note(
        group,
        "Mã giới thiệu",
        "Mã người đo nhập vào ứng dụng, cho biết đơn vị nào vận động đo; không nhất thiết là nơi đo.",
    )


def _places(content: Content) -> Iterator[_Note]:
    group = "Định nghĩa"
    if content.boundaries_day:
        day = day_text(content.boundaries_day)
        yield _Note(
            group,
            "Đơn vị cấp xã",
            f"Đơn vị theo địa giới hành chính ngày {day}, quy đổi từ đơn vị nơi đo vào ngày đo. Bảng nêu đủ mọi đơn vị "
            f"của tỉnh vào ngày {day}, kể cả đơn vị không có lượt đo. Mọi số liệu tính lại từ các lượt đo, mẫu đại "
            "diện lập lại trong đơn vị mới, không suy từ số liệu của đơn vị cũ.",
        )
        yield _Note(
            group,
            "Quy đổi",
            "Đơn vị nằm trọn trong một đơn vị của ngày quy đổi thì mọi lượt đo thuộc đơn vị đó. Đơn vị ứng với nhiều "
            "đơn vị (bị chia; hoặc do nhiều đơn vị nhập lại, khi quy đổi về ngày trước) thì lượt đo thuộc đơn vị mà "
            "tọa độ nằm trong, khi có bản đồ địa giới của ngày quy đổi và sai số vị trí không quá "
            f"{number(content.policy.low_location_accuracy_m)} m; còn lại ghi là không phân bổ được, vẫn nêu số lượt "
            "đo. Tổng số lượt đo không đổi; trang Nguồn gốc số liệu nêu từng đơn vị.",
        )
        return
    yield _Note(
        group,
        "Đơn vị cấp xã",
        "Đơn vị nơi đo, theo danh mục hành chính có hiệu lực vào ngày đo. Các bảng nêu đủ mọi đơn vị có hiệu lực vào "
        "ngày cuối tháng, kể cả đơn vị chưa có lượt đo.",
    )
    yield _Note(
        group,
        "Nơi đo",
        "Xác định theo khai báo trong tệp xuất (mã hoặc tên xã). Khi có bản đồ địa giới của ngày đo và sai số vị trí "
        f"không quá {number(content.policy.low_location_accuracy_m)} m, tọa độ được đối chiếu: khác xã khai báo hoặc "
        "xã của mã giới thiệu thì đánh dấu, số liệu vẫn tính theo khai báo; chỉ khi khai báo không xác định được xã "
        "thì mới tính theo tọa độ, và cũng đánh dấu.",
    )


def _statistics(content: Content) -> Iterator[_Note]:
    policy = content.policy
    group = "Cách tính"
    yield _Note(
        group,
        "Trung vị, phân vị",
        "Tính trên mẫu đại diện, nội suy tuyến tính giữa hai giá trị kề nhau; số công bố làm tròn hai chữ số thập "
        "phân.",
    )
    yield _Note(
        group,
        "Trung bình",
        "Trung bình cộng trên mẫu đại diện. Mục tiêu của Quyết định 36/QĐ-TTg và Quyết định 1110/QĐ-BTTTT tính theo "
        "trung bình; VNNIC công bố theo trung vị. Báo cáo nêu cả hai và ghi rõ từng loại.",
    )
    yield _Note(
        group,
        "Khoảng tin cậy 95%",
        "Hai cận của trung vị theo thống kê thứ tự (phân phối nhị thức với n mẫu và xác suất 1/2). Hai khoảng "
        "chồng lên nhau thì chưa đủ căn cứ nói nơi nào nhanh hơn.",
    )
    targets = "; ".join(f"{name} từ {number(speed)} Mbps" for name, speed in policy.targets.items())
    yield _Note(
        group,
        "Tỷ lệ mẫu đạt mục tiêu",
        f"Số mẫu đại diện có tốc độ tải xuống đạt mục tiêu ({targets}) chia cho số mẫu của các công nghệ đó. Các công "
        "nghệ khác không có mục tiêu và không tính vào.",
    )
    yield _Note(
        group,
        "Mức công bố, mức đánh giá",
        f"Từ {policy.publish_minimum} lượt đo một tháng thì công bố tốc độ; từ {policy.assess_minimum} lượt đo thì "
        "đủ để đánh giá theo yêu cầu của Bộ. Còn thiếu: số lượt đo cần thêm để đủ mức đánh giá.",
    )
    yield _Note(
        group,
        "Bảo vệ người đo",
        f"Nơi có dưới {policy.device_minimum} thiết bị chỉ nêu số đếm, không nêu tốc độ.",
    )
    yield _Note(
        group,
        "Thay đổi",
        "Trung vị tháng này trừ trung vị tháng trước như đã phát hành; chỉ so sánh khi đơn vị không đổi. Chiều thay "
        "đổi chỉ ghi tăng hoặc giảm khi khoảng tin cậy 95% của hai tháng không chồng lên nhau; còn lại là chưa rõ.",
    )
    yield _Note(
        group,
        "Hạng tải xuống",
        "Một cộng số đơn vị (hoặc nhà mạng cùng công nghệ) có khoảng tin cậy của trung vị nằm hẳn phía trên; khoảng "
        "chồng lên nhau thì cùng hạng.",
    )
    yield _Note(
        group,
        "Cơ cấu công nghệ, nhà mạng",
        "Số liệu của một đơn vị gộp các công nghệ di động và các nhà mạng: cơ cấu mẫu đại diện ghi ngay ở dòng đó. Số "
        "liệu của từng công nghệ ở từng xã có trong thư mục csv (report_commune_technology_month).",
    )
    yield _Note(
        group,
        "Nhịp đo, ngày đạt",
        "Số lượt đo chia cho số ngày từ đầu tháng đến ngày cuối cùng có số liệu của tỉnh. Ngày đạt là ngày có lượt đo "
        f"thứ {policy.assess_minimum}; nơi chưa đạt là ngày sẽ đạt nếu giữ nguyên nhịp đo, có thể sau khi hết tháng.",
    )
    yield _Note(
        group,
        "Tỷ lệ người đo tối đa",
        "Số thiết bị chia cho số người của cơ quan, không quá 100%: nhiều nhất bấy nhiêu người đã có thể đo ít nhất "
        "một lần trong tháng. Một người có thể dùng nhiều thiết bị và người ngoài cơ quan có thể dùng mã.",
    )
    if content.rows("report_return_month"):
        yield _Note(
            group,
            "Cơ quan báo cáo",
            "Số người, số người đã cài đặt, đã đo do cơ quan, đơn vị tự báo cáo bằng phiếu của tháng, đặt cạnh số đo "
            "theo mã giới thiệu mà cơ quan giữ; hai nguồn độc lập nên có thể khác nhau. Sổ tổng hợp báo cáo nêu từng "
            "phiếu.",
        )
    limits = "; ".join(f"{name} {number(speed)} Mbps" for name, speed in policy.speed_max.items())
    yield _Note(
        group,
        "Giá trị chấp nhận được",
        f"Tốc độ lớn hơn 0 và không quá mức tối đa của công nghệ ({limits}); độ trễ lớn hơn 0 và không quá "
        f"{number(policy.ping_max_ms)} ms. "
        f"Sai số vị trí trên {number(policy.low_location_accuracy_m)} m thì đánh dấu. Biến động trễ âm hoặc quá "
        f"{number(policy.ping_max_ms)} ms, tỷ lệ mất gói ngoài khoảng 0 đến 100%, vị trí không có thật thì nêu để xem "
        "xét, không loại.",
    )
    drift = policy.drift_threshold
    yield _Note(
        group,
        "So với các tháng trước",
        f"Tháng này đặt cạnh trung vị của tối đa {policy.drift_months} tháng đã phát hành ngay trước đó. Nêu để xem "
        f"xét, không dừng phát hành: lượt đo của một loại mạng nhiều hoặc ít hơn quá {_short(drift['volume'])} lần; "
        f"tỷ trọng của một nhà mạng chênh quá {_short(100 * drift['operator_share'])} điểm phần trăm; tỷ lệ dòng "
        f"không có mã thiết bị chênh quá {_short(100 * drift['no_device_share'])} điểm phần trăm; quá "
        f"{_short(100 * drift['new_device_share'])}% thiết bị chưa gặp ở các tháng ấy; trung vị tải xuống cao hoặc "
        f"thấp hơn quá {_short(drift['download_median'])} lần (từ {policy.assess_minimum} lượt đo).",
    )


def _short(value: float) -> str:
    """A threshold without decimals that say nothing: 2 and 1,5."""
    return number(value, 2).rstrip("0").removesuffix(",")


def _signs(content: Content) -> Iterator[_Note]:
    policy = content.policy.integrity
    group = "Dấu hiệu bất thường"
    yield _Note(
        group,
        "Cách xét",
        f"Xét các mã có từ {number(policy.n_measurements)} lượt đo, gộp cả hai loại mạng. Mỗi dấu hiệu có một mức "
        "thông thường do chính sách quy định. Ngưỡng của mã là giá trị nhỏ nhất mà một mã ở đúng mức đó, với cùng số "
        f"trường hợp, chỉ đạt tới do ngẫu nhiên với xác suất không quá 1/{number(1 / policy.chance)} (phân phối nhị "
        "thức); mã ít trường hợp thì ngưỡng cao hơn, quá ít thì không xét. Dấu hiệu không phải kết luận; thiếu dấu "
        "hiệu cũng không chứng tỏ mọi lượt đo đều đúng cách.",
    )
    numbers = {name: number(value) for name, value in policy.rule.items()}
    for indicator, sign in SIGNS.items():
        level = policy.levels[indicator]
        usual = percent(level) if indicator.endswith("_share") else number(level, 1)
        yield _Note(
            group,
            sign.name,
            f"{sign.definition.format_map(numbers)} Mức thông thường: đến {usual}. Xét khi có từ "
            f"{number(policy.fewest_cases[indicator])} {sign.cases}.",
        )


def _marks(content: Content) -> Iterator[_Note]:
    known = [
        *(
            mark
            for mark in marks.reason_marks(content.policy).values()
            if content.boundaries_day or mark != marks.NOT_ATTRIBUTABLE
        ),
        marks.WITHHELD,
        *marks.CHANGE_MARKS.values(),
        *marks.CHANGE_SIGNS.values(),
        marks.NOT_MEASURED,
        marks.TOO_FEW_FOR_INTERVAL,
        marks.NO_TARGET,
        marks.NO_HEADCOUNT,
        *((marks.NOT_RETURNED, marks.NOT_ASKED) if content.rows("report_return_month") else ()),
        marks.NOT_IN_REGISTRY,
        marks.NO_TEXT,
        marks.NO_EARLIER_MONTH,
        marks.EMPTIED,
        marks.NONE_FOUND,
        marks.FIRST_ISSUE,
        *(
            (marks.ATLAS_NO_FIGURE, marks.NOT_IN_ATLAS_REGISTRY, marks.NO_DIFFERENCE)
            if atlas.has_atlas(content)
            else ()
        ),
    ]
    for text in dict.fromkeys(mark.text for mark in known):
        meanings = dict.fromkeys(mark.meaning for mark in known if mark.text == text)
        meaning = "; ".join(meanings)
        if text == marks.NOT_APPLICABLE.text:
            meaning = f"{meaning}; ở bảng không có cột Trạng thái: {marks.NOT_APPLICABLE.meaning}"
        yield _Note("Ký hiệu", text, f"{meaning[0].upper()}{meaning[1:]}.")


def _sources(content: Content) -> Iterator[_Note]:
    group = "Nguồn số liệu"
    yield _Note(
        group,
        "i-Speed",
        "Số liệu đo của người dùng ứng dụng i-Speed do Trung tâm Internet Việt Nam (VNNIC) cung cấp.",
    )
    for source in content.sources:
        yield _Note(group, source.name, f"{number(source.n_bytes)} byte; sha256 {source.sha256}")
    if content.is_sample:
        yield _Note(
            group,
            "DỮ LIỆU MẪU",
            "Số liệu trong sổ này được tạo ra để chạy thử, không phải kết quả đo; không dùng để báo cáo.",
        )


def _issue(content: Content) -> Iterator[_Note]:
    policy = content.policy
    group = "Phát hành"
    yield _Note(group, "Cơ quan phát hành", policy.issuer)
    yield _Note(group, "Liên hệ", policy.contact)
    yield _Note(group, "Kỳ phát hành tiếp theo", f"Dự kiến ngày {day_text(policy.next_release)}")
    yield _Note(group, "Giấy phép sử dụng", policy.licence)
    yield _Note(
        group,
        "Bản phát hành",
        f"r{content.revision}. Số liệu đã phát hành không sửa tại chỗ: có thay đổi thì ra bản mới, nêu từng ô thay đổi "
        "ở trang Thay đổi; bản cũ được giữ nguyên.",
    )

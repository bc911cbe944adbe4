"""Collecting a month's returns: each file lands, is read by itself, and has an outcome; a bad one stops no other."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from ispeed.arrival_looks import Late, Problem, ReturnsLook, note_look
from ispeed.arrivals import note_arrival, read_arrival
from ispeed.child import ReadingProcess
from ispeed.error_texts import in_vietnamese, place_in_vietnamese
from ispeed.errors import UserError
from ispeed.incoming import SetAside, Why, bring_returns
from ispeed.lake import month_lock, write_file
from ispeed.months import LOCAL_ZONE, Month
from ispeed.return_folder import BYTES_MAX, DEPTH_MAX, files_of
from ispeed.returns.bodies import Body, asked_bodies, deadline_of
from ispeed.returns.form import FIGURES, VERSION
from ispeed.returns.reading import Figure, Filled, read_forms
from ispeed.settings import Settings
from ispeed.text import fold
from ispeed.workbook.wording import number

log = logging.getLogger(__name__)

_SECONDS_MAX: Final = 60.0
# How far from the registry's headcount a body's own may be without a word.
_FAR: Final = 0.2
_NAMES: Final = {
    "headcount": "tổng số người",
    "n_installed": "số người đã cài đặt",
    "n_measured": "số người đã đo",
}
_FILE: Final = "tệp xlsx của biểu mẫu"
# What is not read, here or at an address: found, expected, what to do.
_NOT_READ: Final[Mapping[Why, tuple[str, str, str]]] = {
    "no file": ("không phải tệp (liên kết hoặc thiết bị)", _FILE, "chép chính tệp đó vào"),
    "deep": (f"thư mục nằm sâu quá {DEPTH_MAX} cấp", _FILE, "chép các tệp trong đó ra thư mục ngoài"),
    "name": (
        "tên có ký tự không hiển thị được, quá dài hoặc dẫn ra thư mục khác",
        "tên gồm chữ, số và dấu thông thường",
        "đổi tên",
    ),
    "size": (
        f"tệp lớn hơn {number(BYTES_MAX)} byte",
        f"{_FILE}, khoảng 10.000 byte",
        "điền vào đúng tệp biểu mẫu đã nhận rồi gửi lại",
    ),
    "twice": ("một tệp và một thư mục cùng tên", "mỗi tên một lần", "đổi tên thư mục"),
}
State = Literal["accepted", "superseded", "refused"]


@dataclass(frozen=True)
class Outcome:
    """What became of one form of one file, in a line of Vietnamese. `code` is the body's, empty where none is known;
    `error` is why it was refused.
    """

    file: str
    sheet: str
    code: str
    state: State
    message: str
    error: UserError | None = field(default=None, repr=False, compare=False)

    @classmethod
    def refused(cls, file: str, sheet: str, code: str, error: UserError) -> Outcome:
        return cls(file, sheet, code, "refused", _line(error), error)

    @property
    def told(self) -> dict[str, str]:
        """What a revision tells of it."""
        return {name: getattr(self, name) for name in ("file", "sheet", "code", "state", "message")}


@dataclass(frozen=True)
class Collected:
    """What a look at the folder of returns found. `is_new`: another document than was noted before."""

    outcomes: tuple[Outcome, ...]
    missing: tuple[Body, ...]
    n_asked: int
    is_new: bool


@dataclass(frozen=True)
class _Return:
    """A form that passed all checks but that there may be a later one."""

    file: str
    place: int
    form: Filled
    body: Body
    submitted_at: datetime
    numbers: Mapping[str, int]
    note: str


def collect_returns(settings: Settings, month: Month) -> Collected:
    """Land and read every file of the month's folder of returns, and note what counts in the lake.

    Where no file ever came, nothing is noted. Raises `UserError` only where the registry has not been synced or there
    are more files than anyone sends.
    """
    bodies = asked_bodies(settings, month)
    noted = read_arrival(settings, month, "returns")
    folder, aside = bring_returns(settings, month)
    paths = list(files_of(folder))
    refused = tuple(map(_not_read, aside))
    if not paths:
        log.info("Returns of %s: no file in %s.", month, settings.returns_uri or folder)
        missing = _note_look(settings, month, bodies, noted.document["rows"] if noted else (), refused)
        for outcome in refused:
            log.warning("%s: %s", outcome.state, outcome.message)
        return Collected(refused, missing, len(bodies), is_new=False)
    submitted = dict(noted.document.get("submitted", {})) if noted else {}
    outcomes = list(refused)
    found: list[_Return] = []
    with ExitStack() as stack:
        process: ReadingProcess | None = None
        for name, path in paths:
            try:
                landed, sha256, modified = _land(settings, month, name, path)
                # The same bytes were sent when they were first seen, whoever copied them since.
                submitted[sha256] = min(submitted.get(sha256, modified), modified)
                if process is None or not process.is_alive:
                    process = ReadingProcess(_bounded(settings))
                    stack.callback(process.close)
                forms = _read(settings, process, landed, name)
            except UserError as error:
                outcomes.append(Outcome.refused(name, "", "", error))
                continue
            moment = datetime.fromisoformat(submitted[sha256])
            for place, form in enumerate(_chosen(forms)):
                judged = _judge(name, place, form, bodies, month, moment)
                if isinstance(judged, _Return):
                    found.append(judged)
                else:
                    outcomes.append(judged)
    rows = [
        _row(counted, deadline_of(settings, month))
        for counted in _latest(found, outcomes, deadline_of(settings, month))
    ]
    outcomes.sort(key=lambda outcome: (outcome.file, outcome.sheet, outcome.state))
    for outcome in outcomes:
        log.log(
            logging.INFO if outcome.state == "accepted" else logging.WARNING, "%s: %s", outcome.state, outcome.message
        )
    document = {
        "asked_kinds": list(settings.returns_asked),
        "deadline": deadline_of(settings, month).isoformat(),
        "rows": sorted(rows, key=lambda row: str(row["organisation_code"])),
        "told": [outcome.told for outcome in outcomes],
        "submitted": submitted,
    }
    arrival = note_arrival(settings, month, "returns", document)
    missing = _note_look(settings, month, bodies, rows, outcomes)
    is_new = noted is None or noted.origin["shown"] != arrival.origin["shown"]
    return Collected(tuple(outcomes), missing, len(bodies), is_new)


def _read(settings: Settings, process: ReadingProcess, landed: Path, name: str) -> Any:
    """The forms in a file. Raises `UserError` for whatever its reader makes of it: one odd file stops no other.

    A fault before it is read (no room, no process) is none of the file's, and is tried again.
    """
    try:
        return process.call(name, read_forms, _bounded(settings), landed, name)
    except UserError:
        raise
    except Exception as error:
        log.warning("%s cannot be read", name, exc_info=True)
        found = f"{type(error).__name__}: không đọc được"
        raise UserError(f"tệp {name}", found, "phiếu theo biểu mẫu", "điền lại biểu mẫu, gửi lại") from error


def _not_read(entry: SetAside) -> Outcome:
    """An entry at an address that did not come in: it stops no other."""
    return Outcome.refused(entry.name, "", "", UserError(entry.name, *_NOT_READ[entry.why]))


def _bounded(settings: Settings) -> Settings:
    return replace(
        settings,
        file_bytes_max=min(settings.file_bytes_max, 5 * BYTES_MAX),
        read_seconds=min(settings.read_seconds, _SECONDS_MAX),
    )


def _land(settings: Settings, month: Month, name: str, path: Path) -> tuple[Path, str, str]:
    """Copy a file to the lake: where it is there, its sha256, and when it was last changed."""
    if path.is_symlink() or not path.is_file():
        is_folder = path.is_dir() and not path.is_symlink()
        raise UserError(name, *_NOT_READ["deep" if is_folder else "no file"])
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
            modified = os.fstat(file.fileno()).st_mtime
    except OSError as error:
        raise UserError(
            name, f"không đọc được tệp ({error.strerror})", "tệp đọc được", "kiểm tra quyền rồi chép lại"
        ) from error
    if len(content) > BYTES_MAX:
        raise UserError(name, *_NOT_READ["size"])
    sha256 = hashlib.sha256(content).hexdigest()
    landed = settings.lake_of("returns", month) / "landed" / sha256
    if not landed.exists():
        with month_lock(settings, month, to_replace=False):
            write_file(landed, content)
    return landed, sha256, datetime.fromtimestamp(int(modified), UTC).isoformat()


def _note_look(
    settings: Settings,
    month: Month,
    bodies: Sequence[Body],
    rows: Sequence[Mapping[str, Any]],
    outcomes: Sequence[Outcome],
) -> tuple[Body, ...]:
    """Note for the page in Airflow what this look found; those who have not returned."""
    returned = {row["organisation_code"]: row for row in rows}
    names = {body.code: body.name for body in bodies}
    missing = tuple(body for body in bodies if body.code not in returned)
    late = (
        Late(names[code], row["submitted_at"]) for code, row in returned.items() if row["is_late"] and code in names
    )
    refused = (Problem.of(names.get(one.code, ""), one.error) for one in outcomes if one.error is not None)
    look = ReturnsLook(
        looked_at=datetime.now(UTC).isoformat(timespec="seconds"),
        deadline=deadline_of(settings, month).isoformat(),
        n_asked=len(bodies),
        n_returned=len(bodies) - len(missing),
        late=tuple(late),
        missing=tuple(body.name for body in missing),
        refused=tuple(refused),
    )
    note_look(settings, month, "returns", look)
    return missing


def _chosen(forms: Sequence[Filled]) -> list[Filled]:
    """The forms of a file without the copies that nobody filled in or that are hidden, where another is there."""

    def of_same(form: Filled) -> list[Filled]:
        return [other for other in forms if (other.code, other.name) == (form.code, form.name)]

    return [
        form
        for form in forms
        if not (form.is_empty and any(not other.is_empty for other in of_same(form)))
        and not (form.is_hidden and any(not (other.is_hidden or other.is_empty) for other in of_same(form)))
    ]


def _judge(
    file: str, place: int, form: Filled, bodies: Sequence[Body], month: Month, moment: datetime
) -> _Return | Outcome:
    """The form as a return, or why it is none."""
    where = f"{file}, trang “{form.sheet}”" if form.sheet else file
    code = form.code.body_code if form.code else ""

    def refused(found: str, expected: str, remedy: str, at: str = "") -> Outcome:
        error = UserError(where + (f", ô {at}" if at else ""), found, expected, remedy)
        return Outcome.refused(file, form.sheet, code, error)

    told_month = str(form.code.month) if form.code else form.month_told
    if form.code is not None and form.code.version != VERSION:
        return refused(
            f"biểu mẫu phiên bản {form.code.version}", f"phiên bản {VERSION}", "dùng biểu mẫu đã gửi cho tháng này"
        )
    if told_month != str(month):
        found = f"phiếu của tháng {told_month}" if told_month else "phiếu không còn ghi tháng nào"
        return refused(
            found, f"phiếu tháng {month}", f"điền biểu mẫu của tháng {month}, hoặc chép tệp vào đúng thư mục tháng"
        )
    known = [body for body in bodies if (body.code == code if form.code else fold(body.name) == form.name)]
    if len(known) != 1:
        found = f"mã cơ quan “{code}”" if form.code else f"phiếu mất dòng “Mã phiếu”, tên ghi “{form.name}”"
        return refused(
            f"{found} không thuộc danh sách được yêu cầu báo cáo",
            "một cơ quan, đơn vị được yêu cầu báo cáo trong tháng",
            "dùng đúng biểu mẫu của cơ quan, đơn vị; nếu danh mục thiếu thì bổ sung danh mục",
        )
    [body] = known
    code = body.code
    if form.is_empty:
        return refused("phiếu trống", "ba số: " + ", ".join(_NAMES.values()), "điền rồi gửi lại")
    for figure in FIGURES:
        one = form.figures[figure]
        if one.value is None:
            found = one.problem or "ô trống"
            return refused(
                f"{_NAMES[figure]}: {found}",
                "số nguyên, đơn vị người",
                "ghi số người vào ô “Số lượng” rồi gửi lại",
                one.place,
            )
    problem = _disorder(form.figures)
    if problem:
        return refused(*problem)
    numbers = {figure: form.figures[figure].value or 0 for figure in FIGURES}
    return _Return(file, place, form, body, moment, numbers, _far(body, numbers["headcount"]))


def _disorder(figures: Mapping[str, Figure]) -> tuple[str, str, str, str] | None:
    """What is wrong between the three numbers: found, expected, remedy, cell."""
    staff, installed, measured = (figures[figure] for figure in FIGURES)
    assert staff.value is not None and installed.value is not None and measured.value is not None
    remedy = "kiểm tra hai số, sửa rồi gửi lại"
    if staff.value == 0:
        return f"{_NAMES['headcount']} bằng 0", "số lớn hơn 0", "ghi tổng số người rồi gửi lại", staff.place
    for most, least, names in (
        (staff, installed, ("headcount", "n_installed")),
        (installed, measured, ("n_installed", "n_measured")),
    ):
        assert most.value is not None and least.value is not None
        if least.value > most.value:
            share = f" ({number(least.value / most.value * 100, 1)}%)" if most.value else ""
            return (
                f"{_NAMES[names[1]]} {number(least.value)} lớn hơn {_NAMES[names[0]]} {number(most.value)}{share}",
                f"{_NAMES[names[1]]} không lớn hơn {_NAMES[names[0]]}",
                remedy,
                least.place,
            )
    return None


def _far(body: Body, headcount: int) -> str:
    if body.headcount is None or abs(headcount - body.headcount) <= _FAR * max(body.headcount, 5):
        return ""
    return f"; lưu ý: tổng số {number(headcount)} người khác xa danh mục ({number(body.headcount)} người)"


def _latest(found: Sequence[_Return], outcomes: list[Outcome], deadline: datetime) -> list[_Return]:
    """Of each body the return that was sent last; the outcomes of all are added."""
    counted: dict[str, _Return] = {}
    # Sent at the same moment: by name, then by the order of sheets.
    for one in sorted(found, key=lambda one: (one.submitted_at, one.file, one.place)):
        counted[one.body.code] = one
    for one in found:
        last = counted[one.body.code]
        numbers = "/".join(number(one.numbers[figure]) for figure in FIGURES)
        told = f"{one.file}: {one.body.name}, {numbers} người (tổng số/đã cài đặt/đã đo){one.note}"
        if one.submitted_at >= deadline:
            sent_at = one.submitted_at.astimezone(ZoneInfo(LOCAL_ZONE))
            told += f"; gửi muộn, lúc {sent_at:%H:%M ngày %d/%m/%Y}"
        if one is last:
            outcomes.append(Outcome(one.file, one.form.sheet, one.body.code, "accepted", told))
        else:
            where = last.file if last.file != one.file else f"trang “{last.form.sheet}” của cùng tệp"
            told = f"{told}; không tính vì có phiếu gửi sau: {where}"
            outcomes.append(Outcome(one.file, one.form.sheet, one.body.code, "superseded", told))
    return list(counted.values())


def _row(one: _Return, deadline: datetime) -> dict[str, Any]:
    return {
        "organisation_code": one.body.code,
        **one.numbers,
        "submitted_at": one.submitted_at.isoformat(),
        "is_late": one.submitted_at >= deadline,
        "source_file": one.file,
    }


def _line(error: UserError) -> str:
    # Most are Vietnamese as they are; those of whoever reads the files are not.
    found, expected, remedy = map(in_vietnamese, (error.found, error.expected, error.remedy))
    return f"{place_in_vietnamese(error.where)}: {found}; cần: {expected}; cách sửa: {remedy}"

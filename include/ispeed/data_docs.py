"""Data Docs: what Great Expectations' own renderer makes of each suite's run, on pages that need no network.

Its pages load styles and scripts from seven hosts and carry run times and random ids. Here its sections stand on a
page of ours, so that a share without a network shows them and the same month gives the same bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ispeed.lake import write_file
from ispeed.months import Month
from ispeed.settings import Settings
from ispeed.workbook.content import CheckLine
from ispeed.workbook.wording import ACTIONS, SAMPLE_MARK, SEVERITIES, TABLES, month_text, number

if TYPE_CHECKING:
    from ispeed.checks import CheckResult, Rule

log = logging.getLogger(__name__)

INDEX: Final = "index.html"
_SAMPLE_PLACE: Final = "<!-- sample mark -->"
STYLE: Final = """
body { font: 15px/1.5 "Segoe UI", Arial, sans-serif; color: #1f2328; max-width: 1100px; margin: 2rem auto;
  padding: 0 1.5rem }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0 1.5rem }
th, td { border: 1px solid #c8ccd1; padding: 0.35rem 0.6rem; text-align: left; vertical-align: top }
td.n { text-align: right }
h5 { font-size: 1.15rem; margin: 1.5rem 0 0.3rem } h6 { font-size: 1rem; margin: 0.8rem 0 0.2rem }
a { color: #0b57d0 } .sample { color: #b42318; font-weight: bold }
.fa-check-circle::before { content: "\\2713"; color: #1a7f37 } .fa-times::before { content: "\\2717"; color: #b42318 }
.fa-exclamation-triangle::before { content: "!"; color: #9a6700; font-weight: bold }
.fas { font-style: normal; font-weight: bold }
""".strip()
# `section.j2` and what it includes are Great Expectations' own.
_PAGE: Final = """<!DOCTYPE html>
<html lang="vi">
<head><meta charset="utf-8"><title>{{ heading }}</title><style>{{ style|safe }}</style></head>
<body>
<p><a href="index.html">← Kiểm tra chất lượng dữ liệu</a></p>
{{ sample_place|safe }}
<h1>{{ heading }}</h1>
{% for section in sections %}{% set section_loop = loop %}{% include "section.j2" %}{% endfor %}
</body>
</html>
"""


def describe(rule: Rule) -> str:
    """What a page says of a rule: its description, how severe it is, what a failing row gets and with which reason."""
    reason = f" ({rule.reason_vi}, {rule.reason})" if rule.reason else ""
    severity = SEVERITIES.get(rule.severity, rule.severity)
    # Great Expectations puts descriptions into the page as they are, and reads $name as a parameter.
    return escape(f"{rule.description_vi}. {severity} – {ACTIONS[rule.on_failure]}{reason}").replace("$", "&#36;")


@dataclass(frozen=True)
class Pages:
    """The pages of one month in the lake: of its last run, also where that stopped."""

    folder: Path
    month: Month

    @classmethod
    def of(cls, settings: Settings, month: Month) -> Pages:
        return cls(settings.lake_of("data-docs", month), month)

    def write(self, table: str, outcomes: Sequence[Any]) -> None:
        """Write `<table>.html` from a suite's validation results, as Great Expectations gave them, in order."""
        from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
        from great_expectations.render.renderer import ValidationResultsPageRenderer

        n_passed = sum(bool(outcome.success) for outcome in outcomes)
        result = ExpectationSuiteValidationResult(
            success=n_passed == len(outcomes),
            results=list(outcomes),
            suite_name=table,
            meta={"batch_spec": {"data_asset_name": table}},
            statistics={
                "evaluated_expectations": len(outcomes),
                "successful_expectations": n_passed,
                "unsuccessful_expectations": len(outcomes) - n_passed,
                "success_percent": 100 * n_passed / len(outcomes) if outcomes else None,
            },
        )
        document = ValidationResultsPageRenderer().render(result)
        # Header and statistics; the block behind them holds run time and a random id, for scripts that are not here.
        document.sections[0].content_blocks = document.sections[0].content_blocks[:2]
        heading = f"{TABLES.get(table, table)}, tháng {month_text(self.month)}"
        page: str = _page_template().render(
            **document.to_json_dict(), heading=heading, style=STYLE, sample_place=_SAMPLE_PLACE
        )
        # There are no pages of suites without results to lead to.
        page = page.replace(f'<a href="../../../../expectations/{table}.html" >{table}</a>', table)
        write_file(self.folder / f"{table}.html", page.encode())
        log.info("data docs of %s: %s", table, self.folder / f"{table}.html")

    def read(self, table: str, *, is_sample: bool) -> str | None:
        """One suite's page as a reader gets it, None where there is none yet."""
        try:
            page = (self.folder / f"{table}.html").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return page.replace(_SAMPLE_PLACE, _sample_mark(is_sample))

    def index(self, checks: Sequence[CheckLine | CheckResult], *, is_sample: bool) -> str:
        """The page that leads to the pages of the suites that `checks` (of all steps) come from."""
        rows = []
        for table in dict.fromkeys(check.table for check in checks):
            name = escape(TABLES.get(table, table))
            if (self.folder / f"{table}.html").exists():
                name = f'<a href="{table}.html">{name}</a>'
            of_table = [check for check in checks if check.table == table]
            failed = [check for check in of_table if not check.passed]
            rows.append(
                f'<tr><td>{name}</td><td>{table}</td><td class="n">{number(len(of_table))}</td>'
                f'<td class="n">{number(len(failed))}</td>'
                f"<td>{'<br>'.join(escape(check.description_vi) for check in failed)}</td></tr>"
            )
        heading = f"Kiểm tra chất lượng dữ liệu tháng {month_text(self.month)}"
        return (
            f'<!DOCTYPE html>\n<html lang="vi">\n<head><meta charset="utf-8"><title>{heading}</title>'
            f"<style>{STYLE}</style></head>\n<body>\n{_sample_mark(is_sample)}\n<h1>{heading}</h1>\n"
            "<p>Mỗi trang do Great Expectations lập từ kết quả chạy một bộ kiểm tra.</p>\n"
            "<table>\n<tr><th>Bảng</th><th>Tên bảng</th><th>Số phép kiểm tra</th><th>Không đạt</th>"
            "<th>Phép không đạt</th></tr>\n" + "\n".join(rows) + "\n</table>\n</body>\n</html>\n"
        )

    def publish(self, target: Path, checks: Sequence[CheckLine], *, is_sample: bool) -> None:
        """Copy the pages of the suites that `checks` come from, with the page that leads there."""
        target.mkdir()
        for table in dict.fromkeys(check.table for check in checks):
            page = self.read(table, is_sample=is_sample)
            if page is not None:
                (target / f"{table}.html").write_text(page, encoding="utf-8")
        (target / INDEX).write_text(self.index(checks, is_sample=is_sample), encoding="utf-8")


@cache
def _page_template() -> Any:
    """Kept for the suites of a process: its parts take longer to compile than a page takes to fill in."""
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView().env.from_string(_PAGE)


def _sample_mark(is_sample: bool) -> str:
    return f'<p class="sample">{SAMPLE_MARK}</p>' if is_sample else ""

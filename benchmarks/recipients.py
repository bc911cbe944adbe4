"""Workbooks of many recipients: how long they take, how much memory, how large they are.

    PYTHONPATH=include .venv/bin/python benchmarks/recipients.py --recipients 400

The month is made up: 65 communes, and organisations of every kind, each with two codes. Memory is the most that the
writing process had, as the system tells its parent.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

N_COMMUNES = 65
KINDS = ("school", "department", "school", "other")


def main() -> None:
    """Print recipients, seconds, milliseconds a workbook, peak memory and size as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipients", type=int, default=400)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.write:
        print(json.dumps(_write(chosen.recipients, chosen.write)))
        return
    with TemporaryDirectory(prefix="ispeed-recipients-") as folder:
        command = [sys.executable, __file__, "--recipients", str(chosen.recipients), "--write", folder]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        files = list((Path(folder) / "don-vi").glob("*.xlsx"))
        n_bytes = sum(file.stat().st_size for file in files)
    measured = json.loads(ran.stdout)
    peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    seconds = measured["seconds"]
    print(
        json.dumps(
            {
                "recipients": len(files),
                "seconds": seconds,
                "cpu_s": measured["cpu_s"],
                "ms_each": round(1000 * seconds / len(files), 1),
                "peak_mb": round(peak_kb / 1024),
                "peak_mb_before": measured["peak_mb_before"],
                "written_mb": round(n_bytes / 1e6, 1),
            }
        )
    )


def _write(n_recipients: int, folder: Path) -> dict[str, float]:
    from ispeed.month_content import workbook_policy
    from ispeed.months import Month
    from ispeed.policy import read_policy
    from ispeed.recipient_files import write_recipients
    from ispeed.settings import INCLUDE
    from ispeed.tables import REPORT_TABLES
    from ispeed.workbook.content import Content

    month = Month(2025, 8)
    columns = {table.name: dict.fromkeys(table.column_names) for table in REPORT_TABLES}
    key = {"month": month.first_day, "revision": 1, "network": "mobile"}

    def figures(n: int) -> dict[str, object]:
        row: dict[str, object] = {"n_measurements": n, "n_samples": n * 3 // 4, "n_devices": n // 3, **key}
        row |= {"n_missing_to_publish": max(0, 30 - n), "n_missing_to_assess": max(0, 300 - n)}
        row |= {"technology_mix": f"4G {n * 3 // 4}", "change_reason": None, "change_sign": "unclear"}
        if n < 30:
            return row | {"reason": "below_publish_minimum" if n else "no_samples", "change_reason": "blank_now"}
        speeds = {name: 40 + n / 7 for name in columns["report_commune_month"] if name.endswith(("_median", "_mean"))}
        row |= {"download_mbps_ci_low": 35 + n / 7, "download_mbps_ci_high": 45 + n / 7, "share_at_target": 0.6}
        return row | speeds | {"download_mbps_median_change": 1.5}

    communes, codes, bodies = [], [], []
    for index in range(N_COMMUNES):
        unit = {"commune_code": f"{22000 + index}", "commune_name": f"Diên Thọ {index}", "kind": "xã"}
        communes.append(columns["report_commune_month"] | figures(index * 37 % 420) | unit)
    for index in range(n_recipients - N_COMMUNES):
        code = f"TRUONG-{index}"
        body = {"organisation_code": code, "organisation_name": f"Trường Cao đẳng Kỹ thuật Công nghệ số {index}"}
        body |= {"organisation_kind": KINDS[index % len(KINDS)], "headcount": 120, "staff_share_at_most": 0.25}
        bodies.append(
            columns["report_organisation_month"] | figures(index * 53 % 500) | body | {"n_measurements_per_head": 0.5}
        )
    holders = [("commune", row["commune_code"], row["commune_name"]) for row in communes]
    holders += [("organisation", row["organisation_code"], row["organisation_name"]) for row in bodies]
    for index, (kind, code, name) in enumerate(holders):
        holder = {"holder_kind": kind, "holder_code": code, "holder_name": name}
        for part in (1, 2):
            row = columns["report_referral_code_month"] | figures((index + part) % 90) | holder
            codes.append(row | {"referral_code": f"M{code}-{part}"})
    tables = {
        "report_commune_month": communes,
        "report_referral_code_month": codes,
        "report_organisation_month": bodies,
    }
    content = Content(
        month=month,
        revision=1,
        tables=tables,
        policy=workbook_policy(read_policy(INCLUDE / "policy.yaml", month.last_day), month),
        checks=[],
        reasons={},
        sources=[],
        changes=[],
        change_causes=[],
        is_sample=True,
        previous_counts=tables,
    )
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, worked = time.perf_counter(), time.process_time()
    write_recipients(folder / "don-vi", content, {})
    return {
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_s": round(time.process_time() - worked, 2),
        "peak_mb_before": round(before_kb / 1024),
    }


if __name__ == "__main__":
    main()

"""
### Phát hành báo cáo của tháng

Tính các bảng báo cáo, kiểm tra, viết sổ Excel, rồi phát hành vào thư mục dùng chung. Bản đang phát hành chỉ được thay
khi mọi bước đã xong; các bản cũ giữ nguyên.

- **Đầu vào:** lớp `core` của tháng trong `ISPEED_LAKE`, danh mục, chính sách `policy.yaml`, và bản đã phát hành của
  tháng trước (để tính thay đổi).
- **Đầu ra:** các bảng `report_…` và `publication` trong cơ sở dữ liệu báo cáo (`ISPEED_DB`); thư mục
  `ISPEED_SHARE/YYYY-MM/rN/` gồm sổ Excel của tỉnh, `don-vi/` cho từng nơi nhận, `index.html`, `quarantine.csv`,
  `data-docs/`, `csv/`, `manifest.json`; `latest.json` chỉ bản hiện hành, `ISPEED_SHARE/index.html` liệt kê mọi tháng.
  Khi có `boundaries`: các bảng `report_commune_restated`, `report_restated_origin`, `restatement`
  và thư mục `ISPEED_SHARE/YYYY-MM/restated/YYYY-MM-DD/rN/`.
- **Lịch:** tự chạy cho đúng tháng vừa được `ingest_measurements` nạp xong, mỗi lần một tháng, theo thứ tự; chạy lại
  cho tháng đã phát hành khi `collect_returns` nhận thêm phiếu báo cáo, hoặc `compare_atlas` nhận số liệu VNNIC khác với
  bản đang phát hành.
- **Làm lại:** chạy lại tháng ở `ingest_measurements`; hoặc, nếu chỉ chính sách thay đổi, bấm *Trigger* ở đây với
  partition key `2024-10`. Không có gì thay đổi thì không phát hành gì; có thay đổi thì phát hành bản kế tiếp.
  Điền `boundaries` (ví dụ 2025-07-01) để quy đổi theo địa giới ngày đó; tháng đã quy đổi thì lần sau tự quy đổi lại.
- **Duyệt:** khi đặt `ISPEED_APPROVAL=1`, tháng có cảnh báo chờ người duyệt trả lời ở *Required Actions* trước khi phát
  hành; từ chối hoặc quá `ISPEED_APPROVAL_HOURS` thì không phát hành, bản đang phát hành giữ nguyên.
  Trong lúc chờ, không tháng nào khác được phát hành.
"""

from __future__ import annotations

from airflow.sdk import PartitionedAssetTimetable, chain, dag

from ispeed.airflow import (
    ATLAS,
    CORE_MEASUREMENT,
    REPORTS,
    RETURNS,
    approval,
    boundaries_of,
    check_step,
    leave_held_month,
    monthly,
    run_of,
    step,
)


@dag(
    dag_display_name="Phát hành báo cáo của tháng",
    doc_md=__doc__,
    schedule=PartitionedAssetTimetable(assets=CORE_MEASUREMENT | RETURNS | ATLAS),
    max_active_runs=1,
    **monthly(),
)
def publish_reports():
    @step(task_display_name="Tính các bảng báo cáo")
    def build_reports(**context):
        from ispeed import reports

        leave_held_month(context)
        return reports.build_reports(*run_of(context))

    @check_step(task_display_name="Kiểm tra các bảng báo cáo")
    def check_reports(**context):
        from ispeed import reports

        return reports.check_reports(*run_of(context))

    @step(task_display_name="Viết sổ Excel")
    def write_workbooks(**context):
        from ispeed import draft

        return draft.write_workbooks(*run_of(context))

    @step(task_display_name="Phát hành vào thư mục dùng chung", outlets=[REPORTS])
    def publish(**context):
        from ispeed import share

        return share.publish(*run_of(context))

    @step(task_display_name="Quy đổi theo địa giới của ngày khác, khi được yêu cầu")
    def restate(**context):
        from ispeed import restatement

        return restatement.restate(*run_of(context), boundaries_of(context))

    chain(build_reports(), check_reports(), write_workbooks(), *approval(), publish(), restate())


publish_reports()

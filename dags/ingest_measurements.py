"""
### Nạp số liệu đo của tháng

Chờ tệp xuất từ i-Speed, lưu nguyên bản, đọc từng dòng, kiểm tra chất lượng, rồi gắn mỗi lượt đo hợp lệ với xã, nhà mạng
và mã giới thiệu đúng theo ngày đo. Mọi dòng đều có chỗ: được chấp nhận, hoặc bị cách ly kèm lý do.

- **Đầu vào:** các tệp trong `ISPEED_EXPORTS/YYYY-MM/`. Tháng được coi là đủ tệp khi có tệp `.done`, hoặc khi các tệp
  không đổi nữa sau `ISPEED_SETTLE_SECONDS` giây. Cần danh mục đã đồng bộ (DAG `sync_registry`).
- **Đầu ra:** `ISPEED_LAKE` với các lớp `landing`, `staging`, `quarantine`, `core`, mỗi tháng một thư mục
  `month=YYYY-MM`. Xong thì DAG `publish_reports` tự chạy cho cùng tháng.
- **Lịch:** 03:00 ngày 3 hằng tháng (giờ Việt Nam), cho tháng trước; chờ tệp đến hết `ISPEED_WAIT_SECONDS` (mặc định
  7 ngày) rồi báo lỗi. Lỗi dữ liệu dừng ngay và nêu tệp, dòng, cột; sự cố máy móc được tự thử lại 2 lần.
- **Làm lại:** `airflow backfill create --dag-id ingest_measurements --from-date 2024-10-01 --to-date 2024-10-31
  --reprocess-behavior completed --max-active-runs 1`, hoặc bấm *Trigger* với partition key `2024-10`. Cùng đầu vào cho
  cùng kết quả, không tạo bản phát hành mới. Điền `boundaries` (ví dụ 2025-07-01) thì `publish_reports` phát hành thêm
  số liệu quy đổi theo địa giới ngày đó.
"""

from __future__ import annotations

from airflow.sdk import CronPartitionTimetable, chain, dag

from ispeed.airflow import CORE_MEASUREMENT, announce_month, check_step, monthly, run_of, step
from ispeed.airflow_waits import WaitForExport
from ispeed.settings import stage_parallel


@dag(
    dag_display_name="Nạp số liệu đo của tháng",
    doc_md=__doc__,
    schedule=CronPartitionTimetable("0 3 3 * *", timezone="Asia/Ho_Chi_Minh", run_offset=-1, key_format="%Y-%m"),
    # More than one: a month that waits for its export, for days, must not hold up another month's redoing.
    max_active_runs=3,
    **monthly(),
)
def ingest_measurements():
    wait_for_export = WaitForExport(task_id="wait_for_export", task_display_name="Chờ đủ tệp của tháng")

    @step(task_display_name="Lưu tệp nguyên bản")
    def land(**context):
        from ispeed import landing, staging

        landing.land(*run_of(context))
        return staging.deal_out_files(*run_of(context))

    @step(
        task_display_name="Đọc từng dòng",
        map_index_template="{{ task.op_kwargs['group']['label'] }}",
        max_active_tis_per_dagrun=stage_parallel(),
    )
    def stage_files(group, **context):
        from ispeed import staging

        return staging.stage_files(*run_of(context), group)

    @step(task_display_name="Gom các tệp đã đọc")
    def finish_staging(**context):
        from ispeed import staging

        return staging.finish_staging(*run_of(context))

    @check_step(task_display_name="Kiểm tra chất lượng, cách ly dòng lỗi")
    def check_staging(**context):
        from ispeed import checks

        return checks.check_staging(*run_of(context))

    @step(task_display_name="Gắn với danh mục theo ngày đo", outlets=[CORE_MEASUREMENT])
    def build_core(**context):
        from ispeed import core

        announce_month(context, CORE_MEASUREMENT)
        return core.build_core(*run_of(context))

    landed = land()
    chain(wait_for_export, landed, stage_files.expand(group=landed), finish_staging(), check_staging(), build_core())


ingest_measurements()

"""
### Đồng bộ danh mục

Đọc danh mục xã, quan hệ kế thừa khi sáp nhập, nhà mạng, cơ quan đơn vị và mã giới thiệu, kiểm tra, rồi ghi thành bảng
có ngày hiệu lực. Số liệu của mỗi tháng được gắn với danh mục đúng theo ngày đo.

- **Đầu vào:** các tệp `communes`, `commune_succession`, `operators`, `organisations`, `referral_codes` (`.csv` hoặc
  `.xlsx`) trong thư mục `ISPEED_REGISTRY`.
- **Đầu ra:** các bảng danh mục trong `ISPEED_LAKE/registry/`.
- **Lịch:** 02:00 mỗi ngày (giờ Việt Nam). Nếu tệp có lỗi, tác vụ dừng và nêu rõ tệp, dòng, cột; bảng cũ giữ nguyên.
- **Làm lại:** sửa tệp rồi bấm *Trigger*. Chạy lại nhiều lần cho cùng một kết quả. Muốn tháng đã phát hành theo danh mục
  mới thì chạy lại tháng đó ở DAG `ingest_measurements`.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import CronTriggerTimetable, dag, task

from ispeed.airflow import REGISTRY, RETRIES, no_retry_on_user_error


@dag(
    dag_display_name="Đồng bộ danh mục",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 2 * * *", timezone="Asia/Ho_Chi_Minh"),
    start_date=datetime(2019, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=RETRIES,
    tags=["ispeed", "danh mục"],
)
def sync_registry():
    @task(task_display_name="Kiểm tra và ghi bảng danh mục", outlets=[REGISTRY])
    @no_retry_on_user_error
    def sync_registry():
        from ispeed import registry
        from ispeed.settings import Settings

        return registry.sync_registry(Settings.from_environment())

    sync_registry()


sync_registry()

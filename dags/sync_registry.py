"""
### Đồng bộ danh mục

Đọc danh mục xã, quan hệ kế thừa khi sáp nhập, nhà mạng, cơ quan đơn vị và mã giới thiệu, kiểm tra, so với danh mục đang
dùng, rồi ghi thành bảng có ngày hiệu lực. Số liệu của mỗi tháng được gắn với danh mục đúng theo ngày đo.

- **Đầu vào:** các tệp `communes`, `commune_succession`, `operators`, `organisations`, `referral_codes` (`.csv` hoặc
  `.xlsx`) trong thư mục `ISPEED_REGISTRY`.
- **Đầu ra:** các bảng danh mục trong `ISPEED_LAKE/registry/`; mọi phiên bản đã dùng trong `registry/versions/`, kèm
  ngày nhận và các dòng khác với phiên bản trước. Tệp không đổi thì không có phiên bản mới.
- **Lịch:** 02:00 mỗi ngày (giờ Việt Nam). Nếu tệp có lỗi, tác vụ dừng và nêu mọi chỗ sai: tệp, dòng, cột; bảng cũ giữ
  nguyên. Nếu thay đổi làm số liệu của tháng đã phát hành khác đi, tác vụ cũng dừng và liệt kê các tháng đó.
- **Làm lại:** sửa tệp rồi bấm *Trigger*. Chạy lại nhiều lần cho cùng một kết quả. Nếu thay đổi động đến tháng đã phát
  hành là đúng, bấm *Trigger* với `rewrite_published`, rồi chạy lại các tháng được liệt kê ở DAG `ingest_measurements`,
  theo thứ tự.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import CronTriggerTimetable, Param, dag

from ispeed.airflow import REGISTRY, RETRIES, settings_of_task, step, tell_failed_run


@dag(
    dag_display_name="Đồng bộ danh mục",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 2 * * *", timezone="Asia/Ho_Chi_Minh"),
    start_date=datetime(2019, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=RETRIES,
    on_failure_callback=tell_failed_run,
    params={
        "rewrite_published": Param(
            False,
            type="boolean",
            title="Cho phép làm khác tháng đã phát hành",
            description="Chỉ chọn sau khi đã xem các tháng mà lần chạy trước liệt kê; sau đó chạy lại các tháng ấy.",
        )
    },
    tags=["ispeed", "danh mục"],
)
def sync_registry():
    @step(task_display_name="Kiểm tra và ghi bảng danh mục", outlets=[REGISTRY])
    def sync_registry(**context):
        from ispeed import registry

        rewrite_published = context["params"]["rewrite_published"]
        return registry.sync_registry(settings_of_task(), rewrite_published=rewrite_published)

    sync_registry()


sync_registry()

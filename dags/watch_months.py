"""
### Theo dõi hạn của tháng

Mỗi ngày để lại dấu hiệu rằng Airflow còn hoạt động, xem tháng đến hạn đã phát hành chưa, cơ quan, đơn vị nào chưa gửi
báo cáo, và tệp đã gửi lên thư mục dùng chung ở xa (SFTP, S3) còn nguyên không; điều cần biết được gửi qua thư điện tử
hoặc kênh trò chuyện, khi đã được cấu hình.

- **Đầu vào:** ghi chép các bước của tháng trong `ISPEED_LAKE`, cơ sở dữ liệu báo cáo, thư mục dùng chung, thư mục tệp
  xuất; hạn là ngày `report_day` của `policy.yaml`.
- **Đầu ra:** `ISPEED_LAKE/notices/heartbeat.json` và một lần gọi `ISPEED_HEARTBEAT_URL` nếu có; thông báo: hai ngày
  trước hạn nếu chưa đủ tệp xuất; từ ngày đến hạn, mỗi ngày một lần cho đến khi tháng được phát hành; cơ quan, đơn vị
  chưa gửi báo cáo, ba ngày trước hạn và ngày sau hạn; tệp bị xóa hoặc bị sửa trên thư mục dùng chung ở xa (so tên và
  kích thước), sau khi đã gửi lại.
- **Lịch:** 08:00 mỗi ngày (giờ Việt Nam). Nếu DAG này không chạy, lệnh `python -m ispeed watch` ở ngoài Airflow sẽ báo.
- **Làm lại:** bấm *Trigger*. Điều đã báo trong ngày không báo lại.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import CronTriggerTimetable, chain, dag

from ispeed.airflow import RETRIES, settings_of_task, step, tell_failed_run


@dag(
    dag_display_name="Theo dõi hạn của tháng",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 8 * * *", timezone="Asia/Ho_Chi_Minh"),
    start_date=datetime(2019, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=RETRIES,
    on_failure_callback=tell_failed_run,
    tags=["ispeed", "theo dõi"],
)
def watch_months():
    @step(task_display_name="Để lại dấu hiệu hoạt động")
    def leave_heartbeat():
        from ispeed import heartbeat

        heartbeat.leave_heartbeat(settings_of_task(), datetime.now(UTC))

    @step(task_display_name="Báo tháng đến hạn mà chưa phát hành")
    def watch_deadlines():
        from ispeed import airflow_notices, month_watch

        settings, now = settings_of_task(), datetime.now(UTC)
        due = month_watch.deadline_reminders(settings, now, airflow_notices.airflow_url())
        return airflow_notices.tell_reminders(settings, due, now)

    @step(task_display_name="Nhắc cơ quan, đơn vị chưa gửi báo cáo")
    def remind_bodies():
        from ispeed import airflow_notices, month_watch

        settings, now = settings_of_task(), datetime.now(UTC)
        due = month_watch.return_reminders(settings, now, airflow_notices.airflow_url())
        return airflow_notices.tell_reminders(settings, due, now)

    @step(task_display_name="Đối chiếu thư mục dùng chung ở xa với những gì đã gửi")
    def watch_share():
        from ispeed import airflow_notices, month_watch

        settings = settings_of_task()
        return airflow_notices.tell_reminders(settings, month_watch.share_reminders(settings), datetime.now(UTC))

    chain(leave_heartbeat(), watch_deadlines(), remind_bodies(), watch_share())


watch_months()

"""
### Thu phiếu báo cáo của cơ quan, đơn vị

Gửi biểu mẫu cho từng cơ quan, đơn vị (số người, số người đã cài đặt, số người đã đo trong tháng), chờ đến hạn, đọc các
phiếu gửi về dù đã đổi tên hay lưu lại cách khác, kiểm tra, rồi cho phát hành lại tháng đó. Một tệp hỏng không chặn tệp
nào khác: mỗi tệp đều có kết quả, nêu trong nhật ký và trong sổ tổng hợp.

- **Đầu vào:** danh mục đã đồng bộ (DAG `sync_registry`); các tệp trong `ISPEED_RETURNS/YYYY-MM/` (xlsx,
  xlsm, ods, csv).
- **Đầu ra:** biểu mẫu ở `ISPEED_SHARE/YYYY-MM/phieu-bao-cao/`; phiếu nguyên bản và bản ghi ở
  `ISPEED_LAKE/returns/month=YYYY-MM`. Bảng `report_return_month`, trang *Cơ quan đơn vị* và sổ
  `tong-hop-bao-cao_….xlsx` có từ lần phát hành kế tiếp: `publish_reports` tự chạy lại cho tháng đã phát hành.
- **Lịch:** 02:30 ngày 1 hằng tháng (giờ Việt Nam), cho tháng trước; chờ đến khi đủ phiếu hoặc đến đầu ngày
  `ISPEED_RETURNS_DUE_DAY` (mặc định ngày 10). Phiếu gửi từ ngày đó trở đi vẫn tính khi chạy lại, ghi là gửi muộn.
- **Làm lại:** `make returns M=2024-10`, hoặc bấm *Trigger* với partition key `2024-10`. Không có phiếu mới thì không
  phát hành gì mới; hai phiếu của một nơi thì phiếu gửi sau được tính, phiếu trước được giữ lại.
"""

from __future__ import annotations

from airflow.sdk import CronPartitionTimetable, chain, dag

from ispeed.airflow import RETURNS, announce_month, leave_published_returns, monthly, run_of, step
from ispeed.airflow_waits import WaitForReturns


@dag(
    dag_display_name="Thu phiếu báo cáo của cơ quan, đơn vị",
    doc_md=__doc__,
    schedule=CronPartitionTimetable("30 2 1 * *", timezone="Asia/Ho_Chi_Minh", run_offset=-1, key_format="%Y-%m"),
    # More than one: a month that waits for its returns must not hold up another month's.
    max_active_runs=3,
    **monthly(),
)
def collect_returns():
    @step(task_display_name="Gửi biểu mẫu")
    def publish_forms(**context):
        from ispeed.returns import publishing

        return publishing.publish_forms(*run_of(context))

    forms = publish_forms()
    wait_for_returns = WaitForReturns(
        task_id="wait_for_returns", task_display_name="Thu phiếu, chờ đủ phiếu hoặc hết hạn"
    )

    @step(task_display_name="Báo phát hành lại, khi có phiếu mới", outlets=[RETURNS])
    def announce_returns(**context):
        leave_published_returns(context)
        announce_month(context, RETURNS)

    chain(forms, wait_for_returns, announce_returns())


collect_returns()

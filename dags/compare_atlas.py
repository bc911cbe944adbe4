"""
### Đối chiếu với số liệu VNNIC công bố

Lấy số liệu thống kê mà VNNIC công bố trên trang i-Speed cho tỉnh và các xã (di động và cố định), lưu nguyên bản, đặt
cạnh số liệu của ta. VNNIC ghi 0 khi chưa đủ mẫu: không phải tốc độ bằng 0.

- **Đầu vào:** trang `ISPEED_ATLAS_URL` (mặc định internetatlas.vnnic.vn/i-speed), hỏi theo `include/atlas.yaml`: mỗi
  lần chạy 4 câu hỏi. Cần đi ra mạng được; proxy lấy theo môi trường.
- **Đầu ra:** `ISPEED_LAKE/atlas/month=YYYY-MM`: từng câu trả lời như đã nhận và bản ghi. Bảng `report_atlas_month` và
  trang *Đối chiếu VNNIC* của sổ tỉnh có từ lần phát hành kế tiếp; số liệu khác với bản đang phát hành thì
  `publish_reports` tự chạy lại cho tháng đó.
- **Lịch:** 04:00 ngày 8 hằng tháng (giờ Việt Nam), cho tháng trước. Không vào được trang, trang trả lỗi hoặc đổi dạng
  thì chỉ cảnh báo trong nhật ký (hỏi gì, nhận gì, cần gì, làm gì): số đã có giữ nguyên, không tháng nào bị dừng.
- **Làm lại:** `make atlas M=2024-10`, hoặc bấm *Trigger* với partition key `2024-10`. Trả lời như cũ thì không phát
  hành gì mới.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronPartitionTimetable, chain, dag

from ispeed.airflow import ATLAS, announce_month, leave_published_atlas, monthly, run_of, step


@dag(
    dag_display_name="Đối chiếu với số liệu VNNIC công bố",
    doc_md=__doc__,
    schedule=CronPartitionTimetable("0 4 8 * *", timezone="Asia/Ho_Chi_Minh", run_offset=-1, key_format="%Y-%m"),
    max_active_runs=1,
    **monthly(),
)
def compare_atlas():
    # Each wait of it is bounded; this is for a server that has found another way to keep it.
    @step(task_display_name="Hỏi VNNIC, lưu nguyên bản câu trả lời", execution_timeout=timedelta(minutes=30))
    def ask_atlas(**context):
        from ispeed import atlas

        return atlas.compare_atlas(*run_of(context))

    @step(task_display_name="Báo phát hành lại, khi số liệu đã đổi", outlets=[ATLAS])
    def announce_atlas(**context):
        leave_published_atlas(context)
        announce_month(context, ATLAS)

    chain(ask_atlas(), announce_atlas())


compare_atlas()

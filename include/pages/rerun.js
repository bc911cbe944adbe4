"use strict";
const box = document.getElementById("chay-lai");
const button = box.querySelector("button");
const answer = box.querySelector("[role=status]");

function say(text, href, label) {
  answer.textContent = text + " ";
  if (href) {
    const link = document.createElement("a");
    link.href = href;
    link.textContent = label;
    answer.append(link);
  }
}

async function rerun() {
  const { runs, pages, month, run } = box.dataset;
  const pageOf = (id) => `${pages}/${encodeURIComponent(id)}`;
  const busy = await fetch(`${runs}?state=queued&state=running&limit=1&partition_key_pattern=${month}`);
  const found = busy.ok ? (await busy.json()).dag_runs : [];
  if (found.length) {
    say("Tháng này đang chạy; không chạy thêm.", pageOf(found[0].dag_run_id), "Mở lần chạy");
    return;
  }
  // The name is made of the run before: whoever presses at the same time asks for the same run, and one gets it.
  const body = { logical_date: null, partition_key: month, dag_run_id: run, note: "Chạy lại từ trang i-Speed" };
  const sent = await fetch(runs, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body),
  });
  if (sent.ok) {
    say("Đã bắt đầu chạy lại.", pageOf((await sent.json()).dag_run_id), "Mở lần chạy");
  } else if (sent.status === 409) {
    say("Đã có người chạy lại tháng này từ trang này.", pageOf(run), "Mở lần chạy");
  } else if (sent.status === 401) {
    say("Phiên đăng nhập đã hết; hãy tải lại trang và đăng nhập.");
  } else if (sent.status === 403) {
    say("Tài khoản này không được phép chạy lại tháng.");
  } else {
    say(`Airflow không nhận yêu cầu (mã ${sent.status}). Hãy xem DAG trong Airflow.`);
  }
}

button.addEventListener("click", () => {
  button.disabled = true;
  say("Đang gửi yêu cầu…");
  rerun().catch(() => {
    button.disabled = false;
    say("Không gọi được Airflow; hãy thử lại.");
  });
});

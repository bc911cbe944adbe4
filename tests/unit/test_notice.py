"""What a notice looks like, and that nothing in it harms whoever opens it or gives away a secret."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.policy import default
from html.parser import HTMLParser

import pytest

from ispeed.notice import HIDDEN, LONGEST_LINE, LONGEST_TITLE, Notice, notice, without_secrets
from ispeed.notice_routes import mail_of

SCRIPT = '<script>alert(1)</script><img src="http://evil.example/x.png" onerror=alert(1)>'
INJECTION = "a.csv\r\nBcc: everyone@evil.example\r\n\r\n<h1>new body</h1>"
ENVIRONMENT = {
    "AIRFLOW_CONN_ISPEED_SMTP": json.dumps({"login": "a@b.vn", "password": "p@ss/w0rd-of-mail"}),
    "AIRFLOW_CONN_OTHER": "smtp://somebody:p%40ssw0rd-in-uri@mail.example:587",
    "ISPEED_DB": "postgresql+psycopg2://ispeed:db-passw0rd@reports-db/reports",
    "ISPEED_DEVICE_KEY": "0123456789abcdef",
    "ISPEED_HEARTBEAT_URL": "https://hc.example/ping/1234-5678",
    "HOME": "/home/somebody",
}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]


def of(**facts: str) -> Notice:
    return notice("[i-Speed] Lỗi", dict(facts), [("Nhật ký", "http://airflow.example/dags/a")], environment=ENVIRONMENT)


def test_a_notice_reads_as_a_letter_does() -> None:
    told = notice(
        "[i-Speed] Tháng 10/2024: đến hạn",
        {"Tháng": "10/2024", "Lý do": ["Chưa có tệp.", "Chưa có .done."], "Số dòng": ""},
        [("Nhật ký", "http://airflow.example/dags/a")],
        "Hết.",
        environment={},
    )
    assert told.text == (
        "[i-Speed] Tháng 10/2024: đến hạn\n\n"
        "Tháng: 10/2024\n"
        "Lý do: Chưa có tệp.\n"
        "       Chưa có .done.\n\n"
        "Nhật ký:\n  http://airflow.example/dags/a\n\n"
        "Hết.\n"
    )


@pytest.mark.parametrize("hostile", [SCRIPT, INJECTION, "a\x00b\x1b[31m\u202egnp.csv", "x" * 100_000])
def test_hostile_text_comes_out_harmless(hostile: str) -> None:
    told = notice(f"[i-Speed] {hostile}", {"Vị trí": hostile}, [("Nhật ký", "http://airflow.example/")], environment={})
    message = message_from_bytes(mail_of(told, "a@b.vn", ["c@d.vn"]).as_bytes(), policy=default)
    assert (message["To"], message["Bcc"], message["From"]) == ("c@d.vn", None, "a@b.vn")
    plain, page = (part.get_content() for part in message.iter_parts())
    tags = Tags()
    tags.feed(page)
    assert tags.seen <= {"html", "head", "meta", "title", "body", "h3", "table", "tr", "th", "td", "p", "a", "br"}
    assert tags.links == ["http://airflow.example/"]
    for text in (told.title, told.facts[0].lines[0]):
        assert text.isprintable()
        assert "http://evil" not in text
    assert len(told.title) <= LONGEST_TITLE
    assert len(told.facts[0].lines[0]) <= LONGEST_LINE
    assert len(plain) < 2_000


def test_no_header_can_be_smuggled_past_the_cleaning_either() -> None:
    sent = mail_of(Notice("a\r\nBcc: x@evil.example", ()), "a@b.vn", ["c@d.vn"]).as_bytes()
    assert b"\nBcc" not in sent
    assert message_from_bytes(sent, policy=default)["Bcc"] is None


def test_a_long_vietnamese_subject_keeps_its_spaces() -> None:
    title = "[i-Speed] Tháng 10/2024: tác vụ “Lưu tệp nguyên bản của tháng, gắn với danh mục” bị dừng vì lỗi"
    sent = mail_of(notice(title, {}, environment={}), "a@b.vn", ["c@d.vn"]).as_bytes()
    assert message_from_bytes(sent, policy=default)["Subject"] == title


def test_what_looks_like_another_fact_stays_on_its_line() -> None:
    assert "\nBcc" not in of(**{"Vị trí": INJECTION}).text
    assert of(**{"Vị trí": "a.csv\nCần làm: xóa hết"}).facts[0].lines == ("a.csv Cần làm: xóa hết",)


def test_a_chat_is_not_made_to_call_everybody() -> None:
    text = of(**{"Vị trí": "@everyone <!channel> @all"}).chat_text
    assert not any(call in text for call in ("@everyone", "<!channel>", "@all"))


@pytest.mark.parametrize(
    "text",
    [
        "cannot connect to postgresql://ispeed:db-passw0rd@reports-db/reports",
        "sftp://user:pa@ss/w0rd@host/folder does not answer",
        "GET https://hc.example/ping/1234-5678 failed",
        "login failed: password=hunter-22, user=a",
        'extra {"api_key": "hunter-22"}',
        "Authorization: Bearer hunter-22.abc",
        "access_token: hunter-22",
        "the key 0123456789abcdef is wrong",
        "535 p@ss/w0rd-of-mail rejected",
        "535 p@ssw0rd-in-uri rejected",
        "mật khẩu: hunter-22",
    ],
)
def test_no_secret_goes_out(text: str) -> None:
    told = notice(text, {"Phát hiện": text}, environment=ENVIRONMENT)
    for form in (told.text, told.html, told.chat_text):
        assert HIDDEN in form
        for secret in ("passw0rd", "pa@ss", "w0rd", "1234-5678", "hunter", "0123456789abcdef"):
            assert secret not in form


def test_a_secret_that_is_cut_in_two_is_not_shown_by_half() -> None:
    text = "x" * (LONGEST_LINE - 30) + " password=" + "hunter" * 20
    assert "hunter" not in of(**{"Phát hiện": text}).text


def test_what_is_no_secret_stays() -> None:
    for text in (
        "file a.csv, row 7, column Download (Mbps)",
        "s3 bucket ispeed: no key 2024-10/a.csv",
        "/home/somebody",
    ):
        assert without_secrets(text) == text
        assert of(**{"Vị trí": text}).facts[0].lines == (text,)

"""What the pages in Airflow give of the share: what is published, by its id, and nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from urllib.parse import quote

import pytest
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.plugins_manager import get_fastapi_plugins
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as searched
from hypothesis import strategies as st

from ispeed.database import Database
from ispeed.months import Month
from ispeed.settings import Settings
from ispeed.withdrawal import withdraw

OCTOBER = Month(2024, 10)
pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture(scope="module")
def site(small_month: tuple[Settings, Month], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """October as published, r1; then r2, r3 withdrawn, r4 removed from the share; r5 lies there, not published."""
    source = small_month[0].lake.parent
    var = tmp_path_factory.mktemp("pages") / "var"
    shutil.copytree(source, var)
    # Airflow's own settings were read before: only ours are asked for with each page.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISPEED_VAR", str(var))
        settings = Settings.from_environment()
        for revision in (2, 3, 4):
            publish_again(settings, revision)
        withdraw(settings, OCTOBER, 3, "số liệu <b>sai</b>")
        remove(settings, 4)
        publish_again(settings, 5, in_database=False)
        yield settings


def publish_again(settings: Settings, revision: int, *, in_database: bool = True) -> None:
    """The files of r1 as another revision: its workbook is another one by a byte at its end."""
    share = settings.share_of(OCTOBER)
    shutil.copytree(share / "r1", share / f"r{revision}")
    manifest = json.loads((share / "r1" / "manifest.json").read_text(encoding="utf-8"))
    manifest["revision"] = revision
    for output in manifest["outputs"]:
        if output["path"].endswith(".xlsx"):
            path = share / f"r{revision}" / output["path"]
            path.write_bytes(path.read_bytes() + bytes([revision]))
            output |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "n_bytes": path.stat().st_size}
    (share / f"r{revision}" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    content = (share / f"r{revision}" / "manifest.json").read_bytes()
    publication = {
        "fingerprint": f"{revision}",
        "manifest_sha256": hashlib.sha256(content).hexdigest(),
        "n_raw": 3,
        "n_accepted": 2,
        "n_quarantined": 1,
        "published_by": "a run",
        "why": "thử",
    }
    if in_database:
        with Database(settings.database_url).publishing(OCTOBER, revision, {}, publication):
            pass


def remove(settings: Settings, revision: int) -> None:
    from ispeed.retention import utc_now

    Database(settings.database_url).note(OCTOBER, revision, {"files_removed_at": utc_now()})


@pytest.fixture(scope="module")
def client(site: Settings) -> TestClient:
    (mounted,) = (app for app in get_fastapi_plugins()[0] if app["url_prefix"] == "/ispeed")
    token = init_auth_manager().generate_jwt(SimpleAuthManagerUser(username="hoa", role="VIEWER"))
    # A fault of ours is an answer of the server, not an error of the test.
    return TestClient(
        mounted["app"],
        headers={"Authorization": f"Bearer {token}"},
        follow_redirects=False,
        raise_server_exceptions=False,
    )


def outputs(settings: Settings, revision: int) -> dict[str, str]:
    """The sha256 of each file of a revision's folder, by its path."""
    manifest = json.loads((settings.share_of(OCTOBER) / f"r{revision}" / "manifest.json").read_text(encoding="utf-8"))
    return {output["path"]: output["sha256"] for output in manifest["outputs"]}


def workbook(settings: Settings, revision: int) -> str:
    return next(id for path, id in outputs(settings, revision).items() if path.endswith(".xlsx") and "/" not in path)


def test_every_workbook_and_the_quarantine_are_sent_as_they_were_published(site: Settings, client: TestClient) -> None:
    given_away = 0
    for path, file_id in outputs(site, 1).items():
        answer = client.get(f"/2024-10/r1/files/{file_id}")
        if not path.endswith(".xlsx") and path != "quarantine.csv":
            assert answer.status_code == 404, path
            continue
        given_away += 1
        name = path.rpartition("/")[2]
        assert answer.content == (site.share_of(OCTOBER) / "r1" / path).read_bytes()
        assert answer.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Content-Type"].split(";")[0] in (
            "text/csv",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        )
    assert given_away > 50


def test_a_restated_workbook_is_sent_too(site: Settings, client: TestClient) -> None:
    share = site.restated_share_of(OCTOBER, date(2025, 7, 1)) / "r1"
    (path,) = share.glob("*.xlsx")
    file_id = hashlib.sha256(path.read_bytes()).hexdigest()
    assert client.get(f"/2024-10/restated/2025-07-01/r1/files/{file_id}").content == path.read_bytes()
    assert client.get(f"/2024-10/restated/2025-07-02/r1/files/{file_id}").status_code == 404
    assert client.get("/2024-10/restated/2025-07-01/r1/data-docs/index.html").status_code == 200


def test_a_revision_that_was_withdrawn_or_removed_is_gone_and_one_not_published_is_not_there(
    site: Settings, client: TestClient
) -> None:
    for revision, status in ((2, 200), (3, 410), (4, 410), (5, 404)):
        for place in (f"r{revision}/files/{workbook(site, revision)}", f"r{revision}/data-docs/index.html"):
            answer = client.get(f"/2024-10/{place}")
            assert answer.status_code == status, place
    told = client.get(f"/2024-10/r3/files/{workbook(site, 3)}").text
    assert "đã bị thu hồi: số liệu &lt;b&gt;sai&lt;/b&gt;" in told
    assert client.get("/2024-10/diff/r1/r3").status_code == 410
    assert client.get("/2024-10/diff/r1/r5").status_code == 404
    page = client.get("/2024-10/").text
    assert "Đã thu hồi" in page
    assert "Đã dọn tệp" in page
    assert "r3/files" not in page
    assert "r3 thu hồi" in client.get("/").text


def test_what_took_a_published_files_place_is_not_sent(site: Settings, client: TestClient, tmp_path: Path) -> None:
    file_id, folder = workbook(site, 2), site.share_of(OCTOBER) / "r2"
    (path,) = folder.glob("*.xlsx")
    kept, manifest = path.read_bytes(), (folder / "manifest.json").read_bytes()
    secret = tmp_path / "secret"
    secret.write_text("not published")
    address = f"/2024-10/r2/files/{file_id}"
    try:
        path.unlink()
        path.symlink_to(secret)
        assert client.get(address).status_code == 404
        path.unlink()
        assert client.get(address).status_code == 404
        path.write_bytes(kept)
        assert client.get(address).status_code == 200
        # A manifest that names another file is not the one that was published.
        forged = manifest.replace(file_id.encode(), hashlib.sha256(b"not published").hexdigest().encode())
        (folder / "manifest.json").write_bytes(forged)
        assert client.get(address).status_code == 404
        assert client.get(f"/2024-10/r2/files/{hashlib.sha256(b'not published').hexdigest()}").status_code == 404
        assert "Không có trong thư mục dùng chung như đã phát hành" in client.get("/2024-10/").text
    finally:
        path.unlink(missing_ok=True)
        path.write_bytes(kept)
        (folder / "manifest.json").write_bytes(manifest)


def test_the_diff_of_two_revisions_says_what_make_diff_says(site: Settings, client: TestClient) -> None:
    page = client.get("/2024-10/diff/r1/r2").text
    # The rows of r2 are not in the database: every cell of r1 went.
    assert "Tháng 10/2024: r1 → r2" in page
    assert "ô khác nhau" in page
    assert "make diff M=2024-10 FROM=1 TO=2" in page


PARTS = st.one_of(
    st.sampled_from(
        [
            *(
                "..",
                ".",
                "%2e%2e",
                "..%2f..%2f",
                "%2F",
                "%00",
                "%c0%ae%c0%ae",
                "\\..\\",
                "~",
                "*",
                "",
                "r01",
                "r1 ",
                "R1",
            ),
            *("2024-10", "2024-09", "month=2024-10", "r1", "r2", "r3", "r4", "r5", "r0", "r-1", "r1%2f..%2fr5", "r١"),
            *("files", "data-docs", "diff", "restated", "2025-07-01", "landing", "draft", "lake", "manifest.json"),
            *("quarantine.csv", "index.html", "staging_measurement.html", "latest.json", ".ispeed-share", "etc/passwd"),
            *("9" * 5_000, "r" + "9" * 5_000, "a" * 64, "0" * 64, "ｒ１", "Ｆ" * 64, "don-vi", "csv/datapackage.json"),
        ]
    ),
    st.text(max_size=20),
)


@searched(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(PARTS, min_size=1, max_size=6), escaped=st.booleans(), of_lake=st.integers(0, 9))
def test_whatever_is_asked_for_only_what_is_published_is_served(
    site: Settings, client: TestClient, parts: list[str], escaped: bool, of_lake: int
) -> None:
    lake = sorted(path for path in site.lake.rglob("*.json"))
    # Ids of files that lie in the lake, and of those in folders that are not published.
    ids = [
        hashlib.sha256(lake[of_lake % len(lake)].read_bytes()).hexdigest(),
        *(workbook(site, revision) for revision in (1, 2, 3, 4, 5)),
    ]
    parts = [ids[of_lake % len(ids)] if part == "a" * 64 else part for part in parts]
    path = "/" + "/".join(quote(part, safe="") if escaped else quote(part, safe="%/") for part in parts)
    answer = client.get(f"http://testserver{path}")
    assert answer.status_code in (200, 307, 404, 405, 410, 422), (path, answer.status_code)
    if answer.status_code != 200:
        return
    if answer.headers["Content-Type"].startswith("text/html"):
        assert "<title>" in answer.text
        assert "not published" not in answer.text
        return
    allowed = set(outputs(site, 1).values()) | set(outputs(site, 2).values())
    assert hashlib.sha256(answer.content).hexdigest() in allowed, path


def test_an_id_of_another_revision_or_of_the_lake_finds_nothing(site: Settings, client: TestClient) -> None:
    published = set(outputs(site, 1).values())
    in_lake = {hashlib.sha256(path.read_bytes()).hexdigest() for path in site.lake.rglob("*") if path.is_file()}
    # What was published still lies in the lake, as the draft it was.
    assert in_lake & published
    others = {workbook(site, revision) for revision in (2, 3, 4, 5)}
    mangled = {workbook(site, 1).upper(), workbook(site, 1)[:16], "manifest.json"}
    asked = (in_lake - published) | others | mangled
    assert len(asked) > 30
    assert {client.get(f"/2024-10/r1/files/{file_id}").status_code for file_id in asked} == {404}
    assert client.get(f"/2024-09/r1/files/{workbook(site, 1)}").status_code == 404


def test_where_the_reports_database_does_not_answer_the_months_are_told_without_it(
    client: TestClient, site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISPEED_DB", f"sqlite:///{site.lake}")
    for path in ("/", "/2024-10/"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "Không đọc được cơ sở dữ liệu báo cáo" in answer.text
    assert client.get(f"/2024-10/r1/files/{workbook(site, 1)}").status_code == 503


def test_settings_that_cannot_be_used_are_told_in_vietnamese_and_as_they_would_be_logged(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISPEED_LAKE", "s3://lake")
    answer = client.get("/")
    assert answer.status_code == 503
    assert '<dd class="where">Thiết lập ISPEED_LAKE<small lang="en">setting ISPEED_LAKE</small></dd>' in answer.text
    assert "Thư mục hoặc tệp của máy này" in answer.text

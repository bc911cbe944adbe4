"""The pages of i-Speed in Airflow: where each month stands, what failed and where, what is published.

`/ispeed/` lists the months and `/ispeed/2024-10/` is one of them. Who may read the DAG `ingest_measurements` may read
all of it, but for what `collect_returns` and `compare_atlas` tell: that is for who may read these. It only reads: a
month is run again by Airflow's own API, which the browser calls as whoever is logged in. Nothing of an address is ever
used as a path.
"""

from functools import cache, cached_property
from typing import Annotated, Any

from airflow.plugins_manager import AirflowPlugin

from ispeed.airflow import page_path

DAG_ID = "ingest_measurements"
HEADERS = {
    # Pages have no script, but for one that is named, and none is to be shown inside another site's; what a month holds
    # is not kept by browsers.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MESSAGES = {
    401: ("Cần đăng nhập", "Trang này chỉ dành cho người đã đăng nhập Airflow."),
    403: ("Không có quyền", f"Tài khoản này không được phép xem DAG {DAG_ID}."),
    410: ("Không còn phát hành", ""),
    503: ("Chưa đọc được", ""),
}
NO_DATABASE = "Không đọc được cơ sở dữ liệu báo cáo: trang này thiếu các bản phát hành."


def pages() -> Any:
    """The FastAPI application. It is made where it is served only: every task's process loads the plugins too."""
    from urllib.parse import quote

    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.common.db.common import SessionDep
    from airflow.api_fastapi.core_api.security import DagAccessEntity, DagDetails, GetUserDep, requires_access_dag
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from fastapi import Depends, FastAPI, HTTPException, Request
    from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError
    from starlette.exceptions import HTTPException as AnyHTTPException

    from ispeed.airflow import month_of
    from ispeed.airflow_runs import dags_of_runs, last_runs
    from ispeed.arrivals import Kind
    from ispeed.database import Database, Row
    from ispeed.errors import UserError
    from ispeed.month_arrivals import ARRIVAL_DAGS, looked_for, read_month_arrivals
    from ispeed.month_stages import INGEST, PUBLISH, read_overview, read_overviews
    from ispeed.months import Month, parse_day
    from ispeed.published_files import (
        NotPublished,
        TakenBack,
        open_published,
        parts_of,
        published_files,
        published_row,
        read_published_docs,
        revision_number,
    )
    from ispeed.quality import read_data_docs
    from ispeed.quality_page import (
        SCRIPT_SOURCE,
        Rerun,
        diff_page,
        message_page,
        month_page,
        months_page,
        place_of,
        places_of,
    )
    from ispeed.revision_diff import diff_revisions
    from ispeed.settings import Settings

    app = FastAPI(
        # For every route, also those to come; the routes that FastAPI adds by itself would have none.
        dependencies=[Depends(requires_access_dag("GET", param_dag_id=DAG_ID))],
        openapi_url=None,
    )
    # Made once: it looks whether its tables are there, which is not for every page.
    database_at = cache(Database)

    def settings() -> Settings:
        return Settings.from_environment()

    def database(settings: Annotated[Settings, Depends(settings)]) -> Database:
        try:
            return database_at(settings.database_url)
        except SQLAlchemyError:
            raise HTTPException(503, NO_DATABASE) from None

    def known_month(month: str) -> Month:
        try:
            return Month.parse(month)
        except UserError:
            raise HTTPException(404, "Địa chỉ này không phải của một tháng.") from None

    def one_published(month: Month, revision: str, day: str | None, database: Database) -> Row:
        try:
            return published_row(database, month, revision_number(revision), parse_day(day) if day else None)
        except (NotPublished, UserError):
            raise HTTPException(404, "Không có bản phát hành này.") from None
        except TakenBack as error:
            raise HTTPException(410, str(error)) from None

    SettingsNow = Annotated[Settings, Depends(settings)]  # noqa: N806
    Reports = Annotated[Database, Depends(database)]  # noqa: N806
    OfMonth = Annotated[Month, Depends(known_month)]  # noqa: N806

    def may(user: Any, method: str, dag_id: str, of_what: DagAccessEntity | None = None) -> bool:
        details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
        manager = get_auth_manager()
        return bool(manager.is_authorized_dag(method=method, access_entity=of_what, details=details, user=user))

    def readable_arrivals(user: GetUserDep) -> tuple[Kind, ...]:
        return tuple(kind for kind, dag_id in ARRIVAL_DAGS.items() if may(user, "GET", dag_id))

    Arriving = Annotated[tuple[Kind, ...], Depends(readable_arrivals)]  # noqa: N806

    def dags_read(kinds: tuple[Kind, ...]) -> tuple[str, ...]:
        return (INGEST, PUBLISH, *(ARRIVAL_DAGS[kind] for kind in kinds))

    def published(month: OfMonth, revision: str, database: Reports) -> Row:
        return one_published(month, revision, None, database)

    def restated(month: OfMonth, day: str, revision: str, database: Reports) -> Row:
        return one_published(month, revision, day, database)

    Published = Annotated[Row, Depends(published)]  # noqa: N806
    Restated = Annotated[Row, Depends(restated)]  # noqa: N806

    def registers(settings: Settings, month: Month | None = None) -> tuple[list[Row], list[Row], list[str]]:
        """The published revisions, those on other days' maps, and what to say where they cannot be read."""
        try:
            database = database_at(settings.database_url)
            rows = database.register(month), database.register(month, restated=True)
        except SQLAlchemyError:
            return [], [], [NO_DATABASE]
        return *rows, []

    def found(page: str | None, script: str = "") -> HTMLResponse:
        if page is None:
            raise HTTPException(404, "Không có trang này, hoặc tháng này chưa chạy đến đó.")
        policy = HEADERS["Content-Security-Policy"]
        if script:
            policy += f"; script-src {script}; connect-src 'self'"
        return HTMLResponse(page, headers={**HEADERS, "Content-Security-Policy": policy})

    def sent(settings: Settings, row: Row, file_id: str) -> StreamingResponse:
        try:
            file, content = open_published(settings, row, file_id)
        except NotPublished:
            raise HTTPException(404, "Không có tệp này trong bản phát hành.") from None
        headers = {
            **HEADERS,
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.path.name, safe='')}",
            "Content-Length": str(file.n_bytes),
        }
        return StreamingResponse(parts_of(content), headers=headers, media_type=file.media_type)

    def published_docs(settings: Settings, row: Row, page: str) -> HTMLResponse:
        try:
            return found(read_published_docs(settings, row, page))
        except NotPublished:
            raise HTTPException(404, "Không có trang này trong bản phát hành.") from None

    @app.exception_handler(AnyHTTPException)
    def tell(request: Request, error: AnyHTTPException) -> HTMLResponse:
        title, text = MESSAGES.get(error.status_code, ("Không tìm thấy", error.detail))
        login = (f"{page_path('/api/v2/auth/login')}?next={quote(str(request.url))}", "Đăng nhập")
        page = message_page(title, text or error.detail, login if error.status_code == 401 else None)
        return HTMLResponse(page, error.status_code, headers=HEADERS)

    @app.exception_handler(UserError)
    def tell_parts(_: Request, error: UserError) -> HTMLResponse:
        # The settings, or the policy, cannot be used as they are.
        return HTMLResponse(message_page(MESSAGES[503][0], "", error=error), 503, headers=HEADERS)

    @app.get("/")
    def months(session: SessionDep, settings: SettingsNow, kinds: Arriving) -> HTMLResponse:
        publications, restatements, notes = registers(settings)
        runs = {month: {} for month in looked_for(settings, kinds)} | last_runs(session, dag_ids=dags_read(kinds))
        overviews = read_overviews(settings, runs, publications, restatements)
        arrivals = {
            one.month: read_month_arrivals(settings, one.month, runs.get(one.month, {}), kinds) for one in overviews
        }
        return found(months_page(overviews, page_path(""), notes, arrivals))

    @app.get("/runs/{dag_id}/{run_id}", dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))])
    def month_of_run(dag_id: str, run_id: str, session: SessionDep) -> RedirectResponse:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        try:
            month = month_of({"dag_run": run}) if run else None
        except UserError:
            month = None
        if month is None:
            raise HTTPException(404, "Lần chạy này không thuộc tháng nào.")
        return RedirectResponse(page_path(f"/ispeed/{month}/"), headers=HEADERS)

    @app.get("/{month}/")
    def one_month(
        month: OfMonth, session: SessionDep, user: GetUserDep, settings: SettingsNow, kinds: Arriving
    ) -> HTMLResponse:
        publications, restatements, notes = registers(settings, month)
        runs = last_runs(session, month, dags_read(kinds)).get(month, {})
        overview = read_overview(settings, month, runs, publications, restatements)
        arrivals = read_month_arrivals(settings, month, runs, kinds)
        is_looked_for = any(arrival.look for arrival in arrivals.values())
        if overview.quality is None and not runs and not publications and not is_looked_for:
            return found(None)
        standing = [
            row for row in (*publications, *restatements) if not row["withdrawn_at"] and not row["files_removed_at"]
        ]
        files = {place_of(row): published_files(settings, row) for row in standing}
        rerun = None
        if may(user, "POST", DAG_ID, DagAccessEntity.RUN):
            is_paused = session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == DAG_ID))
            rerun = Rerun.of(overview, page_path(""), is_paused=bool(is_paused))
        run_ids = dags_of_runs(session, {row["published_by"] for row in (*publications, *restatements)})
        page = month_page(overview, files, page_path(""), rerun, notes, run_ids, arrivals, places_of(settings, month))
        return found(page, SCRIPT_SOURCE if rerun else "")

    @app.get("/{month}/data-docs/{page}")
    def last_data_docs(month: OfMonth, page: str, settings: SettingsNow) -> HTMLResponse:
        return found(read_data_docs(settings, month, page))

    @app.get("/{month}/diff/{first}/{last}")
    def difference(month: OfMonth, first: str, last: str, settings: SettingsNow, database: Reports) -> HTMLResponse:
        before, after = (one_published(month, revision, None, database)["revision"] for revision in (first, last))
        try:
            return found(diff_page(diff_revisions(settings, database, month, before, after)))
        except UserError:
            raise HTTPException(404, "Thư mục dùng chung không có một trong hai bản này.") from None

    @app.get("/{month}/{revision}/files/{file_id}")
    def file_of_revision(row: Published, file_id: str, settings: SettingsNow) -> StreamingResponse:
        return sent(settings, row, file_id)

    @app.get("/{month}/{revision}/data-docs/{page}")
    def docs_of_revision(row: Published, page: str, settings: SettingsNow) -> HTMLResponse:
        return published_docs(settings, row, page)

    @app.get("/{month}/restated/{day}/{revision}/files/{file_id}")
    def file_of_restated(row: Restated, file_id: str, settings: SettingsNow) -> StreamingResponse:
        return sent(settings, row, file_id)

    @app.get("/{month}/restated/{day}/{revision}/data-docs/{page}")
    def docs_of_restated(row: Restated, page: str, settings: SettingsNow) -> HTMLResponse:
        return published_docs(settings, row, page)

    return app


class ISpeedPages(AirflowPlugin):
    """Puts the pages under `/ispeed`, in the navigation, and on each run's own page."""

    name = "ispeed_pages"
    external_views = [
        # Without a route: in a tab of its own, where its links to runs and logs are not held in a frame.
        {"name": "i-Speed", "href": page_path("/ispeed/"), "destination": "nav"},
        {
            "name": "Chất lượng dữ liệu",
            "href": page_path("/ispeed/runs/{DAG_ID}/{RUN_ID}"),
            "destination": "dag_run",
            "url_route": "ispeed-quality",
        },
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        return [{"name": self.name, "app": pages(), "url_prefix": "/ispeed"}]

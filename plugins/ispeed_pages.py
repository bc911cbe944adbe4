"""The pages of i-Speed in Airflow: what the checks of each month found, and Great Expectations' own pages, read only.

`/ispeed/` lists the months and `/ispeed/2024-10/` is one of them; its Data Docs are below `data-docs/` for the last run
and below `r1/data-docs/` for a published revision. Who may read the DAG `ingest_measurements` may read all of it.
Nothing of an address is ever used as a path.
"""

from functools import cached_property
from typing import Annotated, Any

from airflow.plugins_manager import AirflowPlugin

from ispeed.airflow import page_path

DAG_ID = "ingest_measurements"
HEADERS = {
    # No page has a script, and none is to be shown inside another site's; what a month holds is not kept by browsers.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
MESSAGES = {
    401: ("Cần đăng nhập", "Trang này chỉ dành cho người đã đăng nhập Airflow."),
    403: ("Không có quyền", f"Tài khoản này không được phép xem DAG {DAG_ID}."),
}


def pages() -> Any:
    """The FastAPI application. It is made where it is served only: every task's process loads the plugins too."""
    from urllib.parse import quote

    from airflow.api_fastapi.common.db.common import SessionDep
    from airflow.api_fastapi.core_api.security import DagAccessEntity, requires_access_dag
    from airflow.models.dagrun import DagRun
    from fastapi import Depends, FastAPI, HTTPException, Request
    from fastapi.responses import HTMLResponse, RedirectResponse
    from sqlalchemy import select
    from starlette.exceptions import HTTPException as AnyHTTPException

    from ispeed.airflow import month_of
    from ispeed.errors import UserError
    from ispeed.months import Month
    from ispeed.quality import read_data_docs, read_qualities, read_quality
    from ispeed.quality_page import message_page, month_page, months_page
    from ispeed.settings import Settings

    app = FastAPI(
        # For every route, also those to come; the routes that FastAPI adds by itself would have none.
        dependencies=[Depends(requires_access_dag("GET", param_dag_id=DAG_ID))],
        openapi_url=None,
    )

    def known_month(month: str) -> Month:
        try:
            return Month.parse(month)
        except UserError:
            raise HTTPException(404, "Địa chỉ này không phải của một tháng.") from None

    def found(page: str | None) -> HTMLResponse:
        if page is None:
            raise HTTPException(404, "Không có trang này, hoặc tháng này chưa chạy đến đó.")
        return HTMLResponse(page, headers=HEADERS)

    @app.exception_handler(AnyHTTPException)
    def tell(request: Request, error: AnyHTTPException) -> HTMLResponse:
        title, text = MESSAGES.get(error.status_code, ("Không tìm thấy", error.detail))
        login = (f"{page_path('/api/v2/auth/login')}?next={quote(str(request.url))}", "Đăng nhập")
        page = message_page(title, text, login if error.status_code == 401 else None)
        return HTMLResponse(page, error.status_code, headers=HEADERS)

    @app.get("/")
    def months() -> HTMLResponse:
        return found(months_page(read_qualities(Settings.from_environment())))

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
    def one_month(month: Annotated[Month, Depends(known_month)]) -> HTMLResponse:
        quality = read_quality(Settings.from_environment(), month)
        return found(month_page(quality) if quality else None)

    @app.get("/{month}/data-docs/{page}")
    def last_data_docs(month: Annotated[Month, Depends(known_month)], page: str) -> HTMLResponse:
        return found(read_data_docs(Settings.from_environment(), month, page))

    @app.get("/{month}/r{revision:int}/data-docs/{page}")
    def published_data_docs(month: Annotated[Month, Depends(known_month)], revision: int, page: str) -> HTMLResponse:
        return found(read_data_docs(Settings.from_environment(), month, page, revision))

    return app


class ISpeedPages(AirflowPlugin):
    """Puts the pages under `/ispeed`, in the navigation, and on each run's own page."""

    name = "ispeed_pages"
    external_views = [
        {"name": "i-Speed", "href": page_path("/ispeed/"), "destination": "nav", "url_route": "ispeed"},
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

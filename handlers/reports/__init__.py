"""Reports for Make: a suburb and a state become a PDF that is worth sending, in Dropbox or as an artifact, and the callback has its link.

``docs/systems/reports.md`` shows the scenario. Needs the extra ``reports`` (``pip install '.[reports]'``).
"""

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from handlers import Context, Reject, handler
from handlers.extras import require
from handlers.reports import pdf
from handlers.reports.dropbox import Account, Dropbox
from handlers.reports.figures import FiguresUnusable, SalesFile, by_agency, by_agent
from infra.settings import Settings

State = Literal["ACT", "NSW", "NT", "QLD", "SA", "TAS", "VIC", "WA"]


class Wanted(Struct):
    """What Make sends."""

    suburb: Annotated[str, Meta(min_length=1, max_length=100)]
    state: State


@handler("api", "reports.agency", timeout="5m")
async def agency(context: Context, payload: Wanted) -> dict[str, Any]:
    """The agencies of a suburb."""
    return await _report(context, payload, of_agents=False)


@handler("api", "reports.agents", timeout="5m")
async def agents(context: Context, payload: Wanted) -> dict[str, Any]:
    """The agents of a suburb."""
    return await _report(context, payload, of_agents=True)


async def _report(context: Context, wanted: Wanted, *, of_agents: bool) -> dict[str, Any]:
    require("reports")
    settings = Settings.load()
    context.progress(0, 3, "gathering the figures", stage="figures")
    try:
        sales = SalesFile(Path(settings.sales_file) if settings.sales_file else None).of(
            wanted.suburb, wanted.state
        )
    except FiguresUnusable as error:
        raise Reject(str(error)) from error
    if not sales:
        raise Reject(f"no sales are known of {wanted.suburb}, {wanted.state}")
    rows = by_agent(sales) if of_agents else by_agency(sales)
    context.progress(1, 3, "drawing the pages", stage="pdf")
    place = f"{sales[0].suburb}, {wanted.state}"
    title = "Agents report" if of_agents else "Agency report"
    made_on = context.event.received_at.date()
    content = await asyncio.to_thread(pdf.report, title, place, rows, of_agents=of_agents, made_on=made_on)
    context.progress(2, 3, "putting the report where it can be had", stage="upload")
    name = f"{title.lower().replace(' ', '-')}-{sales[0].suburb.lower().replace(' ', '-')}-{wanted.state.lower()}.pdf"
    kept = await _kept(context, settings, name, content)
    context.progress(3, 3, "done")
    return {
        "place": place,
        "rows": len(rows),
        "sales": len(sales),
        "report": kept,
        "made_up": settings.sales_file is None,
    }


async def _kept(context: Context, settings: Settings, name: str, content: bytes) -> dict[str, Any]:
    """Where the report is now: in Dropbox where that is set up, else an artifact."""
    account = _account(settings)
    if account is None:
        artifact: dict[str, Any] = await context.artifact(name, content, "application/pdf")
        return artifact
    dropbox = Dropbox(account, context.http)
    session = await context.step("session", dropbox.session)
    url = await context.step("upload", dropbox.upload, session, f"/reports/{context.job_id}/{name}", content)
    return {
        "name": name,
        "url": url,
        "size": len(content),
        "sha256": sha256(content).hexdigest(),
        "content_type": "application/pdf",
    }


def _account(settings: Settings) -> Account | None:
    key, secret, token = settings.dropbox_app_key, settings.dropbox_app_secret, settings.dropbox_refresh_token
    if not (key and secret and token):
        return None
    return Account(
        app_key=key,
        app_secret=secret,
        refresh_token=token,
        api_url=settings.dropbox_api_url,
        content_url=settings.dropbox_content_url,
    )

"""Summaries: of a meeting, of the meetings of a project, of the projects of a programme; each asks for the next one up.

One that waits is enough: whoever would ask for another finds it, and it will read what is there by then. So ten meetings at once make one
summary of their programme, not ten. All of them read the meetings' summaries, which are the results of those jobs.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, to_builtins

from handlers import Context, handler
from handlers.meetings.text import keywords, telling
from handlers.services import JobState
from infra.settings import Settings

MOST_MEETINGS: Final = 500
_LOOKED_AT: Final = 200

Text = Annotated[str, Meta(min_length=1, max_length=128)]


class Place(Struct, kw_only=True):
    """Where a meeting belongs.

    Args:
        organisation: whose it is; the tag of all that comes of it.
    """

    organisation: Text
    project: Text | None = None
    programme: Text | None = None


class MeetingToSum(Place):
    """A meeting whose decisions and action items are known."""

    title: Text
    sentences: list[str]
    decisions: list[dict[str, Any]]
    action_items: list[dict[str, Any]]


class ProjectToSum(Struct):
    """A project."""

    organisation: Text
    project: Text
    programme: Text | None = None


class ProgrammeToSum(Struct):
    """A programme."""

    organisation: Text
    programme: Text


@handler("api", "summaries.meeting", queue="high")
async def meeting(payload: MeetingToSum) -> dict[str, Any]:
    """What it was about, in its own words."""
    return {
        "title": payload.title,
        "project": payload.project,
        "overview": " ".join(telling(payload.sentences)),
        "keywords": keywords(payload.sentences),
        "decisions": payload.decisions,
        "action_items": payload.action_items,
    }


@handler("api", "summaries.project", queue="default")
async def project(context: Context, payload: ProjectToSum) -> dict[str, Any]:
    """Its meetings together."""
    meetings = await _meetings(context, payload.organisation, project=payload.project)
    if payload.programme is not None:
        await _summary_of_programme(context, payload.organisation, payload.programme)
    return {"project": payload.project, **_together(meetings)}


@handler("api", "summaries.programme", queue="low")
async def programme(context: Context, payload: ProgrammeToSum) -> dict[str, Any]:
    """Its projects, each with its meetings together."""
    meetings = await _meetings(context, payload.organisation, programme=payload.programme)
    names = sorted({state.metadata["project"] for state in meetings if "project" in state.metadata})
    projects = [
        {"project": name, **_together([one for one in meetings if one.metadata.get("project") == name])}
        for name in names
    ]
    return {"programme": payload.programme, **_together(meetings), "projects": projects}


async def summary_above(context: Context, place: Place) -> None:
    """Ask for the summary of a meeting's project, or of its programme where it has none; once the meeting's own can be read."""
    if place.project is not None:
        wanted = ProjectToSum(
            organisation=place.organisation, project=place.project, programme=place.programme
        )
        await _ask_once(context, "project", wanted, queue="default")
    elif place.programme is not None:
        await _summary_of_programme(context, place.organisation, place.programme)


async def _summary_of_programme(context: Context, organisation: str, name: str) -> None:
    wanted = ProgrammeToSum(organisation=organisation, programme=name)
    await _ask_once(context, "programme", wanted, queue="low")


async def _ask_once(context: Context, kind: str, wanted: Struct, *, queue: str) -> None:
    """Make the job, unless one waits that will yet begin: that one reads what this one would.

    Those who look at the same moment have the same one before them, whose id is in their key: so they make one job.
    """
    payload: dict[str, Any] = to_builtins(wanted)
    organisation = payload["organisation"]
    place = {name: payload[name] for name in ("project", "programme") if payload.get(name) is not None}
    newest = await context.recent(f"summaries.{kind}", tag=organisation, limit=_LOOKED_AT)
    same = [one for one in newest if dict(one.metadata) == place]
    if any(one.status in ("queued", "scheduled") for one in same):
        return
    # There may be one beyond those that were looked at, or one that is no longer kept.
    unseen = context.job_id if len(newest) == _LOOKED_AT else f"{context.now():%F %H}"
    before = same[0].id if same else unseen
    await context.enqueue(
        f"summaries.{kind}",
        payload,
        queue=queue,
        run_in=Settings.load().summaries_wait,
        tag=organisation,
        metadata=place,
        idempotency_key=kind,
        shared_key=f"{kind} {place} of {organisation} after {before}",
    )


async def _meetings(context: Context, organisation: str, **place: str) -> list[JobState]:
    """The newest meetings of a project or a programme, oldest first. Read anew in every attempt: a meeting may have come."""
    newest = await context.recent("summaries.meeting", tag=organisation, limit=MOST_MEETINGS)
    return [
        one
        for one in reversed(newest)
        if one.status == "finished" and place.items() <= dict(one.metadata).items()
    ]


def _together(meetings: Sequence[JobState]) -> dict[str, Any]:
    results = [one.result for one in meetings]
    return {
        "meetings": [result["title"] for result in results],
        "keywords": keywords(
            text for result in results for text in (*result["keywords"], result["overview"])
        ),
        "decisions": _of_all(results, "decisions"),
        "action_items": _by_owner(_of_all(results, "action_items")),
    }


def _of_all(results: Iterable[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [{**one, "meeting": result["title"]} for result in results for one in result[name]]


def _by_owner(items: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Who does what, whatever meeting it was said in."""
    owned: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        owned.setdefault(item["owner"], []).append({k: v for k, v in item.items() if k != "owner"})
    return owned

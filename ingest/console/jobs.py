"""Jobs: the list, one job whole; retry and cancel."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Scope

from infra.clock import Clock
from infra.ids import JOB, is_id
from infra.ledger import Jobs, Lists, Reading, Steering
from infra.ledger.records import TERMINAL_STATUSES, JobRecord, JobStatus
from infra.routes import Routes
from ingest.api.query import query_of
from ingest.console.excerpts import latest, result_excerpt
from ingest.console.listing import SHOWN, asked
from ingest.console.visit import Act, Frame, View, Visit
from ingest.problems import JOB_ENDED, NOT_FOUND, Problem
from ingest.rerun import REFUSALS
from ingest.views import job_view, listed_job_view


class JobList(View):
    """``/console/jobs``."""

    def __init__(self, frame: Frame, lists: Lists, clock: Clock) -> None:
        super().__init__(frame)
        self._lists = lists
        self._clock = clock

    async def show(self, visit: Visit, scope: Scope) -> Response:
        wanted = asked(scope, JobStatus, now=self._clock.now())
        page = await self._lists.jobs(wanted.wanted, SHOWN, wanted.after)
        values = {
            "jobs": [listed_job_view(job) for job in page.items],
            **wanted.values(page.next),
        }
        return self._frame.page(visit, "jobs.html", values)


class JobPage(View):
    """``/console/jobs/{id}``."""

    def __init__(self, frame: Frame, reading: Reading, routes: Routes) -> None:
        super().__init__(frame)
        self._reading = reading
        self._routes = routes

    async def show(self, visit: Visit, scope: Scope) -> Response:
        job = await known_job(scope["path_params"]["id"], self._reading)
        entry = await self._routes.find(job.source, job.type)
        query = query_of(scope)
        whole, view = "whole" in query, job_view(job, entry, operator=True)
        values = {
            "job": view,
            "log": latest(view["logs"], whole=whole),
            "over": job.status in TERMINAL_STATUSES,
            "trace": "" if job.error is None or not visit.session.person.sees_payloads else job.error.trace,
            "result": result_excerpt(job.result, whole=whole),
            "done": query.get("done"),
        }
        return self._frame.page(visit, "job.html", values)


class RetryJob(Act):
    """A failed job, again, in a new round."""

    act = "retry"

    def __init__(self, frame: Frame, reading: Reading, steering: Steering) -> None:
        super().__init__(frame)
        self._reading = reading
        self._steering = steering

    async def do(self, visit: Visit, on: str, _: Mapping[str, str]) -> str:
        job = await known_job(on, self._reading)
        verdict = await self._steering.retry(job, by=visit.by)
        if verdict in REFUSALS:
            raise Problem(*REFUSALS[verdict])
        return f"/console/jobs/{job.id}"


class CancelJob(Act):
    """A job that has not ended."""

    act = "cancel"

    def __init__(self, frame: Frame, reading: Reading, jobs: Jobs) -> None:
        super().__init__(frame)
        self._reading = reading
        self._jobs = jobs

    async def do(self, visit: Visit, on: str, _: Mapping[str, str]) -> str:
        job = await known_job(on, self._reading)
        if (
            job.status in TERMINAL_STATUSES
            or await self._jobs.cancel(job.id, by=visit.by) is not JobStatus.CANCELED
        ):
            raise Problem(JOB_ENDED, "What has ended can't be canceled.")
        return f"/console/jobs/{job.id}"


async def known_job(job_id: str, reading: Reading) -> JobRecord:
    """The job of that id.

    Raises:
        Problem: 404 where there is none.
    """
    job = await reading.job(job_id) if is_id(job_id, JOB) else None
    if job is None:
        raise Problem(NOT_FOUND)
    return job

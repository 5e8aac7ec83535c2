"""``/console/workers``: who works, and on what."""

from starlette.responses import Response
from starlette.types import Scope

from infra.ledger import Overview
from ingest.api.query import query_of
from ingest.console.visit import Frame, View, Visit
from ingest.views import listed_job_view, queues_view


class WorkerList(View):
    """Workers that are alive, and the jobs that they hold."""

    def __init__(self, frame: Frame, overview: Overview) -> None:
        super().__init__(frame)
        self._overview = overview

    async def show(self, visit: Visit, scope: Scope) -> Response:
        workers = await self._overview.workers()
        running = await self._overview.running([worker.name for worker in workers])
        values = {
            "workers": queues_view((), workers, ())["workers"],
            "running": [
                {"worker": worker, **listed_job_view(job), "started_at": job.started_at}
                for worker, job in running
            ],
            "held": sum(worker.busy for worker in workers),
            "done": query_of(scope).get("done"),
        }
        return self._frame.page(visit, "workers.html", values)

"""What stands in for the files of a worker that keeps none."""

from datetime import timedelta

from infra.clock import SystemClock
from infra.egress import EgressPolicy, guarded_client
from infra.files import ArtifactLinks
from worker.files import JobFiles


def no_files() -> JobFiles:
    """Files where ``HOOKLINE_FILES`` is not set."""
    links = ArtifactLinks(["test"], public_url=None, ttl=timedelta(days=1), clock=SystemClock())
    return JobFiles(None, links, lambda: guarded_client(EgressPolicy()), limit=1 << 20)

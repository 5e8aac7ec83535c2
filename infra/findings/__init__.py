"""What can be wrong with an installation: one rule a trouble, each a pure function from what was seen to findings.

`hookline doctor`, ``/readyz`` and the alerts ask the same rules. What needs the sources' table is in `infra.cli.findings`.
"""

from infra.findings.finding import Finding, Severity
from infra.findings.seen import Seen, observe
from infra.findings.server import of_server
from infra.findings.work import NO_WORKER, PAUSED, of_pauses, of_records, of_workers

__all__ = [
    "NO_WORKER",
    "PAUSED",
    "Finding",
    "Seen",
    "Severity",
    "observe",
    "of_pauses",
    "of_records",
    "of_server",
    "of_workers",
]

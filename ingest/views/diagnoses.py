"""Why a request was refused, as the API shows it."""

from typing import Any

from infra.clock import rfc3339
from ingest.diagnose import Diagnosis


def diagnosis_view(diagnosis: Diagnosis) -> dict[str, Any]:
    """Why one request was refused, as the API and the command line show it."""
    return {
        "received_at": rfc3339(diagnosis.received_at),
        "because": diagnosis.because,
        "size": diagnosis.size,
        "holds": list(diagnosis.holds),
        "cures": list(diagnosis.cures),
        "cut_short": diagnosis.cut_short,
    }

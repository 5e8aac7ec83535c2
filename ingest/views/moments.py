"""Moments as the API shows them."""

from datetime import datetime

from infra.clock import rfc3339


def moment(moment: datetime | None) -> str | None:
    """RFC 3339, or None for none."""
    return None if moment is None else rfc3339(moment)

"""The real handler of videos, with too little time."""

from typing import Any

from handlers import Context, handler
from handlers.videos import Wanted, generate


@handler("api", "videos.impatient", isolation="process", timeout="2s", max_attempts=1)
def impatient(context: Context, payload: Wanted) -> dict[str, Any]:
    return generate(context, payload)

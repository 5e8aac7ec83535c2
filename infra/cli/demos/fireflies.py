"""The demo of `hookline dev --demo`: one real Fireflies event, from its signature to the callback that comes back.

The event is signed as Fireflies signs it and sent over HTTP. With ``FIREFLIES_API_KEY`` the handler asks Fireflies itself for
your newest meeting; without, a stand-in in this process that answers as the documented schema does.
"""

from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console

from handlers.testing import signed
from infra.cli.demos.stage import DemoError
from infra.clock import wall_milliseconds
from infra.settings import Settings

_NEWEST = "query { transcripts(limit: 1) { id title } }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """Where the demo's parts are.

    Args:
        web: the address of the web process.
        secret: of the source ``fireflies``.
        meeting_id: what the stand-in knows; None: the newest meeting of the Fireflies account.
    """

    web: str
    secret: str
    settings: Settings
    meeting_id: str | None
    console: Console

    def send(self) -> str:
        """Send the event. Returns the id of its job.

        Raises:
            DemoError: there is no meeting, or the web process did not take the event.
        """
        meeting_id = self.meeting_id or self._newest_meeting()
        payload = {
            "event": "meeting.summarized",
            "timestamp": wall_milliseconds(),
            "meeting_id": meeting_id,
            "client_reference_id": "demo",
        }
        request = signed("fireflies", payload, secret=self.secret, url=f"{self.web}/hooks/fireflies")
        self.console.print(f"\n[bold]→ POST {request.url}[/]", highlight=False, soft_wrap=True)
        self.console.print(
            f"  x-hub-signature: {request.headers['x-hub-signature'][:24]}…", highlight=False, soft_wrap=True
        )
        self.console.print(f"  {request.content.decode()}", highlight=False, soft_wrap=True)
        with httpx.Client(trust_env=False, timeout=10) as client:
            response = client.send(request)
        self.console.print(f"[bold]← {response.status_code}[/]", highlight=False, soft_wrap=True)
        self.console.print_json(response.text)
        if response.status_code not in (httpx.codes.OK, httpx.codes.ACCEPTED):
            raise DemoError("the web process did not take the event")
        told: dict[str, Any] = response.json()
        if told["duplicate"]:
            self.console.print(
                "  This meeting's event was sent before: nothing runs twice, and its callback came then."
            )
        return str(told["job_id"])

    def _newest_meeting(self) -> str:
        headers = {"Authorization": f"Bearer {self.settings.fireflies_api_key}"}
        try:
            answer = httpx.post(
                self.settings.fireflies_api_url, json={"query": _NEWEST}, headers=headers, timeout=30
            )
            meetings = answer.json()["data"]["transcripts"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise DemoError(f"Fireflies did not tell its newest meeting: {type(error).__name__}") from error
        if not meetings:
            raise DemoError(
                "the Fireflies account has no meeting yet: unset FIREFLIES_API_KEY to see the stand-in's"
            )
        return str(meetings[0]["id"])

"""What a call can come to instead of its answer."""

from collections.abc import Mapping
from typing import Any

from infra.errors import HooklineError


class ClientError(HooklineError):
    """The call came to nothing."""


class NotReached(ClientError):
    """There was no answer, or none that is worth the name, after all tries."""


class Refused(ClientError):
    """The answer is no 2xx.

    Args:
        status: of HTTP.
        code: what a program goes by (``docs/problems.md``); empty where something else than Hookline answered.
        detail: what is wrong with this request, for people.
        members: the whole problem; with ``idempotency_conflict`` the first job's `job_id`.
    """

    def __init__(
        self, status: int, code: str, title: str, detail: str | None, members: Mapping[str, Any]
    ) -> None:
        super().__init__(" ".join(filter(None, (f"{status} {title}", detail))))
        self.status = status
        self.code = code
        self.detail = detail
        self.members = members


class NotFound(Refused):
    """There is no such thing, or it is someone else's."""

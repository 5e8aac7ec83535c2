"""One call of the API, as the document tells of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from infra.setting_values import Scope
from ingest.problems import (
    FRAMING_AMBIGUOUS,
    HEADERS_TIMEOUT,
    HEADERS_TOO_LARGE,
    HTTP_MALFORMED,
    INTERNAL,
    SCOPE_MISSING,
    SHARD_UNSAID,
    UNAUTHORIZED,
    Kind,
)

JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
ALWAYS: Final = (HTTP_MALFORMED, FRAMING_AMBIGUOUS, HEADERS_TIMEOUT, HEADERS_TOO_LARGE, INTERNAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What a call takes beside its body.

    Args:
        kind: of its value, as a type that becomes a schema.
        required: always so of what stands in the path.
    """

    name: str
    kind: Any
    words: str
    place: Literal["path", "query", "header"] = "query"
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One of the answers that are no refusal.

    Args:
        media: what it is, by media type: a type that becomes a schema, several of which any may be it, or None for what JSON
            Schema has no words for. Empty: no body.
        headers: that it has besides, with what they say.
        links: what can be called next: the name of a call, and where in the answer its id stands.
    """

    words: str
    media: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a call takes.

    Args:
        media: as `Answer` has it.
        examples: what is sent as JSON, by what that does.
    """

    media: Mapping[str, Any]
    examples: Mapping[str, Any] = field(default_factory=dict)
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A method of an address.

    Args:
        name: the ``operationId``.
        of_many: whether it is about all that one ledger holds, so that over several shards it has to name one.
        scope: what a key needs; None: no key opens it.
        link: whether the signed link to the very thing opens it too.
        page: whether browsers get pages, also of refusals.
        problems: what it may be refused with, beside `ALWAYS` and what its authorisation brings.
        curl: the words of a call that works, behind ``curl``; ``$HOOKLINE`` is where it is.
    """

    method: Literal["GET", "POST"]
    path: str
    name: str
    tag: str
    summary: str
    words: str = ""
    of_many: bool = False
    scope: Scope | None = None
    link: bool = False
    page: bool = False
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    answers: Mapping[int, Answer]
    problems: tuple[Kind, ...] = ()
    curl: str

    @property
    def refusals(self) -> tuple[Kind, ...]:
        """Everything that it may be refused with, in HTTP: a WebSocket is opened, and closed with a code."""
        if 101 in self.answers:
            return (*self.problems, *ALWAYS)
        sharded = (SHARD_UNSAID,) if self.of_many else ()
        guarded = ((UNAUTHORIZED,) if self.scope or self.link else ()) + (
            (SCOPE_MISSING,) if self.scope else ()
        )
        return (*guarded, *sharded, *self.problems, *ALWAYS)

    @property
    def command(self) -> str:
        """The example, to be pasted into a shell."""
        key = '-H "Authorization: Bearer $KEY" ' if self.scope else ""
        return f"curl {key}{self.curl}"

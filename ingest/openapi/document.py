"""The tables as one OpenAPI document (https://spec.openapis.org/oas/v3.1.1.html)."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from itertools import groupby
from typing import Any, Final

import msgspec

from infra.setting_values import SCOPES
from ingest.openapi.call import HTML, Answer, Body, Call, Parameter
from ingest.openapi.calls import CALLS
from ingest.openapi.examples import example_of
from ingest.openapi.shapes.jobs import Change
from ingest.openapi.shapes.standing import Problem
from ingest.problems import Kind

PROBLEM_JSON: Final = "application/problem+json"

_SCHEMAS: Final = "#/components/schemas/"
_WORDS: Final = (
    "Hookline takes webhooks in, runs your handlers, and calls back, signed. Where there is GET there is HEAD, but for streams. Times are "
    "RFC 3339 in UTC. New members may come: pass over what you don't know. Every refusal is a `Problem`; go by its `code`."
)
_TAGS: Final = {
    "Receiving": "Where senders send their webhooks.",
    "Jobs": "One handler's work on one event.",
    "Events": "What came in, and what became of it.",
    "Bulk replays": "Many jobs, again.",
    "Callbacks": "How callers are told, and where that goes.",
    "Files": "Files for jobs, and files of jobs.",
    "Operating": "How things stand, for operators.",
    "Process": "What anybody may ask.",
}
_SECURITY: Final = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": f"A key of `HOOKLINE_API_KEYS`. Its scopes: {', '.join(f'`{scope}`' for scope in SCOPES)}.",
    },
    "link": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "The `token` of a signed link, such as a `status_url`: it opens that one thing, until it expires.",
    },
}
_HEADERS: Final = {
    401: ("WWW-Authenticate", "What is wanted."),
    405: ("Allow", "The methods that it takes."),
    429: ("Retry-After", "Seconds."),
    503: ("Retry-After", "Seconds."),
}
_ENUMERATIONS: Final = {
    "JobStatus": ("finished", "Where a job stands; `scheduled` waits for its time, `ignored` has no handler."),
    "CallbackStatus": ("delivered", "Where a callback stands; only `pending` is tried again by itself."),
    "CallbackFormat": ("hookline", "What the body of a callback is: ours, CloudEvents 1.0, or the result alone."),
    "ReceiverStatus": ("active", "Where a receiver stands; nothing is sent to one that is `paused`."),
    "Held": ("queue", "What can be paused."),
    "ReplayStatus": ("running", "Where a bulk replay stands."),
}  # fmt: skip


@cache
def document() -> Mapping[str, Any]:
    """The document; the same for everybody, whatever the settings. It is shared: leave it as it is.

    >>> document()["openapi"], document()["paths"]["/jobs/{id}/cancel"]["post"]["security"]
    ('3.1.1', [{'key': ['operate']}, {'link': []}])
    """
    schemas = _Schemas(CALLS)
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, schemas)
    return {
        "openapi": "3.1.1",
        "info": {"title": "Hookline", "version": version("hookline"), "description": _WORDS},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": words} for name, words in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {
                _name(kinds, call): _refusal(kinds, call) for call in CALLS for kinds in _refusals(call)
            },
            "securitySchemes": _SECURITY,
        },
    }


class _Schemas:
    """JSON Schema of everything that is sent or answered, each shape once."""

    def __init__(self, calls: Iterable[Call]) -> None:
        kinds = [kind for call in calls for kind in _kinds(call)]
        made, self.components = msgspec.json.schema_components(
            [*kinds, Problem, Change], ref_template=_SCHEMAS + "{name}"
        )
        self._made = list(zip(kinds, made, strict=False))
        for name, (example, words) in _ENUMERATIONS.items():
            self.components[name] |= {"description": words, "examples": [example]}

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of a type, or of several."""
        if isinstance(kind, tuple):
            return {"anyOf": [self.of(one) for one in kind]}
        return next(schema for known, schema in self._made if known is kind)

    def media(self, kinds: Mapping[str, Any]) -> dict[str, Any]:
        """What is sent or answered, by media type."""
        return {media: {} if kind is None else self._described(kind) for media, kind in kinds.items()}

    def _described(self, kind: Any) -> dict[str, Any]:
        schema = self.of(kind)
        example = example_of(schema, self.components)
        return {"schema": schema} if example is None else {"schema": schema, "example": example}


def _kinds(call: Call) -> Iterable[Any]:
    yield from (parameter.kind for parameter in call.parameters)
    for part in (call.body, *call.answers.values()):
        for kind in () if part is None else part.media.values():
            yield from kind if isinstance(kind, tuple) else () if kind is None else (kind,)


def _operation(call: Call, schemas: _Schemas) -> dict[str, Any]:
    answers = {str(status): _answer(answer, schemas) for status, answer in call.answers.items()}
    refusals = {
        str(kinds[0].status): {"$ref": f"#/components/responses/{_name(kinds, call)}"}
        for kinds in _refusals(call)
    }
    told: dict[str, Any] = {
        "operationId": call.name,
        "tags": [call.tag],
        "summary": call.summary,
        "security": [
            *([{"key": [call.scope]}] if call.scope else []),
            *([{"link": []}] if call.link else []),
        ],
        "responses": dict(sorted({**answers, **refusals}.items())),
        "x-codeSamples": [{"lang": "Shell", "label": "curl", "source": call.command}],
    }
    if call.words:
        told["description"] = call.words
    if call.parameters:
        told["parameters"] = [_parameter(parameter, schemas) for parameter in call.parameters]
    if call.body is not None:
        told["requestBody"] = _body(call.body, schemas)
    return told


def _parameter(parameter: Parameter, schemas: _Schemas) -> dict[str, Any]:
    told = {"name": parameter.name, "in": parameter.place, "schema": schemas.of(parameter.kind)}
    if parameter.words:
        told["description"] = parameter.words
    return told | ({"required": True} if parameter.required else {})


def _body(body: Body, schemas: _Schemas) -> dict[str, Any]:
    content = {
        media: {} if kind is None else {"schema": schemas.of(kind)} for media, kind in body.media.items()
    }
    if body.examples:
        first = next(iter(content.values()))
        first["examples"] = {
            words.replace(" ", "-").strip("?").replace(",", ""): {"summary": words, "value": value}
            for words, value in body.examples.items()
        }
    return {"required": body.required, "content": content}


def _answer(answer: Answer, schemas: _Schemas) -> dict[str, Any]:
    told: dict[str, Any] = {"description": answer.words}
    if answer.media:
        told["content"] = schemas.media(answer.media)
    if answer.headers:
        told["headers"] = {name: _header(words) for name, words in answer.headers.items()}
    if answer.links:
        told["links"] = {
            name: {"operationId": name, "parameters": {"id": place}} for name, place in answer.links.items()
        }
    return told


def _refusals(call: Call) -> list[list[Kind]]:
    """What it may be refused with, by status."""
    kinds = sorted(call.refusals, key=_status)
    return [list(alike) for _, alike in groupby(kinds, key=_status)]


def _status(kind: Kind) -> int:
    return kind.status


def _name(kinds: Sequence[Kind], call: Call) -> str:
    codes = [kind.code for kind in kinds]
    return ".".join(["page", *codes] if call.page else codes)


def _refusal(kinds: Sequence[Kind], call: Call) -> dict[str, Any]:
    status = kinds[0].status
    codes = {"code": {"enum": [kind.code for kind in kinds]}, "status": {"const": status}}
    told: dict[str, Any] = {
        "description": " ".join(kind.title for kind in kinds),
        "content": {
            PROBLEM_JSON: {
                "schema": {"$ref": f"{_SCHEMAS}Problem", "properties": codes},
                "examples": {kind.code: {"value": _problem(kind)} for kind in kinds},
            }
        },
    }
    if call.page:
        told["content"][HTML] = {"schema": {"type": "string"}}
    if status in _HEADERS:
        name, words = _HEADERS[status]
        told["headers"] = {name: _header(words)}
    return told


def _problem(kind: Kind) -> dict[str, Any]:
    urn = f"urn:hookline:problem:{kind.code}"
    return {"type": urn, "title": kind.title, "status": kind.status, "code": kind.code}


def _header(words: str) -> dict[str, Any]:
    return {"description": words, "schema": {"type": "string"}}

"""Holds answers against the API's description: nothing is answered that it does not have, and no member that it does not name."""

import json
import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from ingest.openapi import document

ANY_METHOD = 405


async def hold(answer: httpx.Response) -> None:
    """A response hook of httpx: fails where the description has no such answer."""
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        fault = fault_of(answer, b"")
    else:
        fault = fault_of(answer, await answer.aread())
    assert fault is None, fault


def fault_of(answer: httpx.Response, content: bytes) -> str | None:
    """What is answered and not described; None: it is as described, or at an address that is none of the API's."""
    path, method = answer.request.url.path, answer.request.method
    place = place_of(path)
    told = document()["paths"].get(place, {}).get("get" if method == "HEAD" else method.lower())
    if place is None or told is None or answer.status_code in (ANY_METHOD, 499):
        return None
    where = f"{method} {place}: {answer.status_code}"
    described = told["responses"].get(str(answer.status_code))
    if described is None:
        return f"{where} is not described: {content[:300]!r}"
    media = media_of(described, answer.headers.get("content-type"))
    if media is None:
        return f"{where}: {answer.headers.get('content-type')} is not described"
    if method == "HEAD" or "json" not in media:
        return None
    faults = validator(place, method.lower(), str(answer.status_code), media).iter_errors(json.loads(content))
    return next((f"{where}: {fault.message} - at {fault.instance_path}" for fault in faults), None)


def place_of(path: str) -> str | None:
    """The path of the document that such a path is of."""
    for place in document()["paths"]:
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(place)), path):
            return str(place)
    return None


def media_of(described: dict[str, Any], sent: str | None) -> str | None:
    """The media type of an answer that is the one that was sent; empty: none was."""
    content = followed(described).get("content", {})
    if sent is None:
        return ""
    return next((media for media in (sent, sent.partition(";")[0], "*/*") if media in content), None)


def followed(told: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for."""
    name = told.get("$ref", "").rpartition("/")[2]
    return document()["components"]["responses"][name] if name else told


@cache
def validator(place: str, method: str, status: str, media: str) -> Any:
    described = followed(document()["paths"][place][method]["responses"][status])
    return closed_validator(described["content"][media].get("schema", {}))


def closed_validator(schema: dict[str, Any]) -> Any:
    """Of a schema of the document, all of whose objects have the members that they name and no others."""
    return jsonschema_rs.Draft202012Validator({**schema, "components": closed_components()})


@cache
def closed_components() -> dict[str, Any]:
    schemas = {
        name: {**schema, "additionalProperties": False} if "properties" in schema else schema
        for name, schema in document()["components"]["schemas"].items()
    }
    return {"schemas": schemas}

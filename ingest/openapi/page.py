"""The document as a page shows it: each call with all that belongs to it, nothing to be looked up elsewhere."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from markupsafe import Markup, escape

_CODE: Final = re.compile(r"`([^`]+)`")
_WHO: Final = {"key": "a key with `{}`", "link": "its link"}

Json = Mapping[str, Any]


def page_values(document: Json) -> dict[str, Any]:
    """What the template ``api.html`` takes."""
    calls = [
        _call(document, method, path, told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]
    return {
        "title": document["info"]["title"],
        "version": document["info"]["version"],
        "words": marked(document["info"]["description"]),
        "groups": [
            {
                "name": tag["name"],
                "words": marked(tag["description"]),
                "calls": [call for call in calls if call["tag"] == tag["name"]],
            }
            for tag in document["tags"]
        ],
        "keys": [
            {"name": name, "words": marked(told["description"])}
            for name, told in document["components"]["securitySchemes"].items()
        ],
        "shapes": [
            {
                "name": name,
                "words": marked(told.get("description", "")),
                "choices": told.get("enum", []),
                "members": list(_members(told)),
            }
            for name, told in sorted(document["components"]["schemas"].items())
        ],
    }


def marked(text: str) -> Markup:
    """Plain text with `code` in it.

    >>> marked("`a` < b")
    Markup('<code>a</code> &lt; b')
    """
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def type_of(schema: Json) -> Markup:
    """A type in words, with a link to the shape.

    >>> type_of({"anyOf": [{"type": "array", "items": {"$ref": "#/components/schemas/Job"}}, {"type": "null"}]})
    Markup('list of <a href="#Job">Job</a>, or null')
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{0}">{0}</a>').format(name)
    if "anyOf" in schema:
        return Markup(", or ").join(type_of(one) for one in schema["anyOf"])
    if "enum" in schema:
        return Markup(", ").join(Markup("<code>{}</code>").format(value) for value in schema["enum"])
    match schema.get("type", "any JSON"):
        case "array":
            return Markup("list of ") + type_of(schema["items"])
        case "null":
            return Markup("null")
        case "string" if schema.get("format"):
            return escape(schema["format"])
        case kind:
            return escape(kind)


def _call(document: Json, method: str, path: str, told: Json) -> dict[str, Any]:
    answers = {status: _followed(document, answer) for status, answer in sorted(told["responses"].items())}
    return {
        "id": told["operationId"],
        "method": method.upper(),
        "path": path,
        "tag": told["tags"][0],
        "summary": told["summary"],
        "words": marked(told.get("description", "")),
        "who": marked(" or ".join(_who(told["security"])) or "anyone"),
        "parameters": [_parameter(one) for one in told.get("parameters", ())],
        "body": list(_contents(told.get("requestBody", {}))),
        "answers": [
            {
                "status": status,
                "words": marked(answer["description"]),
                "headers": [
                    {"name": name, "words": marked(one["description"])}
                    for name, one in answer.get("headers", {}).items()
                ],
                "contents": list(_contents(answer)),
            }
            for status, answer in answers.items()
            if not _is_refusal(answer)
        ],
        "problems": [
            {"status": status, "code": code, "title": example["value"]["title"]}
            for status, answer in answers.items()
            if _is_refusal(answer)
            for code, example in answer["content"]["application/problem+json"]["examples"].items()
        ],
        "command": told["x-codeSamples"][0]["source"],
    }


def _followed(document: Json, answer: Json) -> Json:
    if "$ref" not in answer:
        return answer
    found: Json = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return found


def _is_refusal(answer: Json) -> bool:
    return "application/problem+json" in answer.get("content", {})


def _who(security: list[dict[str, list[str]]]) -> Iterator[str]:
    for one in security:
        for scheme, scopes in one.items():
            yield _WHO[scheme].format(", ".join(scopes))


def _parameter(told: Json) -> dict[str, Any]:
    return {
        "name": told["name"],
        "place": told["in"],
        "type": type_of(told["schema"]),
        "words": marked(told.get("description") or told["schema"].get("description", "")),
    }


def _contents(told: Json) -> Iterator[dict[str, Any]]:
    for media, content in told.get("content", {}).items():
        examples = content.get(
            "examples", {"": {"value": content["example"]}} if "example" in content else {}
        )
        yield {
            "media": media,
            "type": type_of(content["schema"]) if "schema" in content else "",
            "examples": [
                {
                    "words": one.get("summary", ""),
                    "text": json.dumps(one["value"], indent=2, ensure_ascii=False),
                }
                for one in examples.values()
            ],
        }


def _members(shape: Json) -> Iterator[dict[str, Any]]:
    for name, told in shape.get("properties", {}).items():
        yield {
            "name": name,
            "type": type_of(told),
            "always": name in shape.get("required", ()),
            "words": marked(_words(told)),
        }


def _words(schema: Json) -> str:
    """What a member means; where it may be null, that stands with what it is else."""
    found: str = schema.get("description") or next(
        (one["description"] for one in schema.get("anyOf", ()) if "description" in one), ""
    )
    return found

"""The API's description is true: it has every route and nothing else, every code, every word that is taken, and examples that fit.

That answers are as described is checked wherever these tests ask the application (`described.hold`).
"""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from openapi_spec_validator import validate
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from infra.cli import hookline
from infra.filters import FILTERS
from infra.submission import Submission
from ingest import problems
from ingest.api import replays
from ingest.openapi import document
from ingest.openapi.shapes import steering
from ingest.problems import Kind
from tests.unit.ingest import described
from tests.unit.ingest.application import House, running

DOCUMENT = document()
CALLS = {
    (method.upper(), path): told
    for path, methods in DOCUMENT["paths"].items()
    for method, told in methods.items()
}
FOR_BROWSERS = ("/assets/", "/console", "/favicon.ico")  # pages, and what they load
NO_KIND_OF_A_CALL = {problems.METHOD_NOT_ALLOWED.code}


def routes(house: House) -> Iterator[tuple[str, bool]]:
    """Every path of the API, and whether it is a WebSocket."""
    app = house.http._transport.app  # type: ignore[attr-defined]
    assert isinstance(app, Starlette)
    for route in app.routes:
        path = getattr(route, "path", "")
        if not path.startswith(FOR_BROWSERS):
            yield path, isinstance(route, WebSocketRoute)


def test_every_route_and_method_is_described_and_nothing_else() -> None:
    async def main() -> None:
        async with running() as house:
            found = {("GET", "/hooks/{source}")}  # for the sources whose provider asks so
            for path, is_socket in routes(house):
                if is_socket:
                    found.add(("GET", path))
                    continue
                refused = await house.http.request(
                    "BREW", path.format(id="x", name="x", source="github", job="x")
                )
                assert refused.status_code == 405, path
                found |= {
                    (method, path) for method in refused.headers["Allow"].split(", ") if method != "HEAD"
                }
            assert found == CALLS.keys()

    asyncio.run(main())


def test_it_is_an_openapi_document() -> None:
    validate(json.loads(json.dumps(DOCUMENT)))


def test_no_two_calls_have_one_name() -> None:
    names = [told["operationId"] for told in CALLS.values()]
    assert len(names) == len(set(names))


def test_every_problem_is_said_of_a_call() -> None:
    known = {kind.code: kind for kind in vars(problems).values() if isinstance(kind, Kind)}
    said: dict[str, Any] = {}
    for response in DOCUMENT["components"]["responses"].values():
        said |= response["content"]["application/problem+json"]["examples"]
    assert said.keys() == known.keys()
    for code, example in said.items():
        assert (example["value"]["title"], example["value"]["status"]) == (
            known[code].title,
            known[code].status,
        )


def test_every_shape_can_be_reached() -> None:
    linked = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(DOCUMENT)))
    assert DOCUMENT["components"]["schemas"].keys() - linked == {"Change"}  # of a stream, in words


# -- what is taken -----------------------------------------------------------------------------------------------------


def test_a_submission_is_described_as_it_is_read() -> None:
    read, said = (
        {field.name: default_of(field) for field in msgspec.structs.fields(kind)}
        for kind in (Submission, steering.Submission)
    )
    assert said == read


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    made = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return list(made) if isinstance(made, tuple) else made


def test_filters_are_described_as_they_are_read() -> None:
    for path in ("/jobs", "/events", "/callbacks"):
        names = {one["name"] for one in CALLS["GET", path]["parameters"]}
        assert names - {"provider_event_id"} == {*FILTERS, "limit", "cursor"}
    asked = DOCUMENT["components"]["schemas"]["ReplayFilter"]["properties"].keys()
    assert asked == {*FILTERS, "ids"}
    assert DOCUMENT["components"]["schemas"]["BulkRequest"]["properties"].keys() == {
        *asked, "filter", "dry_run", "rate", "max_error_share",
    }  # fmt: skip
    most = DOCUMENT["components"]["schemas"]["ReplayFilter"]["properties"]["ids"]["maxItems"]
    assert most == replays.MOST_IDS


# -- examples ----------------------------------------------------------------------------------------------------------


def examples() -> Iterator[Any]:
    """Each with its schema."""
    for (method, path), told in CALLS.items():
        parts = [told.get("requestBody", {}), *map(described.followed, told["responses"].values())]
        for number, part in enumerate(parts):
            for content in part.get("content", {}).values():
                values = [one["value"] for one in content.get("examples", {}).values()]
                for value in [*values, *([content["example"]] if "example" in content else [])]:
                    yield pytest.param(content["schema"], value, id=f"{method}-{path}-{number}")


@pytest.mark.parametrize(("schema", "example"), list(examples()))
def test_examples_fit(schema: dict[str, Any], example: Any) -> None:
    described.closed_validator(schema).validate(example)


def test_the_checker_sees_what_is_not_described() -> None:
    job = next(value.values[1] for value in examples() if value.id == "GET-/jobs/{id}-1")
    schema = {"$ref": "#/components/schemas/Job"}
    for spoilt in (
        job | {"more": 1},
        job | {"status": "done"},
        {name: job[name] for name in job if name != "id"},
    ):
        assert not described.closed_validator(schema).is_valid(spoilt)


# -- where it is -------------------------------------------------------------------------------------------------------


def test_anyone_may_read_it_and_keep_it_for_a_while() -> None:
    async def main() -> None:
        async with running() as house:
            answer = await house.http.get("/openapi.json")
            assert answer.json() == json.loads(json.dumps(DOCUMENT))
            assert answer.headers["Cache-Control"] == "public, max-age=300"
            again = await house.http.get("/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
            assert (again.status_code, again.content) == (304, b"")

    asyncio.run(main())


def test_the_command_line_prints_the_same() -> None:
    printed = CliRunner().invoke(hookline, ["openapi"])
    assert (printed.exit_code, json.loads(printed.output)) == (0, json.loads(json.dumps(DOCUMENT)))


def page() -> tuple[str, Any]:
    """The page, and its headers."""

    async def main() -> tuple[str, Any]:
        async with running() as house:
            answer = await house.http.get("/docs")
            return answer.text, answer.headers

    return asyncio.run(main())


def test_the_page_has_every_call_with_its_example_and_its_problems() -> None:
    text, _ = page()
    for told in CALLS.values():
        (section,) = re.findall(rf'<article id="{told["operationId"]}".*?</article>', text, re.DOTALL)
        assert "$HOOKLINE" in section or "$ARTIFACT_URL" in section
        for response in told["responses"].values():
            for code in response.get("$ref", "").rpartition("/")[2].removeprefix("page.").split("."):
                assert code in section


def test_the_page_links_to_what_is_there_and_loads_nothing_from_elsewhere() -> None:
    text, headers = page()
    there = re.findall(r'\bid="([^"]+)"', text)
    assert len(there) == len(set(there))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(there)
    assert "<script" not in text
    assert re.findall(r'(?:src|href)="(?:https?:)?//', text) == []
    assert "default-src 'none'" in headers["Content-Security-Policy"]

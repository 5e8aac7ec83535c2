import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from infra.cli.standins.fireflies import API_KEY, FirefliesStandIn, Trouble
from infra.cli.standins.fireflies_meeting import MEETING_ID, meeting
from infra.cli.standins.graphql import UnknownField, read_selection
from infra.clock import ManualClock

NOW = datetime(2026, 11, 21, tzinfo=UTC)
QUERY = "query T($id: String!) { transcript(id: $id) { id title sentences { speaker_name text } } }"


def ask(
    stand_in: FirefliesStandIn, *, query: Any = QUERY, meeting_id: Any = MEETING_ID, key: str = API_KEY
) -> httpx.Response:
    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=stand_in.app)) as http:
            return await http.post(
                "http://fireflies.example/graphql",
                json={"query": query, "variables": {"id": meeting_id}},
                headers={"Authorization": f"Bearer {key}"},
            )

    return asyncio.run(main())


def code_of(response: httpx.Response) -> str:
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == error["code"]
    return error["code"]


def test_it_answers_with_the_selected_fields_alone() -> None:
    [transcript] = ask(FirefliesStandIn()).json()["data"].values()

    assert set(transcript) == {"id", "title", "sentences"}
    assert set(transcript["sentences"][0]) == {"speaker_name", "text"}
    assert len({sentence["speaker_name"] for sentence in transcript["sentences"]}) == 3


def test_it_wants_the_key() -> None:
    response = ask(FirefliesStandIn(), key="wrong")

    assert code_of(response) == "auth_failed"


def test_it_knows_one_meeting() -> None:
    assert code_of(ask(FirefliesStandIn(), meeting_id="another")) == "object_not_found"


@pytest.mark.parametrize(
    "query", ["query { transcript { id secret } }", "query { users { id } }", "{ transcript {", "", 7]
)
def test_a_query_that_the_schema_lacks_is_refused(query: Any) -> None:
    response = ask(FirefliesStandIn(), query=query)

    assert response.status_code == 400
    assert code_of(response) == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        (Trouble.AUTH_FAILED, 401),
        (Trouble.FORBIDDEN, 403),
        (Trouble.INVARIANT_VIOLATION, 500),
        (Trouble.OBJECT_NOT_FOUND, 404),
        (Trouble.PAID_REQUIRED, 403),
        (Trouble.REQUEST_TIMEOUT, 408),
        (Trouble.TOO_MANY_REQUESTS, 429),
    ],
)
def test_troubles_come_in_order_and_then_it_is_well(trouble: Trouble, status: int) -> None:
    stand_in = FirefliesStandIn(troubles=[None, trouble])

    answers = [ask(stand_in) for _ in range(3)]

    assert "errors" not in answers[0].json()
    assert code_of(answers[1]) == trouble
    assert answers[1].json()["errors"][0]["extensions"]["status"] == status
    assert "errors" not in answers[2].json()
    assert stand_in.requests == 3


def test_a_busy_answer_says_until_when_in_milliseconds() -> None:
    stand_in = FirefliesStandIn(
        troubles=[Trouble.TOO_MANY_REQUESTS], retry_after=timedelta(seconds=30), clock=ManualClock(NOW)
    )

    [error] = ask(stand_in).json()["errors"]

    assert error["extensions"]["metadata"]["retryAfter"] == NOW.timestamp() * 1000 + 30_000


@pytest.mark.parametrize(
    ("trouble", "status"), [(Trouble.SUMMARY_PROCESSING, "processing"), (Trouble.SUMMARY_SKIPPED, "skipped")]
)
def test_a_summary_can_be_missing(trouble: Trouble, status: str) -> None:
    query = "query { transcript { summary { overview action_items } meeting_info { summary_status } } }"

    transcript = ask(FirefliesStandIn(troubles=[trouble]), query=query).json()["data"]["transcript"]

    assert transcript["meeting_info"]["summary_status"] == status
    assert transcript["summary"] == {"overview": None, "action_items": None}


def test_its_meeting_is_fresh_each_time() -> None:
    meeting()["summary"]["overview"] = "changed"

    assert meeting()["summary"]["overview"] != "changed"


@pytest.mark.parametrize("query", ["", "{", "}", "{ a { }", "{}"])
def test_half_a_query_is_none(query: str) -> None:
    with pytest.raises(UnknownField):
        read_selection(query)

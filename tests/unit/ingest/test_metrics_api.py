"""``GET /metrics``: what it shows, to whom, and in which form. `tests/unit/infra/test_metrics.py` is about the counting."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read

from infra.ledger import LedgerError
from ingest.api.metrics import _counted
from tests.unit.ingest.application import READ_KEY, SUBMIT_KEY, House, assert_problem, running


def on(scenario: Callable[[House], Awaitable[None]]) -> None:
    async def main() -> None:
        async with running() as house:
            await scenario(house)

    asyncio.run(main())


def samples(families: list[Metric]) -> dict[tuple[str, ...], float]:
    """By name and labels' values, a bucket's bound last."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels, key=lambda label: (label == "le", label)))): sample.value
        for family in families for sample in family.samples
    }  # fmt: skip


async def scraped(house: House) -> dict[tuple[str, ...], float]:
    """What Prometheus would read."""
    answer = await house.http.get("/metrics", headers={"Authorization": f"Bearer {READ_KEY}"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    return samples(list(read(answer.text)))


def test_it_needs_a_key_that_may_read() -> None:
    async def scenario(house: House) -> None:
        assert_problem(await house.http.get("/metrics"), 401, "unauthorized")
        answer = await house.http.get("/metrics", headers={"Authorization": f"Bearer {SUBMIT_KEY}"})
        assert_problem(answer, 403, "scope_missing")

    on(scenario)


def test_a_new_system_shows_its_gauges_and_no_events() -> None:
    async def scenario(house: House) -> None:
        found = await scraped(house)
        assert found["hookline_redis_up",] == 1
        assert found["hookline_workers",] == 0
        assert not [name for name, *_ in found if name.startswith("hookline_events")]

    on(scenario)


def test_what_came_in_is_counted_by_its_source() -> None:
    async def scenario(house: House) -> None:
        await house.post("github", {"zen": 1}, X_GitHub_Delivery="d-1", X_GitHub_Event="push")
        await house.post("github", {"zen": 1}, X_GitHub_Delivery="d-1", X_GitHub_Event="push")
        await house.submit([{"type": "a"}, {"type": "b"}])

        found = await scraped(house)

        assert found["hookline_events_received_total", "github"] == 1
        assert found["hookline_events_duplicate_total", "github"] == 1
        assert found["hookline_events_received_total", "api"] == 2
        assert found["hookline_ack_seconds_count", "github"] == 2
        assert found["hookline_ack_seconds_bucket", "github", "+Inf"] == 2
        assert 0 < found["hookline_ack_seconds_sum", "github"] < 10
        assert found["hookline_jobs", "default", "queued"] == 3
        assert found["hookline_queue_oldest_seconds", "default"] >= 0

    on(scenario)


def test_refusals_are_counted_by_their_code_and_strangers_make_up_no_labels() -> None:
    async def scenario(house: House) -> None:
        for number in range(3):
            await house.http.post(f"/hooks/made-up-{number}", content=b"{}")
        await house.http.post("/hooks/github", content=b"{}")
        await house.http.get("/hooks/github")
        await house.http.post("/jobs", content=b"{}")
        await house.http.get("/nowhere")

        found = await scraped(house)

        refused = {key[1:]: number for key, number in found.items() if key[0] == "hookline_requests_refused_total"}  # fmt: skip
        assert refused == {
            ("source_unknown", "unknown"): 3,
            ("signature_invalid", "github"): 1,
            ("method_not_allowed", "github"): 1,
            ("unauthorized", "api"): 1,
            ("not_found", "api"): 1,
        }

    on(scenario)


def test_what_another_process_counted_is_shown_too() -> None:
    async def scenario(house: House) -> None:
        await house.ledger.measures.add(
            "worker", 0, {'["attempts","acme","handlers.acme:paid","finished"]': 7}
        )
        assert (await scraped(house))[
            "hookline_attempts_total", "handlers.acme:paid", "finished", "acme"
        ] == 7

    on(scenario)


def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    async def scenario(house: House) -> None:
        await house.submit({"type": "a"})
        answer = await house.http.get(
            "/metrics",
            headers={
                "Authorization": f"Bearer {READ_KEY}",
                "Accept": "application/openmetrics-text; version=1.0.0",
            },
        )
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert "hookline_ack_seconds" in {family.name for family in read_openmetrics(answer.text)}

    on(scenario)


def test_without_redis_it_says_so_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise LedgerError("away")

    monkeypatch.setattr("infra.ledger.Measures.totals", away)

    async def scenario(house: House) -> None:
        found = await scraped(house)
        assert found["hookline_redis_up",] == 0
        assert {name for name, *_ in found} == {"hookline_redis_up", "hookline_info"}

    on(scenario)


def test_buckets_are_summed_up_and_sums_are_seconds() -> None:
    families = _counted({
        '["ack","acme","0.001"]': 2, '["ack","acme","0.1"]': 3, '["ack","acme","+Inf"]': 1, '["ack","acme","sum"]': 6_500_000,
    })  # fmt: skip

    found = samples(families)
    bounds = ("0.001", "0.05", "0.1", "5.0", "+Inf")
    assert [found["hookline_ack_seconds_bucket", "acme", bound] for bound in bounds] == [2, 2, 5, 5, 6]
    assert found["hookline_ack_seconds_sum", "acme"] == 6.5


def test_what_another_version_counted_differently_is_left_out() -> None:
    families = _counted({
        '["ack","acme","more","0.1"]': 3, '["events_received"]': 1, '["events_received","a","b"]': 1, '["renamed","acme"]': 9,
    })  # fmt: skip

    assert [sample for family in families for sample in family.samples] == []


def test_an_archive_tells_whether_it_fails() -> None:
    async def scenario(house: House) -> None:
        assert ("hookline_archive_failing",) not in await scraped(house)
        archiving = house.ledger.archiving
        await archiving.went("w1", error="the bucket is gone")
        assert (await scraped(house))["hookline_archive_failing",] == 1
        await archiving.went("w1", error=None)
        found = await scraped(house)
        assert found["hookline_archive_failing",] == 0
        assert found["hookline_jobs_archived_total",] == 0

    on(scenario)

"""Entries of the live stream, whatever stands in them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ledger.live import About, CallbackChange, LogLine, Position, changes_of
from infra.ledger.records import CallbackStatus, JobStatus, Progress

JOB = "job_01k00000000000000000000000"
LINE = {"at": "a", "level": "info", "message": "m"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["job_id", "status", "progress", "log", "callback", "source", "current", "id", "at"]
            ),
            inner | st.sampled_from([JOB, "queued", "pending"]),
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"status": "started"}, JobStatus.STARTED),
        ({"progress": {"current": 1, "total": None}}, Progress(current=1)),
        ({"log": LINE}, LogLine("a", "info", "m")),
        ({"callback": {"id": "cb_01k00000000000000000000000", "status": "dead"}},
         CallbackChange("cb_01k00000000000000000000000", CallbackStatus.DEAD)),
        ({"callback": {"id": "cb_01k00000000000000000000000-2", "status": "pending"}},
         CallbackChange("cb_01k00000000000000000000000-2", CallbackStatus.PENDING)),
    ],
)  # fmt: skip
def test_a_change_is_read(said: dict[str, Any], what: object) -> None:
    (change,) = changes_of(b"7-1", {b"changes": json.dumps([{"job_id": JOB, **said}]).encode()})
    assert (change.position, change.job_id, change.what, change.about) == (Position(7, 1, 0), JOB, what, None)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"status": "deferred"},
        {"status": []},
        {"progress": {"current": "1"}},
        {"progress": 7},
        {"log": {"message": "m"}},
        {"log": "m"},
        {"callback": {"id": "cb_1\nid: 0", "status": "dead"}},
        {"callback": {"id": "cb_01k00000000000000000000000", "status": "queued"}},
        {"job_id": "job_1\n\ndata: x", "status": "started"},
        {"job_id": None, "status": "started"},
    ],
)
def test_what_is_no_change_has_its_place_all_the_same(said: dict[str, Any]) -> None:
    """A101: it costs itself alone."""
    told = [{"job_id": JOB} | said, {"job_id": JOB, "status": "started", "source": "acme", "tag": 7}]
    (change,) = changes_of(b"7-1", {b"changes": json.dumps(told).encode()})
    assert (change.position, change.about) == (Position(7, 1, 1), About(source="acme"))


@given(st.binary() | json_values.map(lambda value: json.dumps([value]).encode()))
def test_whatever_stands_there_is_read_or_passed_over(changes: bytes) -> None:
    """A099, A101."""
    for change in changes_of(b"7-1", {b"changes": changes}):
        assert change.position[:2] == (7, 1)
    assert changes_of(b"7-1", {}) == []


@given(st.text() | st.from_regex(r"[0-9]{1,20}-[0-9]{1,20}(-[0-9]{1,9})?"))
def test_an_id_names_a_place_or_none(sent: str) -> None:
    place = Position.read(sent)
    assert place is None or Position.read(str(place)) == place

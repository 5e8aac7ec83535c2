"""Links that we hand out: what they open, for how long, and what becomes of one that was changed."""

import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clock import ManualClock
from infra.links import LinkElsewhere, LinkError, Links

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
TTL = timedelta(days=7)
JOB, OTHER = "job_00000000000000000000000001", "job_00000000000000000000000002"


def links(*keys: str, clock: ManualClock | None = None, public_url: str | None = None) -> Links:
    return Links(keys or ["key"], public_url=public_url, ttl=TTL, clock=clock or ManualClock(NOW))


def token_of(made: Links, job_id: str = JOB) -> str:
    return made.status_url(job_id).partition("?token=")[2]


TOKEN = token_of(links())


@pytest.mark.parametrize(
    ("public_url", "start"),
    [(None, f"/jobs/{JOB}?token="), ("https://a.example/b", f"https://a.example/b/jobs/{JOB}?token=")],
)
def test_a_link_is_a_path_until_our_address_is_known(public_url: str | None, start: str) -> None:
    assert links(public_url=public_url).status_url(JOB).startswith(start)


def test_a_token_needs_no_escaping_in_a_url() -> None:
    assert set(TOKEN) <= set(string.ascii_letters + string.digits + "._-")


def test_a_link_opens_its_own_job_alone() -> None:
    made = links()
    made.check(JOB, TOKEN)
    for other in (OTHER, "", JOB + "0", JOB[:-1], JOB.upper()):
        with pytest.raises(LinkElsewhere):
            made.check(other, TOKEN)


@pytest.mark.parametrize(
    ("age", "good"),
    [
        (timedelta(0), True),
        (TTL, True),
        (TTL + timedelta(seconds=1), False),
        (-timedelta(seconds=1), True),
        (-timedelta(minutes=1), True),
        (-timedelta(minutes=1, seconds=1), False),
    ],
)
def test_a_link_lives_from_its_making_for_its_time_and_a_minute_of_skew(age: timedelta, good: bool) -> None:
    clock = ManualClock(NOW)
    made = links(clock=clock)
    token = token_of(made)
    clock.advance(age)
    if good:
        made.check(JOB, token)
    else:
        with pytest.raises(LinkError, match="expired"):
            made.check(JOB, token)


def test_a_rotation_keeps_old_links_until_the_old_key_is_taken_out() -> None:
    links("new", "key").check(JOB, TOKEN)
    links("newest", "new", "key").check(JOB, TOKEN)
    links("new").check(JOB, token_of(links("new", "key")))  # the newest signs
    with pytest.raises(LinkError):
        links("new").check(JOB, TOKEN)


def test_without_a_key_there_are_no_links() -> None:
    with pytest.raises(ValueError, match="secret key"):
        Links([], public_url=None, ttl=TTL, clock=ManualClock(NOW))


@pytest.mark.parametrize("place", range(len(TOKEN) - 1))
def test_a_token_with_one_character_changed_opens_nothing(place: int) -> None:
    """The last one has two bits that base64 leaves open; they change nothing that is named."""
    made = links()
    for character in set(string.ascii_letters + string.digits + "._-= \x00é\ud800") - {TOKEN[place]}:
        with pytest.raises(LinkError):
            made.check(JOB, TOKEN[:place] + character + TOKEN[place + 1 :])


@given(data=st.data())
def test_whatever_is_done_to_a_token_it_opens_no_other_job_and_lives_no_longer(data: st.DataObject) -> None:
    """A091."""
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(TOKEN))] * 2)))
    changed = TOKEN[:start] + data.draw(st.text(max_size=5)) + TOKEN[end:]
    later = ManualClock(NOW + TTL + timedelta(seconds=1))
    for job_id, clock in ((OTHER, ManualClock(NOW)), (JOB, later)):
        with pytest.raises(LinkError):
            links(clock=clock).check(job_id, changed)


@given(token=st.text() | st.binary().map(lambda sent: sent.decode("utf-8", "replace")))
def test_what_is_no_token_is_refused_and_never_an_error_of_ours(token: str) -> None:
    with pytest.raises(LinkError):
        links().check(JOB, token)


@pytest.mark.parametrize(
    "token", ["x" * 100_000, "." * 100_000, f"{JOB}.{'A' * 50_000}.{'A' * 43}", f"{JOB}..", f"{JOB}.AAAA"]
)
def test_a_huge_or_hollow_token_is_refused(token: str) -> None:
    """A090."""
    with pytest.raises(LinkError):
        links().check(JOB, token)

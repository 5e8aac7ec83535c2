"""Which shard has what: evenly, for ever, and with little that moves when there is one more."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ids import EVENT, JOB, is_id, new_suffix, time_of
from infra.setting_values import shards as read_shards
from infra.shards import MOST_SHARDS, in_shard, shard_in, shard_of

NUMBERS = st.integers(1, MOST_SHARDS)


@given(words=st.text(), shards=NUMBERS)
def test_whatever_names_an_event_has_a_shard_and_always_the_same(words: str, shards: int) -> None:
    found = shard_of(words, shards)
    assert 0 <= found < shards
    assert shard_of(words, shards) == found


@given(words=st.text(), shards=st.integers(1, MOST_SHARDS - 1))
def test_one_more_shard_takes_some_and_moves_nothing_else(words: str, shards: int) -> None:
    before, after = shard_of(words, shards), shard_of(words, shards + 1)
    assert after in (before, shards)


@pytest.mark.parametrize("shards", [2, 3, 8, MOST_SHARDS])
def test_the_shares_are_even(shards: int) -> None:
    shares = Counter(shard_of(f"acme evt-{number}", shards) for number in range(20_000))
    assert len(shares) == shards
    assert all(abs(share * shards / 20_000 - 1) < 0.2 for share in shares.values()), shares


@pytest.mark.parametrize(
    ("words", "shards", "found"), [("acme 1", 2, 0), ("acme 3", 3, 1), ("github 7", 3, 2), (" order-9", 3, 2)]
)
def test_the_hash_is_that_of_the_last_release(words: str, shards: int, found: int) -> None:
    """Or a duplicate would be new after an upgrade."""
    assert shard_of(words, shards) == found


@given(shard=st.integers(0, MOST_SHARDS - 1), kind=st.sampled_from([EVENT, JOB]))
def test_an_id_tells_its_shard_and_stays_an_id_of_its_time(shard: int, kind: str) -> None:
    plain = kind + new_suffix()
    spelt = in_shard(plain, shard)
    assert shard_in(spelt) == shard
    assert is_id(spelt, kind)
    assert time_of(spelt) == time_of(plain)
    assert sum(a != b for a, b in zip(plain, spelt, strict=True)) <= 1


@pytest.mark.parametrize("text", ["redis://one", "redis://one redis://one", " ".join(map(str, range(33)))])
def test_shards_are_several_and_each_is_named_once(text: str) -> None:
    with pytest.raises(ValueError, match="2 to 32 addresses"):
        read_shards(text)

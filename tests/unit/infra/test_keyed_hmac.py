"""The same as the standard library's, whatever the key and the message."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.keyed_hmac import KeyedHMAC, keyed_hmac
from infra.signatures.hmac_template import ALGORITHMS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(key=st.binary(max_size=200), messages=st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_it_is_the_hmac_of_the_standard_library(algorithm: str, key: bytes, messages: list[bytes]) -> None:
    keyed = KeyedHMAC(key, algorithm)
    for message in messages:
        assert keyed.digest(message) == hmac.digest(key, message, algorithm)


@pytest.mark.parametrize("size", [63, 64, 65, 127, 128, 129])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_keys_about_as_long_as_a_block_count_whole(algorithm: str, size: int) -> None:
    key = bytes(range(256))[:size]
    assert keyed_hmac(key, algorithm).digest(b"a message") == hmac.digest(key, b"a message", algorithm)

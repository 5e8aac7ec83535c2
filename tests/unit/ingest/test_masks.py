from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.masks import WITHHELD, Masks

SECRETS = [b"open sesame", b"open sesame street", b"user:password", b"\x00\xff12345678"]
MASKS = Masks(SECRETS, ["new key", "old key"])


@pytest.mark.parametrize(
    "text",
    [
        b"open sesame",
        b'Bearer "open sesame street"',
        b"Basic " + b64encode(b"user:password"),
        b"?token=open+sesame&x=1",
        b"\x00\xff12345678",
    ],
)
def test_a_secret_is_hidden_and_comes_back(text: bytes) -> None:
    hidden = MASKS.hide(text)

    assert not any(secret in hidden for secret in SECRETS)
    assert b64encode(b"user:password") not in hidden
    assert MASKS.show(hidden) == text


def test_what_an_older_key_hid_comes_back_and_what_a_strange_one_hid_does_not() -> None:
    assert MASKS.show(Masks(SECRETS, ["old key"]).hide(b"open sesame")) == b"open sesame"
    strange = Masks(SECRETS, ["another"]).hide(b"open sesame")
    assert MASKS.show(strange) == strange


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        (b"cookie", b"session=1", None),
        (b"proxy-authorization", b"Basic x", None),
        (b"authorization", b"Bearer somebody-else's", WITHHELD),
        (b"x-gitlab-token", b"wrong", WITHHELD),
        (b"x-api-key", b"wrong", WITHHELD),
        (b"authorization", b"Bearer eyJh.eyJi.c2ln", b"Bearer eyJh.eyJi.c2ln"),
        (b"x-hub-signature-256", b"sha256=00", b"sha256=00"),
        (b"content-type", b"application/json", b"application/json"),
    ],
)
def test_a_credential_that_is_not_ours_is_not_kept(name: bytes, value: bytes, kept: bytes | None) -> None:
    assert MASKS.header(name, value) == kept


def test_our_own_key_in_a_header_is_kept_as_a_mark() -> None:
    kept = MASKS.header(b"authorization", b"Bearer open sesame")
    assert kept is not None
    assert kept.startswith(b"Bearer {hookline:")
    assert MASKS.show(kept) == b"Bearer open sesame"


def test_a_strange_token_in_the_address_is_not_kept() -> None:
    assert MASKS.query(b"token=wrong&page=2") == b"token=***&page=2"
    assert MASKS.show(MASKS.query(b"token=open+sesame")) == b"token=open+sesame"


@given(st.lists(st.sampled_from([*SECRETS, b"x", b"{hookline:", b"}", b" "]), max_size=8).map(b"".join))
def test_no_secret_stays_readable_and_nothing_else_is_lost(text: bytes) -> None:
    hidden = MASKS.hide(text)

    assert not any(secret in hidden for secret in SECRETS)
    assert MASKS.show(hidden) == text

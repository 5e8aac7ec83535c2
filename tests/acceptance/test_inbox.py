"""The inbox can tell one callback from two."""

import httpx
import pytest

from tests.acceptance.inbox import Inbox


def test_one_post_is_once_and_two_are_not(inbox: Inbox) -> None:
    def send() -> bool:
        return httpx.post(inbox.url("counted"), content=b"x", trust_env=False).is_success

    assert inbox.once("counted", send, quiet=0.05).body == b"x"
    with pytest.raises(AssertionError, match="2 callbacks came to counted"):
        inbox.once("counted", send, quiet=0.05)


def test_a_callback_that_is_not_known_to_be_delivered_is_none(inbox: Inbox) -> None:
    with pytest.raises(AssertionError, match=r"no callback to quiet was delivered within 0\.1 s"):
        inbox.once("quiet", lambda: False, timeout=0.1)

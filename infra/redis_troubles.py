"""What is wrong with a connection to Redis, in words that say what to look at. They hold no secret."""

import socket
import ssl
from collections.abc import Iterator
from typing import Final

from redis.asyncio.sentinel import MasterNotFoundError as AsyncMasterNotFoundError
from redis.exceptions import AuthenticationError, BusyLoadingError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import MasterNotFoundError

# The first that fits counts; `{}` is the error's own text.
_WORDS: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((AuthenticationError,), "it refuses the password: {}"),
    ((BusyLoadingError,), "it is still loading its data"),
    ((MasterNotFoundError, AsyncMasterNotFoundError), "no sentinel that answers knows a primary of that name"),
    ((ssl.SSLCertVerificationError,), "its certificate does not hold ({}); one of your own authority needs ?ssl_ca_certs=/path/to/ca.pem"),
    ((ssl.SSLError,), "no TLS comes about: rediss:// is for a port that speaks it, redis:// for one that does not"),
    ((socket.gaierror,), "its name is not known here"),
    ((ConnectionRefusedError,), "nothing listens there"),
    ((ConnectionResetError, BrokenPipeError), "it hung up; a port that speaks TLS needs rediss://"),
    ((FileNotFoundError,), "there is no such file: its socket, or a certificate"),
    ((TimeoutError, RedisTimeoutError), "it did not answer in time"),
    ((ResponseError,), "{}"),
)  # fmt: skip


def in_words(error: BaseException) -> str:
    """One clause about an error of redis-py, or of what is under it.

    >>> in_words(AuthenticationError("invalid username-password pair or user is disabled."))
    'it refuses the password: invalid username-password pair or user is disabled.'
    >>> in_words(ConnectionRefusedError(111, "Connect call failed"))
    'nothing listens there'
    """
    if isinstance(error, RedisTimeoutError) and "connecting" in str(error):
        return "no connection came about in time; a port without TLS is silent to rediss://"
    for cause in _causes(error):
        for kinds, words in _WORDS:
            if isinstance(cause, kinds):
                return words.format(getattr(cause, "verify_message", cause))
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The innermost first, for it knows best."""
    below = error.__cause__ or error.__context__
    if below is not None:
        yield from _causes(below)
    yield error

"""What can go wrong on the way to a URL that a stranger named.

EgressError
├── Blocked                the guard says no: final, never tried again
│   ├── URLRefused         by the URL's text, or by the literal address in it
│   └── AddressRefused     by an address that its name stands for
└── Unreachable            there was no proper answer: may be tried again
    ├── NoConnection       nothing was sent
    │   ├── NameUnresolved
    │   ├── ConnectionFailed
    │   └── TLSFailed
    ├── ConnectionBroken   it was cut, or what came was not HTTP
    ├── DeadlinePassed
    └── ReplyTooLarge

The texts are plain words without the URL, so they can't carry a password or a token from it, and without the
address that a name stands for, so they tell a stranger nothing about our network.
"""

from infra.errors import HooklineError


class EgressError(HooklineError):
    """Base of this package's errors; `reason` is its text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Blocked(EgressError):
    """The guard refuses: trying again changes nothing."""


class URLRefused(Blocked):
    """The URL can't be accepted as it is written."""


class AddressRefused(Blocked):
    """The name stands for an address that is not called."""


class Unreachable(EgressError):
    """Nobody answered as they should; another time they may."""


class NoConnection(Unreachable):
    """It did not come to a request: the host is at fault, whatever the path."""


class NameUnresolved(NoConnection):
    """The host's name has no address, or none was found in time."""


class ConnectionFailed(NoConnection):
    """No connection came about."""


class TLSFailed(NoConnection):
    """The handshake failed, or the certificate does not hold."""


class ConnectionBroken(Unreachable):
    """The answer ended early or was not HTTP."""


class DeadlinePassed(Unreachable):
    """The time for the whole exchange is up."""


class ReplyTooLarge(Unreachable):
    """More bytes came than an answer may have."""

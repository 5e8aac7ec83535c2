"""What a worker and its children say to each other: JSON, each message behind its length in four bytes.

A child says `Ready`, gets an `Attempt`, says how it is getting on, says `Ended`, and `Ready` again once it has tidied up.
Meanwhile it may ask (`Asked`) for what outlives the attempt, and is `Answered`.
"""

import asyncio
import socket
import struct
from ipaddress import ip_network
from typing import Final

import msgspec

from handlers.errors import RESULT_LIMIT, AttemptOver, CallRefused
from infra.egress import AddressRefused, EgressPolicy, Unreachable, URLRefused
from infra.errors import HooklineError
from infra.files import FileMissing, FileTooLarge, StoreUnavailable
from infra.ledger import LedgerError
from infra.ledger.records import Claim, Failed, Finished, Outcome, Progress, Retried, Waiting
from infra.submission import Submission

_LENGTH: Final = struct.Struct("!I")
_LIMIT: Final = 3 * RESULT_LIMIT  # what a child may send at once: a result of quotes doubles inside JSON
_OUTCOMES: Final[dict[str, type[Outcome]]] = {
    kind.__name__: kind for kind in (Finished, Failed, Retried, Waiting)
}
_REFUSALS: Final = {
    kind.__name__: kind
    for kind in (
        *(AttemptOver, CallRefused, LedgerError, FileMissing, FileTooLarge, StoreUnavailable),
        *(URLRefused, AddressRefused, Unreachable),
    )
}


class Setup(msgspec.Struct, tag=True, frozen=True, kw_only=True):
    """The first message: what the child is to load, and how it logs.

    Args:
        modules: as in ``HOOKLINE_HANDLERS``.
        path: where Python looks for them.
        secrets: texts that no line of the log may hold.
        allow: networks that may be called, whatever they are.
        ports: where else https may go.
    """

    modules: tuple[str, ...]
    path: tuple[str, ...]
    log: str = "info"
    log_format: str = "json"
    secrets: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    ports: tuple[int, ...] = (443, 8443)

    @property
    def policy(self) -> EgressPolicy:
        """What ``context.fetch`` may call."""
        return EgressPolicy(allow=tuple(map(ip_network, self.allow)), ports=frozenset(self.ports))


class Ready(msgspec.Struct, tag=True, frozen=True):
    """The child waits for an attempt."""


class Attempt(msgspec.Struct, tag=True, frozen=True):
    """To be made by the child."""

    claim: Claim


class Progressed(msgspec.Struct, tag=True, frozen=True):
    """The handler said how far it is."""

    job_id: str
    progress: Progress


class Logged(msgspec.Struct, tag=True, frozen=True):
    """The handler wrote into the job's log."""

    job_id: str
    level: str
    message: str


class Ended(msgspec.Struct, tag=True, frozen=True):
    """The attempt is over.

    >>> Ended.by(Finished(result="7")).outcome
    Finished(result='7')
    """

    kind: str
    fields: msgspec.Raw

    @classmethod
    def by(cls, outcome: Outcome) -> "Ended":
        """Over, with that outcome."""
        return cls(type(outcome).__name__, msgspec.Raw(msgspec.json.encode(outcome)))

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        return msgspec.json.decode(self.fields, type=_OUTCOMES[self.kind])


class Kept(msgspec.Struct, tag=True, frozen=True):
    """What did earlier attempts keep? Answered by names and texts."""


class Keep(msgspec.Struct, tag=True, frozen=True):
    """Keep this for later attempts."""

    name: str
    text: str


class Enqueue(msgspec.Struct, tag=True, frozen=True):
    """Make a job. Answered by its id."""

    submission: Submission
    key: str


class LookFor(msgspec.Struct, tag=True, frozen=True):
    """Did an event come? Answered by an `Awaited`."""

    source: str
    key: str
    event_id: str | None


class States(msgspec.Struct, tag=True, frozen=True):
    """How do these jobs stand? Answered by a list of `JobState`."""

    job_ids: tuple[str, ...]


class Children(msgspec.Struct, tag=True, frozen=True):
    """Which jobs did that one make? Answered by their ids."""

    job_id: str


class Recent(msgspec.Struct, tag=True, frozen=True):
    """Which jobs of that type are the newest? Answered by a list of `JobState`."""

    job_type: str
    job_tag: str | None
    limit: int


class Store(msgspec.Struct, tag=True, frozen=True):
    """Keep a file of this machine as the job's. Answered by an `Artifact`."""

    name: str
    content_type: str
    path: str


class Load(msgspec.Struct, tag=True, frozen=True):
    """Write what a payload names to a path."""

    reference: str
    path: str


Question = Kept | Keep | Enqueue | LookFor | States | Children | Recent | Store | Load


class Asked(msgspec.Struct, tag=True, frozen=True):
    """A question of the handler, with a number of its own."""

    number: int
    question: Question


class Refusal(msgspec.Struct, frozen=True):
    """An error as it crosses over.

    >>> Refusal.by(CallRefused("a name twice")).exception
    CallRefused('a name twice')
    """

    kind: str
    text: str

    @classmethod
    def by(cls, error: HooklineError) -> "Refusal":
        """That error, or the nearest of its bases that crosses over."""
        kind = next(base.__name__ for base in type(error).__mro__ if base.__name__ in _REFUSALS)
        return cls(kind, str(error))

    @property
    def exception(self) -> HooklineError:
        """To be raised."""
        return _REFUSALS[self.kind](self.text)


class Answered(msgspec.Struct, tag=True, frozen=True):
    """The answer to the question of that number: a value as JSON, or why there is none."""

    number: int
    value: msgspec.Raw = msgspec.Raw(b"null")
    error: Refusal | None = None


Message = Setup | Ready | Attempt | Progressed | Logged | Ended | Asked | Answered
_decoder: Final = msgspec.json.Decoder(Message)


def packed(message: Message) -> bytes:
    """A message as it goes through the socket."""
    data = msgspec.json.encode(message)
    return _LENGTH.pack(len(data)) + data


async def read(stream: asyncio.StreamReader) -> Message:
    """The next message.

    Raises:
        EOFError: the other side has gone.
        ValueError: it said what neither of us says.
    """
    length = _length(await stream.readexactly(_LENGTH.size))
    if length > _LIMIT:
        raise ValueError(f"a message of {length} bytes")
    return _understood(await stream.readexactly(length))


def receive(channel: socket.socket) -> Message:
    """The same from a blocking socket."""
    return _understood(_exactly(channel, _length(_exactly(channel, _LENGTH.size))))


def _length(prefix: bytes) -> int:
    length: int = _LENGTH.unpack(prefix)[0]
    return length


def _understood(data: bytes) -> Message:
    try:
        message: Message = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ValueError(f"an unknown message: {error}") from error
    return message


def _exactly(channel: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = channel.recv(min(size - len(data), 1 << 20))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)

"""Server-Sent Events as they come over the wire (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from typing import Any

import httpx
import msgspec

from infra.client import calls
from infra.client.errors import NotReached
from infra.client.models import Update
from infra.client.retrying import BUSY, asked_pause


class EventParser:
    """Takes lines, gives updates.

    Attributes:
        last_id: of the last message that was complete; what ``Last-Event-ID`` repeats.
        retry: seconds that the server asks to wait before coming back.
        told: whether the last word of this connection was a part of an update.

    >>> parser = EventParser()
    >>> [parser.take(line) for line in ("id: 5-0", "event: status", 'data: {"status":"queued"}')]
    [None, None, None]
    >>> parser.take("")
    Update(id='5-0', event='status', data={'status': 'queued'})
    """

    def __init__(self, last_id: str | None = None) -> None:
        self.last_id = last_id
        self.retry = 2.0
        self.begin()

    def begin(self) -> None:
        """A connection begins; what the last one left half said is forgotten."""
        self.told = False
        self._forget()

    def _forget(self) -> None:
        self._id = self.last_id
        self._event = ""
        self._data: list[str] = []

    def take(self, line: str) -> Update | None:
        """One line without its end; the update that it completes.

        Raises:
            ValueError: the data is not ours.
        """
        if not line:
            return self._completed()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self.told = True
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value) / 1000
                self.told = False
        return None

    def _completed(self) -> Update | None:
        event, text = self._event or "message", "\n".join(self._data)
        self.last_id = self._id
        self._forget()
        if not text:
            return None
        try:
            data: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise ValueError(f"an unknown message: {error}") from error
        return Update(id=self.last_id or "", event=event, data=data)


class Resumption:
    """A stream through any number of cuts: whether it is over, from where it goes on, and when.

    Attributes:
        over: nothing more is to come.

    Args:
        after: as `EventParser` has it.
        tries: how often in a row it may fail to open.
    """

    def __init__(self, after: str | None, tries: int) -> None:
        self.parser = EventParser(after)
        self.over = False
        self._tries = tries
        self._failures = 0
        self._opened = False

    def opened(self, answer: httpx.Response) -> bool:
        """Whether there is something to read.

        Raises:
            Refused: it was refused, and not only for the moment; its body has to be read.
        """
        self.parser.begin()
        self._opened = answer.status_code == httpx.codes.OK
        self.over = answer.status_code == httpx.codes.NO_CONTENT
        if not answer.is_success:
            if answer.status_code not in BUSY:
                raise calls.refusal(answer)
            asked = asked_pause(answer)
            self.parser.retry = self.parser.retry if asked is None else asked
        return self._opened

    def pause(self) -> float:
        """Seconds until it is to be opened again; to be asked after each end.

        Raises:
            NotReached: it failed too often.
        """
        waits = not (self._opened and self.parser.told)
        self._failures = 0 if self._opened else self._failures + 1
        self._opened = False
        if self._failures >= self._tries:
            raise NotReached("the stream broke, and could not be taken up again")
        return self.parser.retry if waits else 0.0

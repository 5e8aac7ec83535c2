"""What every page and every act of the console stands on: who is there, what they sent, and how they are answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope

from infra.clock import Clock
from infra.forms import FormError, read_form
from infra.ledger import Desk
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.console.sessions import Session
from ingest.intake import read_body
from ingest.pages.renderer import Pages
from ingest.problems import Kind, Problem

VISIT: Final = "hookline.console.visit"

OPERATORS_ONLY: Final = Kind(403, "operators_only", "Only operators may do that.")
FORM_STALE: Final = Kind(403, "form_stale", "This form is not of this session.")

_ALREADY: Final = "done=already"
_LONGEST_FORM: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the console, as its bar shows it."""

    path: str
    name: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in.

    Args:
        client: the address that it came from.
    """

    session: Session
    path: str
    client: str

    @property
    def by(self) -> str:
        """As timelines name them."""
        return f"{self.session.person.name} (console)"


class Frame:
    """Puts pages into the console's frame, and answers acts.

    Args:
        sections: as far as they exist.
    """

    def __init__(self, pages: Pages, desk: Desk, clock: Clock, sections: Sequence[Section]) -> None:
        self._pages = pages
        self._desk = desk
        self.clock = clock
        self._sections = sections

    def page(self, visit: Visit, template: str, values: Mapping[str, Any], *, status: int = 200) -> Response:
        """A page, for who is there."""
        person = visit.session.person
        frame = {
            "sections": self._sections,
            "here": visit.path,
            "person": person,
            "csrf": visit.session.csrf,
            "now": self.clock.now(),
            "done": None,
        }
        return self._pages.page(f"console/{template}", frame | dict(values), status=status)

    async def note(self, *, by: str, act: str, client: str, on: str = "") -> None:
        """Note what somebody did.

        Raises:
            LedgerError: not confirmed.
        """
        await self._desk.note(by=by, act=act, on=on, client=client)


class View(Endpoint):
    """A page. It changes nothing."""

    methods = ("GET", "HEAD")

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def answer(self, scope: Scope, _: Receive, /) -> Response:
        return await self.show(scope[VISIT], scope)

    async def show(self, visit: Visit, scope: Scope, /) -> Response:
        """The page, or a `Problem` that the console makes one of."""
        raise NotImplementedError


class Act(Endpoint):
    """What an operator does by a button. It is noted before it is done: what can't be noted is not done."""

    methods = ("POST",)
    act: str
    longest: int = _LONGEST_FORM

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def answer(self, scope: Scope, receive: Receive, /) -> Response:
        visit: Visit = scope[VISIT]
        form = await posted(scope, receive, limit=self.longest)
        check_token(visit.session, form)
        if not visit.session.person.may_act:
            raise Problem(OPERATORS_ONLY, "You may look. Ask an operator.")
        on = scope["path_params"].get("id") or scope["path_params"].get("name") or ""
        await self._frame.note(by=visit.session.person.name, act=self.act, on=on, client=visit.client)
        address = await self.do(visit, on, form)
        return see(address) if address.endswith(_ALREADY) else see(address, done=self.act)

    async def do(self, visit: Visit, on: str, form: Mapping[str, str], /) -> str:
        """Do it. Returns the address of the page that shows what became of it; `already` of it, where somebody else has done it.

        Args:
            on: the id, or the name, in the address.
        """
        raise NotImplementedError


def already(address: str) -> str:
    """The address of a page that says that somebody else was faster."""
    return f"{address}?{_ALREADY}"


async def posted(scope: Scope, receive: Receive, *, limit: int = _LONGEST_FORM) -> dict[str, str]:
    """The fields of a form; of one that stands twice the first.

    Raises:
        Problem: 403 where it is no form, which no page of ours sends; else as `read_body`.
        ClientGone: before it was whole.
    """
    body = await read_body(scope, receive, limit=limit)
    try:
        form = read_form(body, Headers(scope["headers"]).get("content-type") or "")
    except FormError as error:
        raise Problem(FORM_STALE, f"It is no form: {error}.") from None
    return {name: values[0] for name, values in form.items()}


def check_token(session: Session, form: Mapping[str, str]) -> None:
    """Return if a page that this session was given sent the form.

    Raises:
        Problem: 403.
    """
    if not compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
        raise Problem(FORM_STALE, "Go back, load the page again, and repeat.")


def see(address: str, **told: str) -> Response:
    """Go on there, by GET."""
    mark = "&" if "?" in address else "?"
    there = f"{address}{mark}{urlencode(told)}" if told else address
    return RedirectResponse(there, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})

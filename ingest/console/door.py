"""``/console/login`` and ``/console/logout``: in, by a password and not too often; and out, for good."""

import logging
from datetime import timedelta
from hashlib import blake2s
from http.cookies import SimpleCookie
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.ledger import Admissions
from infra.rates import Rate
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.api.query import query_of
from ingest.callers import caller
from ingest.console.addresses import HOME, is_secure, own
from ingest.console.people import OPERATOR, People, Person
from ingest.console.provider import Provider
from ingest.console.sessions import COOKIE, Sessions
from ingest.console.visit import VISIT, Frame, Visit, check_token, posted, see
from ingest.pages.renderer import Pages

log = logging.getLogger(__name__)

LOGIN: Final = "/console/login"

FROM_ONE_ADDRESS: Final = Rate(10, timedelta(minutes=5))
FOR_ONE_NAME: Final = Rate(
    60, timedelta(minutes=5)
)  # more, for a stranger must not lock an operator out too easily


class Door:
    """Lets people in, and knows them again.

    Args:
        provider: who else vouches for people; None: nobody.
        header: in which the platform's proxy tells who called; None: there is none.
        public_url: where browsers find us, if we know.
    """

    def __init__(
        self,
        pages: Pages,
        people: People,
        sessions: Sessions,
        admissions: Admissions,
        *,
        provider: Provider | None,
        header: str | None,
        public_url: str | None,
    ) -> None:
        self._pages = pages
        self._people = people
        self._sessions = sessions
        self._admissions = admissions
        self._provider = provider
        self._header = header
        self._public_url = public_url

    async def who(self, scope: Scope) -> Visit | None:
        """Who is there, if they are signed in.

        Raises:
            LedgerError: it can't be told.
        """
        cookie = SimpleCookie(Headers(scope["headers"]).get("cookie") or "").get(COOKIE)
        session = None if cookie is None else await self._sessions.read(cookie.value)
        return None if session is None else Visit(session, scope["path"], self.client(scope))

    def client(self, scope: Scope) -> str:
        """The address that a request came from."""
        return caller(scope, self._header)

    def form(
        self,
        wanted: str,
        *,
        name: str = "",
        trouble: str = "",
        farewell: str | None = None,
        status: int = 200,
    ) -> Response:
        """The page that asks who somebody is.

        Args:
            wanted: where to go then.
            farewell: where the provider lets somebody sign out, who has just signed out here.
        """
        asked = {
            "wanted": own(wanted),
            "name": name,
            "trouble": trouble,
            "has_names": self._people.has_names,
            "has_passwords": self._people.has_passwords,
            "provider": None if self._provider is None else self._provider.host,
            "farewell": farewell,
        }
        return self._pages.page("console/login.html", asked, status=status)

    def later(self, wait: int, wanted: str, *, name: str = "") -> Response:
        """The same page, for who has tried too often.

        Args:
            wait: in seconds.
        """
        trouble = f"Too many tries. Wait {wait} seconds, then try again."
        response = self.form(wanted, name=name, trouble=trouble, status=429)
        response.headers["Retry-After"] = str(wait)
        return response

    async def may_try(self, name: str | None, scope: Scope) -> int:
        """0 where somebody may try to come in once more; else in how many seconds.

        Args:
            name: whose password they try; None: they come from the provider.

        Raises:
            LedgerError: it can't be told.
        """
        address = self.client(scope)
        rates = {f"console:{'provider' if name is None else 'address'}:{address}": FROM_ONE_ADDRESS}
        if name is not None:
            digest = blake2s(name.encode("utf-8", "replace"), digest_size=12).hexdigest()
            rates[f"console:name:{digest}"] = FOR_ONE_NAME
        for key, rate in rates.items():
            places = await self._admissions.admit(key, rate, wanted=1)
            if not places.granted:
                return max(1, round(places.wait.total_seconds()))
        return 0

    async def prove(self, name: str, password: str, scope: Scope) -> Person | None:
        """Who that is, if the password is theirs. The log tells who failed, and never with what."""
        person = await self._people.check(name, password)
        if person is None:
            known = name if self._people.named(name) is not None else "somebody unknown"
            log.warning("console: wrong password", extra={"name_given": known, "client": self.client(scope)})
        return person

    async def farewell(self, person: Person) -> str | None:
        """Where somebody may sign out at the provider too, if they came by it."""
        return await self._provider.farewell() if self._provider and person.by == "provider" else None

    def cookie(
        self, name: str, value: str, scope: Scope, *, lasts: timedelta, path: str = "/console"
    ) -> dict[str, str]:
        """The header that has a browser keep it."""
        secure = is_secure(scope["scheme"], Headers(scope["headers"]), public_url=self._public_url)
        age = int(lasts.total_seconds())
        return {
            "Set-Cookie": f"{name}={value}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Lax"
            + ("; Secure" if secure else "")
        }


class Entrance(Endpoint):
    """Where people come in."""

    def __init__(self, door: Door, sessions: Sessions, frame: Frame) -> None:
        self._door = door
        self._sessions = sessions
        self._frame = frame

    async def _let_in(self, person: Person, wanted: str, scope: Scope, *, act: str) -> Response:
        """In a new session, whatever cookie came along; that one ends."""
        before = await self._door.who(scope)
        if before is not None:
            await self._sessions.end(before.session)
        cookie = self._sessions.begin(person)
        response = see(own(wanted))
        response.headers.update(self._door.cookie(COOKIE, cookie, scope, lasts=self._sessions.lifetime))
        await self._frame.note(by=person.name, act=act, client=self._door.client(scope))
        return response


class SignIn(Entrance):
    """``GET /console/login`` asks, ``POST`` looks at what was answered."""

    methods = ("GET", "HEAD", "POST")

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] != "POST":
            wanted = query_of(scope).get("next", HOME)
            return see(own(wanted)) if await self._door.who(scope) else self._door.form(wanted)
        form = await posted(scope, receive)
        name, wanted = form.get("name", OPERATOR).strip(), form.get("next", HOME)
        if wait := await self._door.may_try(name, scope):
            return self._door.later(wait, wanted, name=name)
        person = await self._door.prove(name, form.get("password", ""), scope)
        if person is None:
            trouble = "That is not right. Passwords are those of HOOKLINE_CONSOLE_PASSWORD or HOOKLINE_CONSOLE_USERS."
            return self._door.form(wanted, name=name, trouble=trouble, status=401)
        return await self._let_in(person, wanted, scope, act="sign in")


class SignOut(Endpoint):
    """``POST /console/logout``: this session ends, here and wherever else its cookie is."""

    methods = ("POST",)

    def __init__(self, door: Door, sessions: Sessions, frame: Frame) -> None:
        self._door = door
        self._sessions = sessions
        self._frame = frame

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        visit: Visit = scope[VISIT]
        check_token(visit.session, await posted(scope, receive))
        await self._sessions.end(visit.session)
        await self._frame.note(by=visit.session.person.name, act="sign out", client=visit.client)
        farewell = await self._door.farewell(visit.session.person)
        response = see(LOGIN) if farewell is None else self._door.form(HOME, farewell=farewell)
        response.headers.update(self._door.cookie(COOKIE, "", scope, lasts=timedelta(0)))
        return response

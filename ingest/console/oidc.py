"""``/console/oidc/start`` and ``/console/oidc/return``: in, by the word of an identity provider."""

import logging
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.api.query import query_of
from ingest.console.addresses import HOME, own
from ingest.console.door import Door, Entrance
from ingest.console.people import People
from ingest.console.provider import Provider, ProviderAway, ProviderError
from ingest.console.questions import COOKIE, LIFETIME, Questions
from ingest.console.roles import Roles, name_of
from ingest.console.sessions import Sessions
from ingest.console.visit import Frame, see

log = logging.getLogger(__name__)

START: Final = "/console/oidc/start"
RETURN: Final = "/console/oidc/return"

_PATH: Final = "/console/oidc"
_LONGEST_ADDRESS: Final = 500


class Start(Endpoint):
    """Sends somebody to the provider."""

    methods = ("GET",)

    def __init__(self, door: Door, provider: Provider, questions: Questions) -> None:
        self._door = door
        self._provider = provider
        self._questions = questions

    async def answer(self, scope: Scope, _: Receive) -> Response:
        wanted = own(query_of(scope).get("next", HOME))
        if len(wanted) > _LONGEST_ADDRESS:
            wanted = HOME
        question, cookie = self._questions.ask(wanted)
        try:
            address = await self._provider.address(question)
        except ProviderAway as error:
            log.warning("console: %s can't be asked: %s", self._provider.host, error)
            return self._door.form(wanted, trouble=f"{self._provider.host} can't be reached. The web process's log says why.", status=502)  # fmt: skip
        response = see(address)
        response.headers.update(
            self._door.cookie(COOKIE, cookie, scope, lasts=LIFETIME, path=_PATH),
        )
        return response


class Return(Entrance):
    """Takes back whoever the provider sends, if it says who they are, and they have business here."""

    methods = ("GET",)

    def __init__(
        self,
        door: Door,
        sessions: Sessions,
        frame: Frame,
        *,
        provider: Provider,
        questions: Questions,
        people: People,
        roles: Roles,
    ) -> None:
        super().__init__(door, sessions, frame)
        self._provider = provider
        self._questions = questions
        self._people = people
        self._roles = roles

    async def answer(self, scope: Scope, _: Receive) -> Response:
        response = await self._taken_back(scope)
        response.headers.append(
            "Set-Cookie", self._door.cookie(COOKIE, "", scope, lasts=timedelta(0), path=_PATH)["Set-Cookie"]
        )
        return response

    async def _taken_back(self, scope: Scope) -> Response:
        query = query_of(scope)
        kept = SimpleCookie(Headers(scope["headers"]).get("cookie") or "").get(COOKIE)
        cookie = "" if kept is None else kept.value
        # Counted only where a browser brings our cookie: another site's page can send it here, but not with that.
        if cookie and (wait := await self._door.may_try(None, scope)):
            return self._door.later(wait, HOME)
        asked = await self._questions.asked(query.get("state", ""), cookie) if cookie else None
        if asked is None:
            return self._door.form(
                HOME, trouble="That sign-in is over, or was begun elsewhere. Begin again.", status=403
            )
        question, wanted = asked
        if "error" in query:
            log.warning("console: %s let nobody in: %s", self._provider.host, query["error"][:100])
            return self._door.form(wanted, trouble=f"{self._provider.host} let nobody in.", status=403)
        try:
            claims = await self._provider.claims(query.get("code", ""), question, issuer=query.get("iss"))
        except ProviderError as error:
            log.warning("console: what %s answered can't be believed: %s", self._provider.host, error)
            return self._door.form(wanted, trouble=f"What {self._provider.host} answered can't be believed. The web process's log says why.", status=502)  # fmt: skip
        name, role = name_of(claims), self._roles.of(claims)
        if role is None:
            log.warning("console: no role", extra={"name_given": name, "client": self._door.client(scope)})
            return self._door.form(HOME, trouble=f"{name} may not come in. HOOKLINE_CONSOLE_OIDC_OPERATORS and _VIEWERS say who may.", status=403)  # fmt: skip
        return await self._let_in(self._people.brought_in(name, role), wanted, scope, act="sign in by OIDC")

"""Uploads to Dropbox: an access token from the refresh token, the file in pieces, a link to it.

A piece that was interrupted is sent again from where Dropbox says it stands; so is the rest of a file whose sender died, for a session
stays open for a week.

Source: https://www.dropbox.com/developers/documentation/http/documentation (files/upload_session, sharing/create_shared_link_with_settings)
and https://developers.dropbox.com/oauth-guide (refresh tokens).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from handlers.outside import ServiceBusy, ServiceRefused, answered
from infra.errors import HooklineError

PIECE: Final = 4 << 20
_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An app's way into one account."""

    app_key: str
    app_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    api_url: str
    content_url: str


class Dropbox:
    """One account, over a client that the caller keeps.

    Args:
        piece: bytes that go up at once.
    """

    def __init__(self, account: Account, http: httpx.AsyncClient, *, piece: int = PIECE) -> None:
        self._account = account
        self._http = http
        self._piece = piece
        self._token: str | None = None

    async def session(self) -> str:
        """The id of a session for one file, of which nothing is there yet.

        Raises:
            ServiceRefused, ServiceBusy: there is none.
        """
        return str((await self._piece_sent("start", {"close": False}, b""))["session_id"])

    async def upload(self, session_id: str, path: str, content: bytes) -> str:
        """Put a file there, in place of one that is there, and return a link to it. What a session has already is not sent again.

        Args:
            path: with a slash in front, such as ``/reports/newtown.pdf``.

        Raises:
            ServiceRefused, ServiceBusy: it came to nothing; a later upload goes on in the same session.
        """
        try:
            await self._sent(session_id, path, content)
        except _Over as over:
            if not over.committed:
                await self._sent(await self.session(), path, content)
        return await self._link(path)

    async def _sent(self, session_id: str, path: str, content: bytes) -> None:
        offset = failures = 0
        while offset < len(content):
            cursor = {"session_id": session_id, "offset": offset}
            piece = content[offset : offset + self._piece]
            try:
                await self._piece_sent("append_v2", {"cursor": cursor, "close": False}, piece)
            except _Elsewhere as error:
                offset, failures = error.offset, failures + 1
                if failures >= _TRIES:
                    raise ServiceBusy("the upload does not get on") from None
            else:
                offset += len(piece)
        commit = {"path": path, "mode": "overwrite", "mute": True}
        await self._piece_sent(
            "finish", {"cursor": {"session_id": session_id, "offset": offset}, "commit": commit}, b""
        )

    async def _piece_sent(self, verb: str, argument: Mapping[str, Any], piece: bytes) -> dict[str, Any]:
        url = f"{self._account.content_url}/2/files/upload_session/{verb}"
        headers = {"Dropbox-API-Arg": json.dumps(argument), "Content-Type": "application/octet-stream"}
        return await self._call(url, headers, content=piece)

    async def _link(self, path: str) -> str:
        url = f"{self._account.api_url}/2/sharing/create_shared_link_with_settings"
        try:
            told = await self._call(url, {}, json={"path": path})
        except _Linked as error:
            told = error.link
        return str(told["url"])

    async def _call(self, url: str, headers: Mapping[str, str], **body: Any) -> dict[str, Any]:
        """One call; an access token that has run out is made anew, once.

        Raises:
            _Elsewhere, _Over, _Linked: what the caller mends.
            ServiceRefused, ServiceBusy: what nobody here can.
        """
        for _ in range(2):
            if self._token is None:
                self._token = await self._fresh_token()
            answer = await self._send(url, {**headers, "Authorization": f"Bearer {self._token}"}, **body)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                return _understood(answer)
            self._token = None
        raise ServiceRefused("Dropbox does not take the token that it has just given")

    async def _fresh_token(self) -> str:
        account = self._account
        form = {"grant_type": "refresh_token", "refresh_token": account.refresh_token}
        answer = await self._send(
            f"{account.api_url}/oauth2/token", {}, data=form, auth=(account.app_key, account.app_secret)
        )
        if answer.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED):
            raise ServiceRefused("Dropbox does not know the app or its refresh token")
        return str(_understood(answer)["access_token"])

    async def _send(self, url: str, headers: Mapping[str, str], **body: Any) -> httpx.Response:
        return await answered(self._http, url, name="Dropbox", headers=headers, **body)


class _Elsewhere(HooklineError):
    """The session stands at another offset than was thought."""

    def __init__(self, offset: int) -> None:
        super().__init__("the upload stands elsewhere")
        self.offset = offset


class _Over(HooklineError):
    """The session takes no more: its file was committed, or it is no longer known."""

    def __init__(self, *, committed: bool) -> None:
        super().__init__("the upload session is over")
        self.committed = committed


class _Linked(HooklineError):
    """There is a link already."""

    def __init__(self, link: dict[str, Any]) -> None:
        super().__init__("there is a link already")
        self.link = link


def _understood(answer: httpx.Response) -> dict[str, Any]:
    code = answer.status_code
    try:
        told = answer.json() if answer.content else {}
    except ValueError:
        raise ServiceBusy(f"Dropbox answers {code}, and not in JSON") from None
    told = told if isinstance(told, dict) else {}
    if code == httpx.codes.CONFLICT:
        raise _conflict(told)
    if not answer.is_success:
        raise ServiceRefused(f"Dropbox answers {code}: {told.get('error_summary', '')}")
    return told


def _conflict(told: Mapping[str, Any]) -> HooklineError:
    """409 is Dropbox's word for what an endpoint itself has to say."""
    error = told.get("error", {})
    lookup = error.get("lookup_failed", error)
    match lookup.get(".tag"):
        case "incorrect_offset":
            return _Elsewhere(int(lookup["correct_offset"]))
        case "closed" | "not_found" as how:
            return _Over(committed=how == "closed")
    linked = error.get("shared_link_already_exists", {}).get("metadata")
    if linked:
        return _Linked(linked)
    return ServiceRefused(f"Dropbox refuses: {told.get('error_summary', 'it does not say why')}")

"""Who may use the console, and how they prove it."""

import asyncio
import hashlib
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final, Literal, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from infra.setting_values import ConsoleRole
from infra.settings import Settings

OPERATOR: Final = "operator"
"""The name of whoever signs in with ``HOOKLINE_CONSOLE_PASSWORD``."""

_AT_A_TIME: Final = 2  # each check takes its 64 MiB and a core for a moment
_LONGEST: Final = 1_000  # characters of a password that are looked at
_NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5J3Mgc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may use the console.

    Args:
        sees_payloads: whether bodies, headers, results and answers are shown to them.
        by: what vouches for them: a password of the settings, or an identity provider.
    """

    name: str
    role: ConsoleRole
    sees_payloads: bool = True
    by: Literal["password", "provider"] = "password"

    @property
    def may_act(self) -> bool:
        """Whether they may change anything."""
        return self.role == "operator"

    @property
    def key(self) -> str:
        """What a session keeps of them. The names of the settings have no colon."""
        return self.name if self.by == "password" else f"{self.role}:{self.name}"


class People:
    """Everybody whom the settings name, and whom an identity provider brings in where they name one."""

    def __init__(self, settings: Settings) -> None:
        self._password = settings.console_password
        self._hashes = {user.name: user.password for user in settings.console_users}
        self._viewers_see_all = settings.console_viewers_see == "payloads"
        self._people = {
            user.name: Person(user.name, user.role, self._sees_payloads(user.role))
            for user in settings.console_users
        }
        self._provider = (
            settings.console_oidc_issuer,
            settings.console_oidc_client_id,
            settings.console_oidc_operators,
            settings.console_oidc_viewers,
        )
        if self._password is not None and OPERATOR not in self._people:
            self._people[OPERATOR] = Person(OPERATOR, "operator")
        self._turns = asyncio.Semaphore(_AT_A_TIME)
        self._hasher = PasswordHasher()

    def __bool__(self) -> bool:
        return self.has_passwords or self._provider[0] is not None

    @property
    def has_passwords(self) -> bool:
        """Whether anybody comes in by one."""
        return bool(self._people)

    @property
    def has_names(self) -> bool:
        """Whether there is more than the one operator, so that who signs in has to say who they are."""
        return bool(self._hashes)

    def named(self, name: str) -> Person | None:
        """Who has that name, if the settings still say so."""
        return self._people.get(name)

    def brought_in(self, name: str, role: ConsoleRole) -> Person:
        """Whom the identity provider knows."""
        return Person(name, role, self._sees_payloads(role), by="provider")

    def known(self, key: str) -> Person | None:
        """Whose session that is (`Person.key`), if the settings still let them in."""
        role, colon, name = key.partition(":")
        if not colon:
            return self.named(key)
        found = next((one for one in get_args(ConsoleRole) if one == role), None)
        return None if found is None or self._provider[0] is None else self.brought_in(name, found)

    def proof_of(self, person: Person) -> str:
        """What changes when somebody's password does, or whom the provider brings in; it tells nothing that could be used."""
        if person.by == "provider":
            kept = repr(self._provider)
        else:
            kept = self._hashes.get(person.name) or self._password or ""
        return hashlib.blake2s(kept.encode(), person=b"hl.proof", digest_size=8).hexdigest()

    def _sees_payloads(self, role: ConsoleRole) -> bool:
        return role == "operator" or self._viewers_see_all

    async def check(self, name: str, password: str) -> Person | None:
        """Who that is, if the password is theirs. It takes as long where there is nobody of that name."""
        person = self._people.get(name)
        password = password[:_LONGEST]
        if name == OPERATOR and OPERATOR not in self._hashes and self._password is not None:
            return person if _same(self._password, password) else None
        async with self._turns:
            known = await asyncio.to_thread(self._holds, self._hashes.get(name, _NOBODY), password)
        return person if known else None

    def _holds(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False


def _same(one: str, other: str) -> bool:
    """Compared in a time that tells neither the length nor the place of a difference."""
    return compare_digest(
        *(hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (one, other))
    )

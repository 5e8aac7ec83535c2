"""Who somebody is here, by what an identity provider says of them: a name and a role, or nobody.

An e-mail counts only where the provider says that it has verified it: whoever may write any address into their profile could
otherwise be anybody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra.setting_values import ClaimRule, ConsoleRole

_LONGEST: Final = 100  # characters of a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which claims make an operator, and which a viewer. Whom both fit is an operator.

    >>> roles = Roles(operators=(ClaimRule("groups", "ops"),), viewers=(ClaimRule("domain", "example.com"),))
    >>> roles.of({"sub": "1", "email": "ada@example.com", "email_verified": True, "groups": ["ops", "all"]})
    'operator'
    >>> roles.of({"sub": "1", "email": "vera@example.com", "email_verified": True})
    'viewer'
    >>> roles.of({"sub": "1", "email": "vera@example.com"}) is None
    True
    """

    operators: tuple[ClaimRule, ...]
    viewers: tuple[ClaimRule, ...]

    def of(self, claims: Mapping[str, Any]) -> ConsoleRole | None:
        """The role of whom these claims describe; None: they have no business here."""
        if _any_fits(self.operators, claims):
            return "operator"
        return "viewer" if _any_fits(self.viewers, claims) else None


def name_of(claims: Mapping[str, Any]) -> str:
    """What somebody is called here, in the audit log too: their verified e-mail, else their name and the provider's id of them.

    >>> name_of({"sub": "1", "email": "Ada@Example.com", "email_verified": True, "name": "Ada"})
    'ada@example.com'
    >>> name_of({"sub": "248289761001", "name": "operator"}), name_of({"sub": "1", "name": "\\x1b[2J"})
    ('operator [248289761001]', '[2J [1]')
    """
    if email := _verified_email(claims):
        return email
    told = next(
        (claims[one] for one in ("name", "preferred_username") if isinstance(claims.get(one), str)), ""
    )
    shown = _printable(told)[: _LONGEST // 2].strip()
    return f"{shown} [{_printable(str(claims['sub']))}]".strip()


def _any_fits(rules: Iterable[ClaimRule], claims: Mapping[str, Any]) -> bool:
    return any(_fits(rule, claims) for rule in rules)


def _fits(rule: ClaimRule, claims: Mapping[str, Any]) -> bool:
    if rule.claim == "email":
        return _verified_email(claims) == rule.value
    if rule.claim == "domain":
        return (_verified_email(claims) or "").rpartition("@")[2] == rule.value
    held = _claim(claims, rule.claim)
    return rule.value in [one for one in (held if isinstance(held, list) else [held]) if isinstance(one, str)]


def _claim(claims: Any, name: str) -> Any:
    """The claim of that name; else, as ``realm_access.roles``, one inside of another."""
    if isinstance(claims, Mapping) and name in claims:
        return claims[name]
    outer, dot, inner = name.partition(".")
    found = claims.get(outer) if isinstance(claims, Mapping) else None
    return _claim(found, inner) if dot else None


def _verified_email(claims: Mapping[str, Any]) -> str | None:
    """The e-mail in lower case, if it is one, and theirs."""
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str) or not email.isascii():
        return None
    whole = email.isprintable() and " " not in email and email.count("@") == 1 and len(email) <= _LONGEST
    return email.lower() if whole else None


def _printable(text: str) -> str:
    return "".join(one for one in text if one.isprintable())[:_LONGEST]

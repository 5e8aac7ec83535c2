"""What the console makes of an identity provider's claims: a role, or none, and a name that nobody can choose to be another's."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.setting_values import claim_rules
from ingest.console.roles import Roles, name_of

ADA = {"sub": "1", "email": "ada@example.com", "email_verified": True}
ROLES = Roles(
    operators=claim_rules("ada@example.com,groups=operators,realm.roles=ops"),
    viewers=claim_rules("@example.com"),
)


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({}, "operator"),
        ({"email": "ADA@Example.com"}, "operator"),
        ({"email": "vera@example.com"}, "viewer"),
        ({"email": "x@elsewhere.example", "groups": ["all", "operators"]}, "operator"),
        ({"email": "x@elsewhere.example", "groups": "operators"}, "operator"),
        ({"email": None, "realm": {"roles": ["ops"]}}, "operator"),
        ({"email": None, "realm.roles": "ops"}, "operator"),
        ({"email": None, "realm": ["roles"]}, None),
        ({"email_verified": None}, None),
        ({"email_verified": False}, None),
        ({"email_verified": "true"}, None),
        ({"email_verified": 1}, None),
        ({"email": "ada@example.com@elsewhere.example"}, None),
        ({"email": "x@y@example.com"}, None),
        ({"email": "ada@example.com\n"}, None),
        ({"email": "ada@ex\u0430mple.com"}, None),
        ({"email": "ada@sub.example.com"}, None),
        ({"email": "ada@notexample.com"}, None),
        ({"email": ["ada@example.com"]}, None),
        ({"email": "x@elsewhere.example", "groups": ["operators-emeritus"]}, None),
        ({"email": "x@elsewhere.example", "groups": {"operators": True}}, None),
        ({"email": "x@elsewhere.example", "groups": 7}, None),
        ({"email": None, "preferred_username": "ada@example.com"}, None),
    ],
    ids=str,
)
def test_a_role_is_earned_by_what_was_listed_and_nothing_like_it(
    claims: dict[str, Any], role: str | None
) -> None:
    assert ROLES.of({**ADA, **claims}) == role


@pytest.mark.parametrize(
    "text",
    ["ada", "@", "@localhost", "ada@localhost", "a b@example.com", "=x", "x=", "ada@@example.com", "*"],
)
def test_an_entry_that_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="needs entries such as"):
        claim_rules(f"ada@example.com,{text}")


@given(
    name=st.text(),
    sub=st.text(min_size=1, max_size=300),
    which=st.sampled_from(["name", "preferred_username"]),
)
def test_whoever_has_no_verified_email_is_nobody_of_the_settings(name: str, sub: str, which: str) -> None:
    told = name_of({which: name, "email": "ada@example.com", "sub": sub})

    assert told.endswith("]")
    assert told.isprintable()
    assert len(told) < 200

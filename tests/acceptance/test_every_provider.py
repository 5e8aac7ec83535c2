"""A sample event of every provider, signed as `hookline send` signs it, over HTTP to one web process with a source for each."""

from collections.abc import Iterator

import httpx
import pytest

from infra.cli.send import Sender
from infra.clock import SystemClock
from infra.embedded import EmbeddedServer
from infra.signatures import providers
from tests.acceptance.builders import System, assert_problem, serving, system
from tests.unit.infra.signature_cases import SIGNED_CASES, Case, each

PUBLIC_URL = "https://hooks.example.com"
DEFAULTS = [case for case in SIGNED_CASES if case.name == providers()[case.provider].scheme]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[System]:
    """A web process with a source for every provider."""
    secrets = {f"SOURCE_{case.provider.replace('-', '_').upper()}_SECRET": case.secret() for case in DEFAULTS}
    settings = {"HOOKLINE_PUBLIC_URL": PUBLIC_URL, "HOOKLINE_SOURCES": "no-file.toml", **secrets}
    with serving() as server, system(tmp_path_factory.mktemp("house"), server.url, **settings) as running:
        running.web()
        yield running


def request_of(house: System, case: Case, *, generation: int = 0) -> httpx.Request:
    path = f"/hooks/{case.provider}"
    sender = Sender(provider=case.provider, scheme=case.scheme, keys=tuple(case.keys(generation)))
    url = str(house.http.base_url.join(path))
    return sender.request(url, signed_url=f"{PUBLIC_URL}{path}", clock=SystemClock())


@each(DEFAULTS)
def test_a_sample_is_accepted_and_one_by_another_secret_is_not(house: System, case: Case) -> None:
    """A003."""
    accepted = house.http.send(request_of(house, case))
    assert accepted.is_success, accepted.text  # 200 where the sender wants an answer of its own
    refused = house.http.send(request_of(house, case, generation=1))
    assert_problem(refused, 401, "signature_invalid")

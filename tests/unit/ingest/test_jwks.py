"""``GET /.well-known/jwks.json``."""

import asyncio

from infra.signatures import CallbackKey, new_whsk
from tests.unit.ingest.application import running

KEY = new_whsk(lambda length: b"k" * length)


def test_the_public_keys_are_there_for_anyone_and_may_be_kept_for_a_while() -> None:
    async def check() -> None:
        async with running(settings={"HOOKLINE_CALLBACK_PRIVATE_KEY": KEY}) as house:
            answer = await house.http.get("/.well-known/jwks.json")
            assert answer.json() == {"keys": [CallbackKey(KEY).jwk]}
            assert answer.headers["Cache-Control"] == "public, max-age=300"

    asyncio.run(check())


def test_without_a_key_the_document_is_empty() -> None:
    async def check() -> None:
        async with running() as house:
            assert (await house.http.get("/.well-known/jwks.json")).json() == {"keys": []}

    asyncio.run(check())

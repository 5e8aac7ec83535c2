"""The ed25519 signatures of callbacks: by the specification's own example, by other people's libraries, and by our own verifier."""

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from svix.webhooks import Webhook as SvixWebhook

from infra.settings import Settings, SettingsError
from infra.signatures import (
    CallbackKey,
    Headers,
    SchemeError,
    SignedRequest,
    callback_keys_of,
    new_whsk,
    providers,
    standard_webhooks_headers,
)

# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
SEED_ALONE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc="
SIGNATURE = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
CONTENT = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = new_whsk(bytes)


@pytest.mark.parametrize("private", [PRIVATE, SEED_ALONE, PRIVATE.rstrip("=")])
def test_the_specifications_example_holds(private: str) -> None:
    key = CallbackKey(private)
    assert (key.public_key, key.signature(CONTENT)) == (PUBLIC, SIGNATURE)


def test_the_jwk_is_read_by_other_libraries() -> None:
    jwk = CallbackKey(PRIVATE).jwk
    read = jwt.PyJWK.from_dict(jwk).key
    assert isinstance(read, Ed25519PublicKey)
    read.verify(
        urlsafe_b64decode(SIGNATURE.removeprefix("v1a,").translate(str.maketrans("+/", "-_"))), CONTENT
    )
    assert "d" not in jwk
    assert (jwk["use"], jwk["alg"], len(jwk["kid"])) == ("sig", "EdDSA", 43)


def test_every_key_signs_beside_every_secret_and_the_libraries_take_it() -> None:
    body, now = json.dumps({"a": 1}).encode(), datetime.now(UTC)
    keys = [CallbackKey(PRIVATE), CallbackKey(OTHER)]
    headers = standard_webhooks_headers(
        [SECRET], message_id="cb_1", timestamp=now, body=body, private_keys=keys
    )
    versions = [item.partition(",")[0] for item in headers["webhook-signature"].split(" ")]
    assert versions == ["v1", "v1a", "v1a"]
    assert Webhook(SECRET).verify(body, headers) == {"a": 1}
    SvixWebhook(SECRET).verify(body, headers)
    scheme = providers()["standard-webhooks"].build_scheme("v1a")
    for key in keys:
        request = SignedRequest(body=body, headers=Headers.of(headers))
        scheme.verify(request, [scheme.key(key.public_key)], now=now)


@pytest.mark.parametrize(
    "private",
    [
        "",
        "whsk_",
        "whsk_!!!",
        PUBLIC,
        SECRET,
        PRIVATE.replace("whsk_", ""),
        "whsk_" + "A" * 42,
        PRIVATE[:-4] + "Avg=",
        "whsk_ü",
    ],
)
def test_what_is_no_key_is_refused(private: str) -> None:
    with pytest.raises(SchemeError):
        CallbackKey(private)


def test_a_public_half_of_another_key_is_refused() -> None:
    mixed = PRIVATE[:48] + CallbackKey(OTHER).public_key[5:48] + "="
    with pytest.raises(SchemeError):
        CallbackKey(mixed)


@given(st.text())
def test_whatever_stands_there_the_only_failure_is_the_documented_one(text: str) -> None:
    with pytest.raises(SchemeError):
        CallbackKey("whsk_" + text[:20])


def test_the_keys_of_the_setting_are_read() -> None:
    assert [
        key.public_key for key in callback_keys_of(Settings.load({"HOOKLINE_CALLBACK_PRIVATE_KEY": PRIVATE}))
    ] == [PUBLIC]
    assert callback_keys_of(Settings.load({})) == []


@pytest.mark.parametrize(
    "wrong", ["hunter2", PUBLIC, PRIVATE[:60], f"{PRIVATE},whsk_", PRIVATE[:48] + "A" * 38 + "=="]
)
def test_a_wrong_key_stops_the_start_and_is_not_repeated(wrong: str) -> None:
    with pytest.raises(SettingsError, match="HOOKLINE_CALLBACK_PRIVATE_KEY") as refusal:
        callback_keys_of(Settings.load({"HOOKLINE_CALLBACK_PRIVATE_KEY": wrong}))
    assert wrong not in str(refusal.value)

"""A dead letter is sent again, over HTTP and by a command, and a receiver verifies it without a shared secret."""

import subprocess
import sys
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from infra.signatures import new_whsk
from tests.acceptance.builders import API_KEY, CALLBACK_SECRET, PROJECT, System
from tests.acceptance.inbox import Inbox, Post
from tests.acceptance.test_calling_back import called_back, submit

BEARER = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture
def system_with_a_key(build: Callable[..., System]) -> System:
    running = build(HOOKLINE_CALLBACK_PRIVATE_KEY=new_whsk(lambda length: b"k" * length))
    running.worker()
    running.web()
    return running


def assert_signed_by_a_published_key(post: Post, document: dict[str, Any]) -> None:
    (key,) = document["keys"]
    public = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(key["x"] + "="))
    (signature,) = [
        item[4:] for item in post.headers["webhook-signature"].split(" ") if item.startswith("v1a,")
    ]
    content = f"{post.id}.{post.headers['webhook-timestamp']}.".encode() + post.body
    public.verify(b64decode(signature), content)


def test_a_dead_letter_is_sent_again_under_its_old_id(system_with_a_key: System, inbox: Inbox) -> None:
    """F64."""
    system = system_with_a_key
    job_id = submit(system, inbox.answer("again", 500, 500, 500))
    dead = called_back(system, job_id, "dead")
    answer = system.http.get("/callbacks", params={"status": "dead"}, headers=BEARER)
    assert [item["id"] for item in answer.json()["items"]] == [dead["id"]]

    again = system.http.post(f"/callbacks/{dead['id']}/redeliver", headers=BEARER)

    assert (again.status_code, again.json()["id"]) == (200, dead["id"])
    assert [attempt["number"] for attempt in called_back(system, job_id, "delivered")["attempts"]] == [
        1,
        2,
        3,
        4,
    ]
    posts = inbox.wait_for("again", 4)
    assert {post.id for post in posts} == {dead["id"]}
    assert posts[0].verified(CALLBACK_SECRET) == posts[-1].verified(CALLBACK_SECRET)
    document = system.http.get("/.well-known/jwks.json").json()
    for post in posts:
        assert_signed_by_a_published_key(post, document)


def test_what_is_sent_again_is_tried_by_the_whole_schedule(system_with_a_key: System, inbox: Inbox) -> None:
    system = system_with_a_key
    job_id = submit(system, inbox.answer("still", *[500] * 6))
    callback_id = called_back(system, job_id, "dead")["id"]

    done = subprocess.run(
        [Path(sys.executable).with_name("hookline"), "callbacks", "redeliver", "--status", "dead"],
        env=system.environ, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    assert done.stdout == "1 callback to redeliver\n1 callback redelivered\n"
    assert {post.id for post in inbox.wait_for("still", 6)} == {callback_id}
    assert "after 3 attempts" in called_back(system, job_id, "dead")["reason"]

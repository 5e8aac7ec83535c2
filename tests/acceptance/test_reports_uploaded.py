"""Reports that go to Dropbox: a worker is killed while it uploads, and the next one goes on where that one stood."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.cli.background import serving
from infra.cli.standins.dropbox import APP_KEY, APP_SECRET, REFRESH_TOKEN, DropboxStandIn, Trouble
from tests.acceptance.builders import CALLBACK_SECRET, System
from tests.acceptance.gate import Gate
from tests.acceptance.inbox import Inbox

pytestmark = pytest.mark.slow

SUBURB = {"suburb": "Newtown", "state": "NSW"}
BEFORE = {"token, session": 2, "token, session, the file": 3, "all but the link": 4}


@pytest.mark.parametrize("passes", BEFORE.values(), ids=BEFORE.keys())
def test_a_worker_is_killed_while_it_uploads_and_the_caller_hears_once(
    build: Callable[..., System], inbox: Inbox, wait_until: Callable[..., Any], tmp_path: Path, passes: int
) -> None:
    stand_in = DropboxStandIn(troubles=[None, None, Trouble.EXPIRED])
    gate = Gate(stand_in.app, passes=passes)
    with serving(gate) as dropbox:
        house = build(
            HOOKLINE_HANDLERS="handlers",
            DROPBOX_APP_KEY=APP_KEY,
            DROPBOX_APP_SECRET=APP_SECRET,
            DROPBOX_REFRESH_TOKEN=REFRESH_TOKEN,
            DROPBOX_API_URL=dropbox,
            DROPBOX_CONTENT_URL=dropbox,
        )
        house.web()
        worker = house.worker()
        told = inbox.url(f"make-{passes}")
        job_id = house.submit({"type": "reports.agency", "payload": SUBURB, "callback_url": told}).json()[
            "job_id"
        ]
        wait_until(lambda: gate.held == 1, timeout=30)
        worker.process.kill()
        worker.process.wait()
        gate.open()
        house.worker()
        report = house.ended(job_id, wait=60)["result"]["report"]
        linked = httpx.get(report["url"], trust_env=False).content
        post = inbox.once(f"make-{passes}", lambda: house.has_told(job_id))

    (content,) = stand_in.files.values()
    assert content.startswith(b"%PDF-")
    assert report["size"] == len(content) == stand_in.received, "what was there was not sent again"
    assert linked == content
    assert report["sha256"] == sha256(content).hexdigest()
    assert post.verified(CALLBACK_SECRET)["data"]["result"]["report"] == report

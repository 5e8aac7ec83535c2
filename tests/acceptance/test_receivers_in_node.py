"""The receivers in JavaScript of docs/receive-callbacks.md, run by Node.js: they take what we send, and no forgery."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.signatures import standard_webhooks_headers
from tests.acceptance.builders import CALLBACK_SECRET, free_port
from tests.conftest import missing

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "receive-callbacks.md").read_text(encoding="utf-8")
OTHER_SECRET = "whsec_" + "QUFB" * 8
TOLD = {"type": "job.finished", "data": {"result": "café ☕"}}

# What n8n has around the code of a Code node, as far as the page uses it.
N8N = """
const { headers, raw, secret } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const node = Object.getPrototypeOf(async function () {}).constructor("require", "$input", "$env", CODE);
node.call({ helpers: { getBinaryDataBuffer: async () => Buffer.from(raw, "hex") } },
          require, { first: () => ({ json: { headers } }) }, { HOOKLINE_CALLBACK_SECRET: secret })
  .then((items) => console.log(JSON.stringify(items)), (error) => { console.error(error.message); process.exit(1); });
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A callback, and what is wrong with it."""

    secrets: tuple[str, ...] = (OTHER_SECRET, CALLBACK_SECRET)
    age: timedelta = timedelta(0)
    added: bytes = b""
    without: str = ""

    @property
    def body(self) -> bytes:
        return json.dumps(TOLD, ensure_ascii=False).encode()

    @property
    def headers(self) -> dict[str, str]:
        stamp = datetime.now(UTC) - self.age
        signed = standard_webhooks_headers(
            self.secrets, message_id="cb_1", timestamp=stamp, body=self.body + self.added
        )
        return {name: value for name, value in signed.items() if name != self.without}


FORGED = {
    "another secret": Case(secrets=(OTHER_SECRET,)),
    "another body": Case(added=b" "),
    "an old one": Case(age=timedelta(minutes=6)),
    "one of the future": Case(age=timedelta(minutes=-6)),
    "unsigned": Case(without="webhook-signature"),
    "no timestamp": Case(without="webhook-timestamp"),
    "no id": Case(without="webhook-id"),
}


def example(heading: str) -> str:
    """The first block of JavaScript below a heading."""
    return PAGE.split(f"\n{heading}\n")[1].split("```javascript\n")[1].split("```")[0]


def n8n(case: Case) -> subprocess.CompletedProcess[str]:
    """What the node gives to the next one, as JSON; the exit code is 1 where it throws."""
    if shutil.which("node") is None:
        missing("no node on the PATH: apt-get install nodejs")
    given = {"headers": case.headers, "raw": case.body.hex(), "secret": CALLBACK_SECRET}
    program = N8N.replace("CODE", json.dumps(example("### In n8n")))
    return subprocess.run(
        ["node", "-e", program], input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


def test_the_n8n_node_passes_on_what_is_signed() -> None:
    done = n8n(Case())
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [{"json": {"id": "cb_1", **TOLD}}]


@pytest.mark.parametrize("case", FORGED.values(), ids=FORGED)
def test_the_n8n_node_throws_at_what_is_not(case: Case) -> None:
    done = n8n(case)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() in ("too old, or not yet", "not signed with our secret")


@pytest.fixture
def receiver(npm_project: Path, wait_until: Callable[..., Any]) -> Iterator[httpx.Client]:
    """The page's receiver in Express, as a process of its own."""
    (npm_project / "inbox.mjs").write_text(example("## Verify it"), encoding="utf-8")
    port = free_port()
    settings = {"HOOKLINE_CALLBACK_SECRET": CALLBACK_SECRET, "PORT": str(port)}
    with (
        (npm_project / "inbox.log").open("wb") as log,
        subprocess.Popen(
            ["node", "inbox.mjs"], cwd=npm_project, env={**os.environ, **settings}, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log,
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):  # fmt: skip
        try:
            wait_until(lambda: process.poll() is not None or answers(client), timeout=30)
            assert process.poll() is None, (npm_project / "inbox.log").read_text()
            yield client
        finally:
            process.kill()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code == 404
    except httpx.TransportError:
        return False


def test_the_node_receiver_takes_a_callback_again_and_again_and_refuses_forgeries(
    receiver: httpx.Client,
) -> None:
    def status(case: Case) -> int:
        headers = {"Content-Type": "application/json", **case.headers}
        return receiver.post("/inbox", content=case.body, headers=headers).status_code

    assert [status(Case()), status(Case())] == [204, 204]
    assert {why: status(case) for why, case in FORGED.items()} == dict.fromkeys(FORGED, 401)
    assert status(Case()) == 204

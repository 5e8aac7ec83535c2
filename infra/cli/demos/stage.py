"""Where a demo plays: a Hookline of real processes on a Valkey of its own, nothing of which outlives it but what it made.

HooklineError
└── DemoError    the demo came to nothing; the text says why
"""

import queue
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console

from infra.cli.background import serving
from infra.cli.children import Children
from infra.cli.dev_state import dev_environment
from infra.cli.inbox import PATH, Arrived, create_inbox, verified
from infra.cli.listening import listen, port_of
from infra.client import Client, Job, Update
from infra.embedded import EmbeddedServer
from infra.errors import HooklineError
from infra.settings import Settings, documented_settings, environment
from infra.words import counted

OUTPUT: Final = Path(".hookline") / "demo"
_PATIENCE_SECONDS: Final = 60.0
_LONGEST_SECONDS: Final = 600.0
_LONGEST_TEXT: Final = 160


class DemoError(HooklineError):
    """The demo came to nothing; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """What one of the five systems shows.

    Args:
        extra: what has to be installed; None: nothing more.
        workers: how many worker processes there are.
        variables: for all processes; what it starts on the stack ends with the demo.
        play: does it.
    """

    extra: str | None = None
    workers: int = 1
    variables: Callable[[ExitStack], Mapping[str, str]] = lambda _stack: {}
    play: "Callable[[Stage], None]"


class Stage:
    """What a demo does things with; everything that it does is shown.

    Args:
        web: the address of the web process.
        variables: of all processes.
        arrivals: callbacks, or why one was refused.
        output: where what was made is put.
    """

    def __init__(
        self,
        *,
        web: str,
        callback_url: str,
        variables: Mapping[str, str],
        client: Client,
        arrivals: "queue.SimpleQueue[Arrived | str]",
        output: Path,
        console: Console,
    ) -> None:
        self.web = web
        self.callback_url = callback_url
        self.variables = variables
        self.client = client
        self._arrivals = arrivals
        self._output = output
        self._console = console

    def say(self, text: str) -> None:
        """A line."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def run(
        self,
        type: str,  # noqa: A002 - the contract's word
        payload: Any,
        *,
        tag: str | None = None,
        callback_url: str | None = None,
    ) -> Job:
        """Submit a job, show how it gets on, and return it once its callback is here.

        Args:
            callback_url: of a receiver that passes on to `hear` what comes; None: the stage's own.

        Raises:
            DemoError: it did not finish, or the callback did not come.
        """
        receipt = self.client.submit(type, payload, callback_url=callback_url or self.callback_url, tag=tag)
        self.say(f"→ POST {self.web}/jobs  {type}")
        return self.follow(receipt.job_id)

    def follow(self, job_id: str) -> Job:
        """The same for a job that was made by other means."""
        self.say(f"  submitted {job_id}")
        shown = {""}
        for update in self.client.stream(job_id):
            line = _line(update)
            if line not in shown:
                self.say(f"  {line}")
                shown.add(line)
        job = self.client.wait(job_id, seconds=_LONGEST_SECONDS)
        if job.status != "finished":
            reason = f": {job.error.message}" if job.error else ""
            raise DemoError(f"{job.type} {job.status}{reason}")
        self._hear_of(job_id)
        return job

    def keep(self, artifact: Mapping[str, Any]) -> Path:
        """Load an artifact by its link, look whether it is what was announced, and put it where the demo leaves it.

        Raises:
            DemoError: the link does not work, or gives something else.
        """
        answer = httpx.get(artifact["url"], timeout=60, trust_env=False)
        if not answer.is_success or sha256(answer.content).hexdigest() != artifact["sha256"]:
            raise DemoError(f"the link of {artifact['name']} gives {answer.status_code}, or another file")
        self._output.mkdir(parents=True, exist_ok=True)
        path = self._output / str(artifact["name"])
        path.write_bytes(answer.content)
        self.say(
            f"✓ artifact {path}  {artifact['size']:,} bytes, {artifact['content_type']}, its sha256 is right"
        )
        return path

    def hear(self, headers: Mapping[str, str], body: bytes) -> None:
        """A callback came to a receiver of the demo's own. Its names of headers are in lower case."""
        secrets = Settings.load(self.variables).callback_secrets or ()
        self._arrivals.put(verified(secrets, headers, body))

    def _hear_of(self, job_id: str) -> None:
        while True:
            try:
                heard = self._arrivals.get(timeout=_PATIENCE_SECONDS)
            except queue.Empty:
                raise DemoError(f"the callback of {job_id} did not come") from None
            if isinstance(heard, str):
                raise DemoError(heard)
            if heard.body["data"]["job_id"] == job_id:
                self.say(
                    f"✓ callback {heard.id} {heard.body['type']}, its signature holds (checked by standardwebhooks)"
                )
                return


@contextmanager
def staged(name: str, demonstration: Demonstration, console: Console) -> Iterator[Stage]:
    """A stage, set up for one demo. What is set here, such as keys of outside services, is not used: everything is made up.

    Raises:
        DemoError: web and worker did not get ready.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookline-demo-")))
        server = stack.enter_context(EmbeddedServer.start(directory / "redis"))
        with listen("127.0.0.1", 0) as probe:
            port = port_of(probe)
        web = f"http://127.0.0.1:{port}"
        given = _without_ours() | {
            "REDIS_URL": server.url,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "HOOKLINE_PUBLIC_URL": web,
            "HOOKLINE_SOURCES": str(directory / "sources.toml"),
            "HOOKLINE_LOG": "error",
            **demonstration.variables(stack),
        }
        arrivals: queue.SimpleQueue[Arrived | str] = queue.SimpleQueue()
        made_up = dev_environment(given, directory)
        secrets = Settings.load(made_up).callback_secrets or ()
        inbox = stack.enter_context(serving(create_inbox(secrets, arrivals.put)))
        variables = {"SOURCE_FIREFLIES_CALLBACK_URL": inbox + PATH} | made_up
        children = Children([["web"], *[["worker"]] * demonstration.workers], variables)
        stack.callback(children.stop)
        children.start()
        wait_until_ready(web, ended=children.ended)
        workers = counted(demonstration.workers, "worker")
        console.print(f"{server.version}, web and {workers} run at {web}", highlight=False, soft_wrap=True)
        (key, *_) = Settings.load(variables).api_keys
        client = stack.enter_context(Client(web, api_key=key.key))
        yield Stage(
            web=web,
            callback_url=inbox + PATH,
            variables=variables,
            client=client,
            arrivals=arrivals,
            output=OUTPUT / name,
            console=console,
        )


def wait_until_ready(web: str, *, ended: Callable[[], Sequence[int]] = tuple) -> None:
    """Return once the web process says that a worker is alive.

    Args:
        ended: the exit codes of processes that have ended by themselves; then there is nothing to wait for.

    Raises:
        DemoError: it does not.
    """
    limit = time.monotonic() + _PATIENCE_SECONDS
    reasons = "it does not answer"
    with httpx.Client(trust_env=False, timeout=2) as client:
        while time.monotonic() < limit and not ended():
            try:
                answer = client.get(f"{web}/readyz")
            except httpx.HTTPError:
                pass
            else:
                if answer.status_code == httpx.codes.OK:
                    return
                reasons = ", ".join(answer.json()["reasons"])
            time.sleep(0.1)
    raise DemoError(f"web and worker did not get ready: {reasons}")


def _without_ours() -> dict[str, str]:
    ours = {known.metadata["variable"] for known in documented_settings()}
    return {
        name: value
        for name, value in environment().items()
        if name not in ours and not name.startswith(("SOURCE_", "HOOKLINE_", "FIREFLIES_", "REDIS_"))
    }


def _line(update: Update) -> str:
    """What an update has to tell a person."""
    told = update.data
    match update.event:
        case "status":
            return f"{told['status']}"
        case "progress":
            progress = told["progress"]
            percent = "" if progress.get("percent") is None else f"{progress['percent']:3.0f} %  "
            words = (progress.get("stage"), progress.get("message"), progress.get("item"))
            return (percent + "  ".join(word for word in words if word))[:_LONGEST_TEXT]
        case "log":
            return f"log: {told.get('message', '')}"[:_LONGEST_TEXT]
    return ""

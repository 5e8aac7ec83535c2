"""``hookline dev``: Redis, web, worker and a callback inbox in one terminal, on a laptop that has nothing of it."""

import secrets
import signal
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from watchfiles import PythonFilter, watch

from infra import logs
from infra.cli.background import serving
from infra.cli.children import Children
from infra.cli.demos.fireflies import Demo
from infra.cli.demos.stage import wait_until_ready
from infra.cli.dev_state import STATE, dev_environment, read_dotenv, shared
from infra.cli.inbox import PATH, Arrived, create_inbox
from infra.cli.standins.fireflies import API_KEY, FirefliesStandIn
from infra.embedded import EmbeddedServer
from infra.settings import Settings, environment


class _Stopped(Exception):
    """Ctrl-C, or SIGTERM."""


@click.command(name="dev")
@click.option(
    "--demo", "with_demo", is_flag=True, help="Also sign and send a Fireflies event, and show the callback."
)
@click.option(
    "--reload/--no-reload",
    default=True,
    show_default=True,
    help="Restart web and worker when a file changes.",
)
def command(with_demo: bool, reload: bool) -> None:
    """Everything in one terminal. Data stays in .hookline/."""
    console = Console()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    with suppress(_Stopped), ExitStack() as stack:
        _run(console, stack, with_demo=with_demo, reload=reload)
    console.print("stopped; the data stays in .hookline/")


def _run(console: Console, stack: ExitStack, *, with_demo: bool, reload: bool) -> None:
    given = read_dotenv(Path(".env")) | environment()
    environ = dev_environment(given, STATE)
    environ.pop("HOOKLINE_SHARDS", None)  # web and worker share one Redis here
    settings = Settings.load(environ)
    logs.configure(level="error", log_format="console")
    if settings.redis_url is None:
        server = stack.enter_context(EmbeddedServer.start(STATE))
        environ["REDIS_URL"] = server.url
        console.print(
            f"{server.version} keeps its data in {STATE}/   REDIS_URL={server.url}",
            highlight=False,
            soft_wrap=True,
        )
    environ["PORT"] = str(_free_port(settings.port, chosen="PORT" in given))
    web = environ.setdefault("HOOKLINE_PUBLIC_URL", f"http://127.0.0.1:{environ['PORT']}")

    known = [
        *(settings.callback_secrets or ()),
        *(entry.secret for entry in settings.api_key_callback_secrets),
    ]
    inbox = stack.enter_context(serving(create_inbox(known, lambda what: _show(console, what))))
    environ.setdefault("SOURCE_FIREFLIES_CALLBACK_URL", inbox + PATH)
    meeting_id = None
    if settings.fireflies_api_key is None:
        meeting_id = f"standin{secrets.token_hex(6)}"
        stand_in = stack.enter_context(serving(FirefliesStandIn(meeting_id=None).app))
        environ |= {"FIREFLIES_API_URL": f"{stand_in}/graphql", "FIREFLIES_API_KEY": API_KEY}

    stack.enter_context(shared(STATE, environ))
    children = Children([["web"], ["worker"]], environ)
    stack.callback(children.stop)
    children.start()
    _greet(console, web, inbox + PATH, environ, stand_in=meeting_id is not None)
    if with_demo:
        secret = environ.get("SOURCE_FIREFLIES_SECRET") or environ["FIREFLIES_SECRET"]
        demo = Demo(
            web=web, secret=secret.split(",")[0], settings=settings, meeting_id=meeting_id, console=console
        )
        wait_until_ready(web)
        demo.send()
    _watch(console, children, reload=reload)


def _watch(console: Console, children: Children, *, reload: bool) -> None:
    """Until Ctrl-C: restart the children when a file changes, and end if one of them does."""
    filtered = PythonFilter(extra_extensions=(".toml",))
    for changes in watch(
        ".", watch_filter=filtered, yield_on_timeout=True, rust_timeout=500, raise_interrupt=False
    ):
        if changes and reload:
            console.print(
                f"{len(changes)} files changed: web and worker start again", highlight=False, soft_wrap=True
            )
            children.restart()
        if children.ended():
            raise click.ClickException("web or worker ended; its last lines say why")


def _greet(console: Console, web: str, inbox: str, environ: dict[str, str], *, stand_in: bool) -> None:
    api_key = environ["HOOKLINE_API_KEYS"].split(",")[0].split(":")[1]
    console.print(f"hooks      POST {web}/hooks/fireflies", highlight=False, soft_wrap=True)
    console.print(
        f"jobs       POST {web}/jobs     Authorization: Bearer {api_key}", highlight=False, soft_wrap=True
    )
    console.print(
        f"console    {web}/console/     password {environ['HOOKLINE_CONSOLE_PASSWORD']}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"callbacks  arrive at {inbox} and are shown here", highlight=False, soft_wrap=True)
    speaks = (
        "a stand-in that answers as Fireflies documents; set FIREFLIES_API_KEY for the real one"
        if stand_in
        else "Fireflies itself"
    )
    console.print(f"Fireflies  {speaks}", highlight=False, soft_wrap=True)


def _show(console: Console, what: Arrived | str) -> None:
    if isinstance(what, str):
        console.print(f"[bold red]{what}[/]")
        return
    console.print(
        f"\n[bold green]✓ callback {what.id}[/] its signature holds (checked by standardwebhooks)",
        highlight=False,
        soft_wrap=True,
    )
    console.print_json(data=what.body)


def _free_port(port: int, *, chosen: bool) -> int:
    """The port, or another free one where nobody has chosen it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            if chosen:
                raise click.ClickException(f"PORT {port} is taken: set another") from None
            probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _stop(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise _Stopped

"""The command line, and the composition root: alone in infra it imports ingest, worker and handlers.

Exit codes: 0 done, 1 the thing failed, 2 the call's words are off.
"""

import sys
from importlib import import_module
from typing import NoReturn

import click

from infra.errors import HooklineError

_COMMANDS = {
    "dev": "everything in one terminal, on a laptop",
    "demo": "a whole system at work, on material made on the spot",
    "web": "the HTTP process",
    "worker": "the worker",
    "serve": "web and worker in one process",
    "send": "send a signed sample event",
    "sources": "the senders that are trusted",
    "jobs": "look at jobs, cancel them, retry them",
    "events": "look at events, replay them, erase them",
    "callbacks": "look at callbacks, make them again, check receivers",
    "receivers": "where callbacks go; pause, resume",
    "queues": "what waits in queues; pause, resume",
    "handlers": "what workers handle; pause, resume",
    "workers": "who works; drain",
    "dead": "what was given up",
    "replays": "run many jobs again",
    "archive": "read what was archived, run it again",
    "keys": "new secrets that sign callbacks",
    "openapi": "the API's description",
    "doctor": "what could lose data, and how to mend it",
}


class _Commands(click.Group):
    """Commands are imported when they are called, so that `hookline --help` is instant."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command = import_module(f"infra.cli.{name}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hookline")
def hookline() -> None:
    """Hookline takes webhooks in, runs your handlers, and calls back."""


def main() -> None:
    """What ``hookline`` on the command line runs."""
    try:
        hookline(prog_name="hookline")
    except HooklineError as error:
        click.echo(f"hookline: {error}", err=True)
        _end(1)
    except SystemExit as end:
        if isinstance(end.code, int):
            _end(end.code)
        raise


def _end(code: int) -> NoReturn:
    """A thread of obstore's that has still to tell what became of its work would abort an interpreter that is ending."""
    if "obstore" in sys.modules:
        from infra.cli.leaving import leave

        leave(code)
    sys.exit(code)

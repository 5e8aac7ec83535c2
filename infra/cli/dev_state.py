"""What `hookline dev` makes up once and keeps under ``.hookline/``: keys, so that a second start reads the first one's data.

A variable that is set, in the environment or in ``.env``, always wins.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra.settings import Settings, environment
from infra.signatures import new_whsec
from ingest.sources import load_sources

STATE = Path(".hookline")

_RUNNING = "running.json"
_OURS = ("HOOKLINE_", "SOURCE_", "REDIS_URL", "PORT", "FIREFLIES_")
_LOOPBACK = "127.0.0.0/8,::1/128"


def read_dotenv(path: Path) -> dict[str, str]:
    """The variables of a ``.env`` file: NAME=value lines, ``#`` comments, quotes around values; nothing is expanded.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".env") as file:
    ...     _ = file.write("# a comment\\nexport PORT=8001\\nNAME='a b'\\n")
    ...     file.flush()
    ...     read_dotenv(Path(file.name))
    {'PORT': '8001', 'NAME': 'a b'}
    """
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text("utf-8").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = value.strip().strip("'\"")
    return found


def environment_here() -> dict[str, str]:
    """This process's variables; where they name no Redis, those of the `hookline dev` that runs in this directory.

    So `hookline jobs list` and the like just work in a second terminal.
    """
    given = environment()
    running = STATE / _RUNNING
    if Settings.load(given).redis_url is None and running.is_file():
        left: dict[str, str] = json.loads(running.read_text("utf-8"))
        return left | given
    return given


@contextmanager
def shared(directory: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """Leave what a running `hookline dev` has added to its own variables for `environment_here`, for as long as it runs."""
    inherited = {
        name
        for name, value in environment().items()
        if environ.get(name) == value and not name.startswith(_OURS)
    }
    running = directory / _RUNNING
    running.touch(mode=0o600)
    running.write_text(json.dumps({name: environ[name] for name in environ.keys() - inherited}), "utf-8")
    try:
        yield
    finally:
        running.unlink(missing_ok=True)


def made_up(directory: Path) -> dict[str, str]:
    """The kept secrets, made at the first start; nobody else may read them."""
    path = directory / "dev.json"
    kept: dict[str, str] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    fresh = {
        "HOOKLINE_SECRET_KEY": secrets.token_hex(32),
        "HOOKLINE_CALLBACK_SECRET": new_whsec(secrets.token_bytes),
        "HOOKLINE_API_KEYS": f"dev:{secrets.token_urlsafe(24)}",
        "SOURCE_FIREFLIES_SECRET": secrets.token_hex(16),
        "HOOKLINE_CONSOLE_PASSWORD": secrets.token_urlsafe(12),
    }
    if not fresh.keys() <= kept.keys():
        kept = fresh | kept
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(kept, indent=2), "utf-8")
    return kept


def dev_environment(given: Mapping[str, str], directory: Path) -> dict[str, str]:
    """The variables for the processes of a laptop: what is given, then what was made up, then what suits a laptop.

    Every source that the file declares and that has no secret gets one, so that it can be tried.
    """
    environ = (
        made_up(directory)
        | {
            "HOOKLINE_CALLBACK_ALLOW": _LOOPBACK,
            "HOOKLINE_FILES": str(directory / "files"),
            "HOOKLINE_LOG_FORMAT": "console",
        }
        | dict(given)
    )
    if "FIREFLIES_SECRET" in environ and "SOURCE_FIREFLIES_SECRET" not in given:
        del environ["SOURCE_FIREFLIES_SECRET"]  # the file's own way of naming it
    for name in load_sources(Settings.load(environ), environ).without_secret:
        environ[secret_variable(name)] = secrets.token_hex(16)
    return environ


def secret_variable(name: str) -> str:
    """The variable that holds a source's secret.

    >>> secret_variable("standard-webhooks")
    'SOURCE_STANDARD_WEBHOOKS_SECRET'
    """
    return f"SOURCE_{name.replace('-', '_').upper()}_SECRET"

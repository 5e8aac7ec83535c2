"""What `hookline doctor` finds in the settings and the sources' table: pure functions, as the rules of `infra.findings` are."""

from collections.abc import Iterator, Sequence
from typing import Final

from infra.cli.dev_state import secret_variable
from infra.findings import Finding, Seen
from infra.findings.finding import error, warning
from infra.findings.work import serve
from infra.settings import Settings, SettingsError
from infra.signatures import SchemeError, callback_keys_of, secrets_by_key, whsec_key
from ingest.sources import Sources

_SHORTEST_KEY: Final = 16  # characters, or bytes
_SHORTEST_CALLBACK_KEY: Final = 24  # bytes; Standard Webhooks
_WHSEC: Final = "set whsec_ and 24 to 64 random bytes in base64: a line of `hookline keys new`"
_FREE_SHARE: Final = 0.05


def of_settings(settings: Settings, sources: Sources) -> Iterator[Finding]:
    """Secrets that are missing or weak, links that lead nowhere."""
    if settings.redis_url is None and not settings.shards:
        yield error(
            "redis-url", "REDIS_URL is not set", why="there is nowhere to keep events",
            cure="point it at Redis ≥ 7.0 or Valkey ≥ 7.2",
        )  # fmt: skip
    if not settings.secret_keys:
        yield error(
            "secret-key", "HOOKLINE_SECRET_KEY is not set", why="web and worker don't start",
            cure="set any long random text, the same for web and worker",
        )  # fmt: skip
    elif min(len(key) for key in settings.secret_keys) < _SHORTEST_KEY:
        yield warning(
            "secret-key",
            f"HOOKLINE_SECRET_KEY is shorter than {_SHORTEST_KEY} characters",
            why="it can be guessed",
            cure="put a long random one first, and take the short one out after HOOKLINE_LINK_TTL",
        )
    yield from _of_callback_secrets(settings, sources)
    yield from _of_private_keys(settings)
    if settings.public_url is None:
        yield warning(
            "public-url", "HOOKLINE_PUBLIC_URL is not set", why="links are paths, and callbacks carry none",
            cure="set it to the address that senders call, such as https://hooks.example.com",
        )  # fmt: skip


def _of_callback_secrets(settings: Settings, sources: Sources) -> Iterator[Finding]:
    calling = [source.name for source in sources if source.callback_url and not source.callback_secrets]
    calling += ["POST /jobs"] if settings.api_keys and not calling else []
    calling += ["HOOKLINE_ALERT_URL"] if settings.alert_url else []
    if calling and not settings.callback_secrets:
        yield error(
            "callback-secret",
            f"HOOKLINE_CALLBACK_SECRET is not set, and callbacks are possible ({', '.join(calling)})",
            why="web and worker don't start",
            cure=_WHSEC,
        )
    yield from _of_whsecs(settings.callback_secrets or (), "callback-secret", "HOOKLINE_CALLBACK_SECRET")
    own = [entry.secret for entry in settings.api_key_callback_secrets]
    yield from _of_whsecs(own, "key-callback-secret", "HOOKLINE_API_KEY_CALLBACK_SECRETS")
    known = {key.name for key in settings.api_keys}
    for name in secrets_by_key(settings):
        if known and name not in known:
            yield warning(
                "key-callback-secret", f"HOOKLINE_API_KEY_CALLBACK_SECRETS names {name}, and there is no such API key",
                subject=name, why="the key that was meant has its callbacks signed with what all others have",
                cure="mend the name; or, if the key was taken out, take its secret out when nothing of its waits any more",
            )  # fmt: skip


def _of_whsecs(secrets: Sequence[str], code: str, variable: str) -> Iterator[Finding]:
    try:
        lengths = [len(whsec_key(secret)) for secret in secrets]
    except SchemeError as fault:
        yield error(code, f"{variable} {fault}", why="web and worker don't start", cure=_WHSEC)
        return
    if any(length < _SHORTEST_CALLBACK_KEY for length in lengths):
        yield warning(
            code,
            f"{variable} has fewer than {_SHORTEST_CALLBACK_KEY} bytes",
            why="outcomes can be forged",
            cure="put a new one first, tell the receivers, and take the short one out",
        )


def _of_private_keys(settings: Settings) -> Iterator[Finding]:
    try:
        callback_keys_of(settings)
    except SettingsError as fault:
        yield error(
            "private-key",
            str(fault),
            why="web and worker don't start",
            cure="take a line of `hookline keys new`",
        )


def of_sources(sources: Sources, settings: Settings) -> Iterator[Finding]:
    """Senders that are refused, or that others could play."""
    if not sources.by_name and not settings.api_keys:
        yield warning(
            "no-source", "there is no source and no API key", why="nothing can come in",
            cure="set SOURCE_<NAME>_SECRET, write sources.toml, or set HOOKLINE_API_KEYS",
        )  # fmt: skip
    for name in sources.without_secret:
        yield warning(
            "source-secret", f"source {name} has no secret", subject=name,
            why="everything that it sends is refused",
            cure=f"set {secret_variable(name)}, or what sources.toml refers to",
        )  # fmt: skip
    for source in sources:
        if any(len(secret) < _SHORTEST_KEY for secret in source.secrets):
            yield warning(
                "source-secret",
                f"source {source.name} has a secret of fewer than {_SHORTEST_KEY} bytes",
                subject=source.name,
                why="it can be guessed",
                cure="make a longer one, accept both, switch the sender, take the short one out",
            )
    for source in sources:
        if not source.scheme.needs_secret and not source.scheme.needs_published_keys:
            yield warning(
                "source-open",
                f"source {source.name} is signed by nobody",
                subject=source.name,
                why="whoever knows its address is believed",
                cure="let its sender sign, or bring a secret: scheme url-secret, at the least",
            )
    for name in sources.outlasting(settings.dedup_window):
        yield warning(
            "source-tolerance",
            f"source {name} takes a signature for longer than HOOKLINE_DEDUP_WINDOW",
            subject=name,
            why="an old request is new again",
            cure="shorten its tolerance, or lengthen the window",
        )
    for name in sources.open_to_secrets:
        yield warning(
            "source-handshake",
            f"source {name} lets anybody bring a secret, and answers (handshake = open)",
            subject=name,
            why="whoever comes first can sign for it",
            cure="when the provider is set up: set the secret, and take the key out",
        )
    for variable in sources.ignored:
        yield warning(
            "source-variable", f"{variable} reads like a source's key", subject=variable,
            why="there is no such source", cure="mend its name, or give the source a secret",
        )  # fmt: skip


def of_routes(seen: Seen, sources: Sources) -> Iterator[Finding]:
    """Sources whose events nobody takes, and queues that they may go to and nobody serves."""
    if not seen.workers:
        return
    served = {queue for worker in seen.workers for queue in worker.queues}
    full = {queue.name for queue in seen.queues if queue.queued + queue.scheduled + queue.started}
    wanted = {source.queue for source in sources} | {entry.queue for entry in seen.entries if entry.queue}
    for name in sorted(wanted - served - full):
        yield warning(
            "queue-unserved", f"no live worker serves queue {name}", subject=name,
            why="jobs may go to it, and will not run", cure=serve(name),
        )  # fmt: skip
    known = {entry.source for entry in seen.entries} | {source for source, _ in seen.ignored}
    for source in sources:
        if source.secrets and source.name not in known:
            yield warning(
                "source-unknown",
                f"no live worker has a handler for source {source.name}",
                subject=source.name,
                why="its events are kept and ignored",
                cure=f'write one: @handler("{source.name}", "*")',
            )


def of_disk(name: str, *, free: int, total: int) -> Iterator[Finding]:
    """A disk that is nearly full.

    Args:
        name: what is kept there.
        free, total: in bytes.
    """
    if free < total * _FREE_SHARE:
        yield warning(
            "disk-full",
            f"the disk of {name} has {free / total:.0%} left ({free >> 20} MiB)",
            subject=name,
            why="when it is full, uploads and artifacts are refused",
            cure="make room, or shorten HOOKLINE_FILE_RETENTION",
        )

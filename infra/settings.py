"""Every number and name that operators tune. Nothing else reads the environment.

A new setting is a new field of `Settings`, with its variable, its parser and its meaning; ``docs/settings.md``
and ``.env.example`` follow, and a test compares them.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import timedelta
from typing import Any, Literal

from infra import setting_values as values
from infra.durations import parse_durations
from infra.errors import HooklineError
from infra.shards import MOST_SHARDS


class SettingsError(HooklineError):
    """A setting is wrong; the text names the variable and never its value."""


_CLIENT_HEADERS = {
    "RAILWAY_ENVIRONMENT_NAME": "X-Real-IP",
    "RAILWAY_ENVIRONMENT": "X-Real-IP",
    "FLY_APP_NAME": "Fly-Client-IP",
}


def setting(
    variable: str, parse: Callable[[str], Any], default: str | None, meaning: str, *, secret: bool = False
) -> Any:
    """A field of `Settings`: its variable, how to read it, its default as text, what it means."""
    metadata = {"variable": variable, "parse": parse, "default": default, "meaning": meaning}
    return field(default=None if default is None else parse(default), repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What this process was told, checked.

    >>> Settings.load({"HOOKLINE_LEASE": "30s"}).lease
    datetime.timedelta(seconds=30)
    >>> Settings.load({"HOOKLINE_LEASE": "soon"})
    Traceback (most recent call last):
        ...
    infra.settings.SettingsError: HOOKLINE_LEASE: not a duration: write a number and a unit, such as 250ms, 15s, 5m, 2h or 7d
    """

    redis_url: str | None = setting(
        "REDIS_URL",
        values.text,
        None,
        "Redis ≥ 7.0 or Valkey ≥ 7.2: redis://, rediss://, unix://, sentinel://",
        secret=True,
    )
    shards: tuple[str, ...] = setting(
        "HOOKLINE_SHARDS",
        values.shards,
        "",
        "for web alone: several such addresses, with white space between them; events are spread over them",
        secret=True,
    )
    shards_before: int = setting(
        "HOOKLINE_SHARDS_BEFORE",
        values.whole(0, MOST_SHARDS - 1),
        "0",
        "how many of them there were until lately: an id that moved is asked for where it was; 0: it need not be",
    )
    host: str = setting("HOST", values.text, "", "address to listen on; empty: every address, IPv4 and IPv6")
    port: int = setting("PORT", values.whole(0, 65535), "8000", "port to listen on; 0: any free one")
    client_header: str | None = setting(
        "HOOKLINE_CLIENT_HEADER",
        values.header,
        None,
        "the header in which the proxy before us, that nobody can go around, tells who called, for the log; X-Real-IP on Railway, Fly-Client-IP on Fly",
    )
    public_url: str | None = setting(
        "HOOKLINE_PUBLIC_URL",
        values.public_url,
        None,
        "base of the links that we hand out; without it links are paths and callbacks carry none",
    )
    link_ttl: timedelta = setting(
        "HOOKLINE_LINK_TTL", values.duration(timedelta(seconds=1)), "7d", "how long a status_url works"
    )
    secret_keys: tuple[str, ...] | None = setting(
        "HOOKLINE_SECRET_KEY",
        values.names,
        None,
        "signs links and job records; comma-separated, newest first; made in dev",
        secret=True,
    )
    api_keys: tuple[values.ApiKey, ...] = setting(
        "HOOKLINE_API_KEYS",
        values.api_keys,
        "",
        "name:key or name:key:read+submit+operate, comma-separated; none: the API is closed",
        secret=True,
    )
    console_password: str | None = setting(
        "HOOKLINE_CONSOLE_PASSWORD",
        values.password,
        None,
        "opens the console to one operator, whose name is operator; at least 12 characters; none, no users and no issuer: there is no console; made in dev",
        secret=True,
    )
    console_users: tuple[values.ConsoleUser, ...] = setting(
        "HOOKLINE_CONSOLE_USERS",
        values.console_users,
        "",
        "name:viewer:hash or name:operator:hash, comma-separated; the hash as argon2 writes it",
        secret=True,
    )
    console_session: timedelta = setting(
        "HOOKLINE_CONSOLE_SESSION",
        values.duration(timedelta(minutes=1)),
        "12h",
        "whoever has signed in to the console signs in again after so long",
    )
    console_viewers_see: Literal["payloads", "records"] = setting(
        "HOOKLINE_CONSOLE_VIEWERS_SEE",
        values.choice("payloads", "records"),
        "payloads",
        "records: the console shows viewers no payload, header, result or answer",
    )
    console_oidc_issuer: str | None = setting(
        "HOOKLINE_CONSOLE_OIDC_ISSUER",
        values.url,
        None,
        "people sign in to the console there too, by OpenID Connect: the provider's issuer, letter by letter",
    )
    console_oidc_client_id: str | None = setting(
        "HOOKLINE_CONSOLE_OIDC_CLIENT_ID", values.text, None, "what the provider knows us by"
    )
    console_oidc_client_secret: str | None = setting(
        "HOOKLINE_CONSOLE_OIDC_CLIENT_SECRET",
        values.text,
        None,
        "the secret that it gave us; not set: a public client, by PKCE alone",
        secret=True,
    )
    console_oidc_operators: tuple[values.ClaimRule, ...] = setting(
        "HOOKLINE_CONSOLE_OIDC_OPERATORS",
        values.claim_rules,
        "",
        "who of those whom it knows is an operator: ada@example.com, @example.com or claim=value, comma-separated",
    )
    console_oidc_viewers: tuple[values.ClaimRule, ...] = setting(
        "HOOKLINE_CONSOLE_OIDC_VIEWERS", values.claim_rules, "", "who else may look, likewise"
    )
    console_oidc_scopes: tuple[str, ...] = setting(
        "HOOKLINE_CONSOLE_OIDC_SCOPES",
        values.names,
        "openid,email,profile",
        "what is asked for; a provider may want groups too",
    )
    console_oidc_allow: tuple[values.Network, ...] = setting(
        "HOOKLINE_CONSOLE_OIDC_ALLOW",
        values.networks,
        "",
        "addresses or networks at which it is called whatever they are, by http too: for a provider in the inner network",
    )
    sources_file: str = setting(
        "HOOKLINE_SOURCES", values.text, "sources.toml", "the sources' file; may be missing"
    )
    handlers: tuple[str, ...] = setting(
        "HOOKLINE_HANDLERS",
        values.names,
        "handlers",
        "modules or packages whose import registers the handlers",
    )
    queues: tuple[str, ...] = setting(
        "HOOKLINE_QUEUES", values.names, "high,default,low", "served in this order, without starving the last"
    )
    concurrency: int = setting(
        "HOOKLINE_CONCURRENCY", values.whole(1, 10_000), "100", "async jobs at a time in one worker process"
    )
    threads: int = setting(
        "HOOKLINE_THREADS", values.whole(1, 1_000), "32", "def jobs at a time in one worker process"
    )
    process_slots: int = setting(
        "HOOKLINE_PROCESS_SLOTS",
        values.slots,
        "cores",
        'isolation="process" jobs at a time in one worker process; cores: as many as it may use',
    )
    max_body: int = setting("HOOKLINE_MAX_BODY", values.parse_size, "1MiB", "larger bodies get 413")
    dedup_window: timedelta = setting(
        "HOOKLINE_DEDUP_WINDOW",
        values.duration(timedelta(seconds=1)),
        "72h",
        "an event id is remembered for so long",
    )
    lease: timedelta = setting(
        "HOOKLINE_LEASE",
        values.duration(timedelta(milliseconds=500)),
        "60s",
        "a job whose worker is silent this long is taken over",
    )
    sweep: timedelta = setting(
        "HOOKLINE_SWEEP",
        values.duration(timedelta(milliseconds=100)),
        "15s",
        "how often lost work is looked for",
    )
    shutdown_grace: timedelta = setting(
        "HOOKLINE_SHUTDOWN_GRACE",
        values.duration(timedelta(0)),
        "25s",
        "SIGTERM: running jobs may finish for so long, then go back to their queue",
    )
    callback_secrets: tuple[str, ...] | None = setting(
        "HOOKLINE_CALLBACK_SECRET",
        values.names,
        None,
        "whsec_…, comma-separated: every one signs, newest first; made in dev",
        secret=True,
    )
    api_key_callback_secrets: tuple[values.KeySecret, ...] = setting(
        "HOOKLINE_API_KEY_CALLBACK_SECRETS",
        values.key_secrets,
        "",
        "name:whsec_…, comma-separated: callbacks of jobs that came with the API key of that name are signed with these instead, newest first; the same for web and worker",
        secret=True,
    )
    callback_private_keys: tuple[str, ...] = setting(
        "HOOKLINE_CALLBACK_PRIVATE_KEY",
        values.optional_list,
        "",
        "whsk_… of ed25519, comma-separated: each adds a v1a signature, newest first, and its public half to the JWKS page",
        secret=True,
    )
    callback_schedule: tuple[timedelta, ...] = setting(
        "HOOKLINE_CALLBACK_SCHEDULE",
        parse_durations,
        "5s,5m,30m,2h,5h,10h,10h",
        "the waits between attempts, ±20 %",
    )
    callback_timeout: timedelta = setting(
        "HOOKLINE_CALLBACK_TIMEOUT",
        values.duration(timedelta(milliseconds=100)),
        "15s",
        "of one attempt, in all",
    )
    callback_allow: tuple[values.Network, ...] = setting(
        "HOOKLINE_CALLBACK_ALLOW",
        values.networks,
        "",
        "addresses or networks that are called whatever they are, by http too and on any port; loopback in dev",
    )
    callback_hosts: tuple[str, ...] = setting(
        "HOOKLINE_CALLBACK_HOSTS",
        values.hosts,
        "",
        "if set, callbacks go only to these hosts, such as *.make.com, and to what HOOKLINE_CALLBACK_ALLOW lists",
    )
    callback_ports: frozenset[int] = setting(
        "HOOKLINE_CALLBACK_PORTS", values.ports, "443,8443", "ports that callbacks may go to, by https"
    )
    callback_rate: float | None = setting(
        "HOOKLINE_CALLBACK_RATE",
        values.per_second,
        None,
        "the most that all worker processes send to one host, such as 30/s; not set: 30/s for Make and Zapier, for others no limit until they answer 429",
    )
    alert_url: str | None = setting(
        "HOOKLINE_ALERT_URL",
        values.url,
        None,
        "where troubles are sent, signed with HOOKLINE_CALLBACK_SECRET: once when one begins, once when it ends",
        secret=True,
    )
    retention: timedelta = setting(
        "HOOKLINE_RETENTION",
        values.duration(timedelta(seconds=1)),
        "7d",
        "finished records are kept for so long",
    )
    dead_retention: timedelta = setting(
        "HOOKLINE_DEAD_RETENTION",
        values.duration(timedelta(seconds=1)),
        "30d",
        "given-up records are kept for so long",
    )
    archive: str | None = setting(
        "HOOKLINE_ARCHIVE",
        values.text,
        None,
        "what is past retention is written there before it goes: a directory, or s3://bucket/prefix; not set: it goes",
    )
    files: str | None = setting(
        "HOOKLINE_FILES",
        values.text,
        None,
        "where uploads and artifacts are kept, for webs and workers alike: a directory, or s3://bucket/prefix; .hookline/files in dev",
    )
    max_file: int = setting(
        "HOOKLINE_MAX_FILE",
        values.parse_size,
        "100MiB",
        "larger uploads get 413, larger artifacts are refused",
    )
    file_retention: timedelta = setting(
        "HOOKLINE_FILE_RETENTION",
        values.duration(timedelta(days=1)),
        "30d",
        "uploads and artifacts are kept for so long",
    )
    playlists_song_time: timedelta = setting(
        "PLAYLISTS_SONG_TIME",
        values.duration(timedelta(0)),
        "0s",
        "the playlists' handler takes so much longer for a song, as a larger model would",
    )
    sales_file: str | None = setting(
        "REPORTS_SALES",
        values.text,
        None,
        "the CSV file of sales that reports are made of; not set: made-up ones",
    )
    dropbox_app_key: str | None = setting(
        "DROPBOX_APP_KEY", values.text, None, "reports are uploaded to Dropbox by this app", secret=True
    )
    dropbox_app_secret: str | None = setting(
        "DROPBOX_APP_SECRET", values.text, None, "its secret", secret=True
    )
    dropbox_refresh_token: str | None = setting(
        "DROPBOX_REFRESH_TOKEN",
        values.text,
        None,
        "what the account gave it; without these three, reports are kept as artifacts",
        secret=True,
    )
    dropbox_api_url: str = setting(
        "DROPBOX_API_URL", values.public_url, "https://api.dropboxapi.com", "where Dropbox takes calls"
    )
    dropbox_content_url: str = setting(
        "DROPBOX_CONTENT_URL", values.public_url, "https://content.dropboxapi.com", "where it takes files"
    )
    smtp_url: str | None = setting(
        "HOOKLINE_SMTP_URL",
        values.text,
        None,
        "handlers send e-mail through it: smtp://user:password@host:587",
        secret=True,
    )
    mail_from: str = setting(
        "HOOKLINE_MAIL_FROM", values.text, "hookline@localhost", "whom that e-mail is from"
    )
    mail_after: timedelta = setting(
        "HOOKLINE_MAIL_AFTER",
        values.duration(timedelta(0)),
        "1m",
        "work that was done sooner is not written about",
    )
    fireflies_api_key: str | None = setting(
        "FIREFLIES_API_KEY",
        values.text,
        None,
        "the Fireflies handler fetches transcripts with it",
        secret=True,
    )
    fireflies_api_url: str = setting(
        "FIREFLIES_API_URL", values.public_url, "https://api.fireflies.ai/graphql", "where it fetches them"
    )
    fireflies_organisation: str | None = setting(
        "FIREFLIES_ORGANISATION",
        values.text,
        None,
        "whose meetings Fireflies' are: they go on to transcripts.process; not set: they end as minutes",
    )
    fireflies_programme: str | None = setting(
        "FIREFLIES_PROGRAMME", values.text, None, "the programme that all of them belong to"
    )
    summaries_wait: timedelta = setting(
        "SUMMARIES_WAIT",
        values.duration(timedelta(0)),
        "10s",
        "a project's or a programme's summary waits so long for more meetings",
    )
    embeddings_url: str | None = setting(
        "EMBEDDINGS_URL",
        values.public_url,
        None,
        "what makes vectors of the transcripts' chunks: any server with OpenAI's /v1/embeddings, up to and without /v1; not set: chunks have none",
    )
    embeddings_key: str | None = setting("EMBEDDINGS_KEY", values.text, None, "its key", secret=True)
    embeddings_model: str = setting("EMBEDDINGS_MODEL", values.text, "text-embedding-3-small", "its model")
    replicate_api_token: str | None = setting(
        "REPLICATE_API_TOKEN",
        values.text,
        None,
        "recordings are transcribed at Replicate with it",
        secret=True,
    )
    replicate_model: str | None = setting(
        "REPLICATE_MODEL",
        values.text,
        None,
        "what does it: owner/name:version of a model that takes audio and gives segments, as openai/whisper does",
    )
    replicate_api_url: str = setting(
        "REPLICATE_API_URL", values.public_url, "https://api.replicate.com", "where it is asked"
    )
    durability: Literal["everysec", "always"] = setting(
        "HOOKLINE_DURABILITY",
        values.choice("everysec", "always"),
        "everysec",
        "always: 2xx only after the disk has the event; else as Redis is set up",
    )
    log: str = setting(
        "HOOKLINE_LOG",
        values.choice("debug", "info", "warning", "error"),
        "info",
        "the least level that is logged",
    )
    log_format: str = setting(
        "HOOKLINE_LOG_FORMAT",
        values.choice("json", "console"),
        "json",
        "one JSON line an event, or lines for people; console in dev",
    )
    traces: Literal["off", "otlp"] = setting(
        "HOOKLINE_TRACES",
        values.choice("off", "otlp"),
        "off",
        "otlp: spans go to a collector, where the OTEL_… variables say; needs the extra otel (docs/tracing.md)",
    )

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read and check the environment.

        Args:
            environ: where to look; the process's own environment when left out.

        Raises:
            SettingsError: one line that names the first wrong variable, never its value.
        """
        environ = os.environ if environ is None else environ
        found: dict[str, Any] = {}
        for known in fields(cls):
            variable = known.metadata["variable"]
            text = environ.get(variable, "")
            if text == "" and variable == "REDIS_URL":
                text = _redis_fallback(environ)
            if text == "" and variable == "HOOKLINE_CLIENT_HEADER":
                text = _client_header_here(environ)
            if text != "":
                try:
                    found[known.name] = known.metadata["parse"](text)
                except ValueError as error:
                    raise SettingsError(f"{variable}: {error}") from None
        return cls(**found)


def environment() -> dict[str, str]:
    """The process's variables as they are, for what composes processes and for the sources' table."""
    return dict(os.environ)


def documented_settings() -> list[Field[Any]]:
    """The fields of `Settings`, for the docs and for the test that compares them."""
    return list(fields(Settings))


def _client_header_here(environ: Mapping[str, str]) -> str:
    """What the proxy of the platform sets that we run on; empty where we know of none."""
    for variable, header in _CLIENT_HEADERS.items():
        if environ.get(variable):
            return header
    return ""


def _redis_fallback(environ: Mapping[str, str]) -> str:
    """Railway's older names: REDIS_PRIVATE_URL, then REDIS_HOST and REDIS_PORT."""
    if url := environ.get("REDIS_PRIVATE_URL", ""):
        return url
    if host := environ.get("REDIS_HOST", ""):
        literal = f"[{host}]" if ":" in host else host
        return f"redis://{literal}:{environ.get('REDIS_PORT') or '6379'}"
    return ""

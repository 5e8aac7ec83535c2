"""What web, worker and serve do first, and what they tell of it."""

import gc
import logging
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from infra import logs
from infra.clock import SystemClock
from infra.settings import Settings, SettingsError
from infra.signatures import callback_secrets_of
from infra.tracing import UNTRACED, Traces
from ingest.sources import Sources, load_sources

log = logging.getLogger(__name__)


def start(environ: Mapping[str, str], *, settings: Settings) -> Sources:
    """What web, worker and serve do first: the table of sources, the log, and what must be set.

    Raises:
        SettingsError: one line about what is wrong.
    """
    sources = load_sources(settings, environ)
    logs.configure(level=settings.log, log_format=settings.log_format, secrets=secrets_of(settings, sources))
    if not settings.secret_keys:
        raise SettingsError("HOOKLINE_SECRET_KEY: needed; any long random text, the same for web and worker")
    callback_secrets_of(settings, sources.callback_secrets)
    calling = [
        source.name for source in sources if source.callback_url is not None and not source.callback_secrets
    ]
    if not settings.callback_secrets and (calling or settings.api_keys or settings.alert_url):
        raise SettingsError(
            "HOOKLINE_CALLBACK_SECRET: needed where callbacks are possible; whsec_ and 24 to 64 bytes in base64"
        )
    return sources


def tell_start(settings: Settings, sources: Sources, port: int) -> None:
    """What an operator should see in the first lines of the log."""
    log.info("listening on port %d", port, extra={"sources": sorted(sources.by_name)})
    for name in sources.without_secret:
        log.warning("source %s has no secret: everything that it sends is refused", name)
    for name in sources.open_to_secrets:
        log.warning(
            "source %s lets anybody bring a secret: take handshake = open out when it is set up", name
        )
    for name in sources.outlasting(settings.dedup_window):
        log.warning(
            "source %s takes a signature for longer than HOOKLINE_DEDUP_WINDOW: an old request is new again",
            name,
        )
    for variable in sources.ignored:
        log.warning("%s reads like a source's key, and there is no such source", variable)
    if settings.public_url is None:
        log.info("HOOKLINE_PUBLIC_URL is not set: links are paths, and callbacks carry none")


def secrets_of(settings: Settings, sources: Sources) -> list[str]:
    """Everything that must never appear in a log."""
    found = [
        *(settings.secret_keys or ()),
        *(settings.callback_secrets or ()),
        *(entry.secret for entry in settings.api_key_callback_secrets),
        *settings.callback_private_keys,
        *(key.key for key in settings.api_keys),
        settings.console_password or "",
        *(user.password for user in settings.console_users),
        settings.console_oidc_client_secret or "",
    ]
    found += [secret for source in sources for secret in source.callback_secrets]
    found += [secret.decode("utf-8", "replace") for source in sources for secret in source.secrets]
    found += [
        token.decode("utf-8", "replace")
        for source in sources
        if source.handshakes is not None
        for token in source.handshakes.verify_tokens
    ]
    found += [settings.fireflies_api_key or "", _password(settings.smtp_url)]
    found += [_password(url) for url in (settings.redis_url, *settings.shards)]
    found += [
        settings.dropbox_app_key or "",
        settings.dropbox_app_secret or "",
        settings.dropbox_refresh_token or "",
    ]
    return [secret for secret in found if secret]


def _password(url: str | None) -> str:
    return unquote(urlsplit(url).password or "") if url else ""


def quiet_collector() -> None:
    """Let the garbage collector leave alone what was loaded at start, and look less often at what comes and goes.

    Requests and jobs leave hardly any cycles; a collection in their midst costs them milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def traces_of(settings: Settings, service: str) -> Traces:
    """Where spans go.

    Args:
        service: what this process calls itself.

    Raises:
        SettingsError: nowhere, without the extra.
    """
    if settings.traces == "off":
        return UNTRACED
    try:
        from infra.tracing.exported import to_collector
    except ModuleNotFoundError:
        raise SettingsError("HOOKLINE_TRACES: needs the extra: pip install '.[otel]'") from None
    return to_collector(service=service, clock=SystemClock())

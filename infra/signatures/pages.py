"""The pages of ``docs/providers``, made from the provider table: ``python -m infra.signatures.pages``, or ``make docs``.

A page says what an operator needs to set one sender up, and nothing that the table does not say. A test compares the
pages with what is made here.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from infra.signatures.providers import Provider, providers
from infra.signatures.scheme import Covers, Scheme

FOLDER: Final = Path(__file__).parents[2] / "docs" / "providers"

# What a source has to say where the table leaves the choice; how else it might say it stands in docs/sources.md.
_SPELLED_OUT: Final[Mapping[str, Mapping[str, str]]] = {
    "hmac": {"header": "X-Acme-Signature"},
    "keyed-hash": {"header": "X-Acme-Signature", "signed": "{secret}{body}"},
    "asymmetric": {"header": "X-Acme-Signature"},
    "jwt": {"algorithm": "RS256"},
    "body-signature": {"signature": "signature", "fields": "id"},
    "static": {"header": "X-Acme-Signature"},
}
_GRADES: Final = {
    "official": "official documents, samples or libraries",
    "third-party": "other people's code and documents, for the provider's own say too little",
    "own": "our own convention, for the provider signs nothing by itself",
}
_CALLBACKS: Final[Mapping[Covers, str]] = {
    "request": "A job's callback URL may stand in the configuration, in the body (`json:`) or in a header (`header:`).",
    "body": "A job's callback URL may stand in the configuration or in the body (`json:`), not in a header.",
    "fields": "A job's callback URL may stand in the configuration only: not all of the body is signed.",
    "nothing": "A job's callback URL may stand in the configuration only, and the answer has no `status_url`.",
}
_QUESTIONS: Final = {
    "echo-query": "a challenge in the address, which is sent back",
    "echo-json": "a challenge in the body, which is sent back",
    "keyed": "a text, which is sent back with its HMAC",
    "echo-header": "a header with the secret, which is sent back",
    "secret-in-body": "a body with the secret, which is answered with 200",
    "fixed": "a test of the address, which is answered",
    "visit": "an address to call, which is called",
}
_HEAD: Final = """\
# Providers

One page for each sender that Hookline knows: where to click there, what to set here, what is verified. They are made from
`infra/signatures/table/` by `make docs`. Providers move their buttons: where a way to click is out of date, the pages under
*Sources* are right. Whoever is not in this list: [add it](../sources.md#add-a-provider), or spell it out with
[hmac](hmac.md), [keyed-hash](keyed-hash.md), [asymmetric](asymmetric.md), [jwt](jwt.md), [body-signature](body-signature.md),
[static](static.md), [bearer](bearer.md), [basic](basic.md) or [url-secret](url-secret.md).

| provider | is |
| --- | --- |
"""


def pages(table: Mapping[str, Provider]) -> Mapping[str, str]:
    """The text of every page, by the name of its file.

    >>> sorted(pages({"github": providers()["github"]}))
    ['github.md', 'index.md']
    """
    rows = "".join(
        f"| [`{name}`]({name}.md) | {provider.title} |\n" for name, provider in sorted(table.items())
    )
    return {"index.md": _HEAD + rows} | {f"{name}.md": page(provider) for name, provider in table.items()}


def page(provider: Provider) -> str:
    """The page of one provider.

    >>> print(page(providers()["github"])[:8])
    # GitHub
    """
    parts = (
        f"# {provider.title}",
        "\n\n".join(_set_up(provider)),
        "## What is verified\n\n" + "\n".join(_verified(provider)),
        "## Its events\n\n" + "\n".join(f"- {line}" for line in _events(provider)),
        "## Sources\n\n" + "\n".join(_sources(provider)),
    )
    return "\n\n".join(parts) + "\n"


def _set_up(provider: Provider) -> Iterator[str]:
    name, scheme = provider.name, _scheme(provider, provider.scheme)
    variable = f"SOURCE_{name.replace('-', '_').upper()}"
    if provider.setup:
        yield f"At the provider: {provider.setup}"
    yield f"The address is `https://…/hooks/{name}`, with your own host. Here:"
    if scheme.needs_secret:
        lines = [f"{variable}_SECRET=…"]
        lines += [f"{variable}_{key.upper()}={value}" for key, value in _spelled_out(provider).items()]
        yield _block("sh", lines)
        yield f'Or in `sources.toml`; a source of another name says `provider = "{name}"` too:'
    table = [f"[{name}]{'' if scheme.needs_secret else '   # in `sources.toml`: there is no secret to set'}"]
    table += [f'secret = "env:{name.replace("-", "_").upper()}_SECRET"'] if scheme.needs_secret else []
    table += [f'{key} = "{value}"' for key, value in _spelled_out(provider).items()]
    if len(provider.schemes) > 1:
        others = [other for other in provider.schemes if other != provider.scheme]
        table.append(f'# scheme = "{others[0]}"' + (f"   # or {', '.join(others[1:])}" if others[1:] else ""))
    yield _block("toml", table)
    if provider.name in _SPELLED_OUT:
        yield "[All that it can say](../sources.md#spell-it-out), with an example."
    if scheme.needs_url:
        yield "The address is signed: `HOOKLINE_PUBLIC_URL` has to be what the provider calls, to the letter."
    if any(question["kind"] in ("echo-header", "secret-in-body") for question in provider.handshakes):
        yield (
            f"The provider makes the secret up: set `{variable}_HANDSHAKE=open` first, and "
            "[take it in](../sources.md#a-secret-that-the-provider-brings)."
        )
    if provider.notes:
        yield "\n".join(f"- {note}" for note in provider.notes)
    trial = f"Try it: `hookline send {name}`"
    if _has_key_pair(provider.schemes[provider.scheme]):
        trial += " with `--secret` and a private key as PEM, once the source has the public key that fits"
    yield (
        f"{trial}. If the answer is 401: `hookline sources diagnose {name}`."
        if scheme.needs_secret
        else f"{trial}."
    )


def _verified(provider: Provider) -> Iterator[str]:
    yield "| scheme | what | a signed moment | covers |"
    yield "| --- | --- | --- | --- |"
    covers = []
    for name in sorted(provider.schemes, key=lambda name: name != provider.scheme):
        scheme = _scheme(provider, name)
        several = len(provider.schemes) > 1
        default = " (default)" if several and name == provider.scheme else ""
        yield f"| `{name}`{default} | {_what(scheme)} | {_moment(scheme)} | `{scheme.covers}` |"
        if scheme.covers not in covers:
            covers.append(scheme.covers)
    yield ""
    if len(covers) == 1:
        yield _CALLBACKS[covers[0]]
    else:
        yield from (f"- `{each}`: {_CALLBACKS[each]}" for each in covers)


def _events(provider: Provider) -> Iterator[str]:
    scheme = _scheme(provider, provider.scheme)
    of_one = provider.batch
    if of_one is not None:
        yield f"Several in one body, the items of `{of_one.items}`, each an event of its own."
    ids = _listed((*(of_one.event_id if of_one else ()), *provider.event_id))
    if scheme.covers in ("request", "nothing"):
        other = "the `Idempotency-Key` header" if scheme.covers == "request" and of_one is None else ""
        otherwise = f"{other}; without one, each request is a new event" if other else "each is a new event"
    else:
        otherwise = "the signed content" if getattr(scheme, "identifies", True) else "each is a new event"
    yield f"Known by: {ids}; else {otherwise}." if ids else f"Known by: {otherwise}."
    types = _listed((*(of_one.event_type if of_one else ()), *provider.event_type))
    yield f"Type: {types or 'none, so it is `event` unless the source has an `event_type`'}."
    yield (
        "Body: strict JSON."
        if provider.body == "json"
        else "Body: anything; JSON where its content type says so."
    )
    for question in provider.handshakes:
        if question.get("for_each_event"):
            yield "Each event that is stored is answered as the provider wants it."
        else:
            signed = "signed" if question["signed"] else "not signed"
            yield f"Asks, by {question['method']} ({signed}): {_QUESTIONS[question['kind']]}."
    yield f"Waits for an answer: {provider.answers_within or 'not known'}."
    yield f"Sends again: {provider.retries or 'not known.'}"
    if scheme.needs_secret:
        yield f"Rotation: {provider.rotation or 'give both secrets, comma-separated, while the sender changes.'}"


def _sources(provider: Provider) -> Iterator[str]:
    yield f"Read in {_GRADES[provider.grade]}:\n"
    yield from (
        f"- <{source}>" if source.startswith("https://") else f"- {source}" for source in provider.sources
    )


def _scheme(provider: Provider, name: str) -> Scheme:
    return provider.build_scheme(name, _spelled_out(provider))


def _spelled_out(provider: Provider) -> Mapping[str, str]:
    return _SPELLED_OUT.get(provider.name, {})


def _has_key_pair(parameters: Mapping[str, Any]) -> bool:
    """Whether the provider alone can sign as it does."""
    algorithm = str(parameters.get("algorithm", ""))
    return parameters["family"] in ("asymmetric", "graph", "sns") or (
        parameters["family"] == "jwt" and not algorithm.startswith("HS")
    )


def _what(scheme: Scheme) -> str:
    how = [scheme.summary]
    encoding, prefix = getattr(scheme, "encoding", ""), getattr(scheme, "prefix", "")
    how += [encoding] if encoding and "static" not in scheme.summary else []
    how += [f"after `{prefix}`"] if prefix else []
    word = getattr(scheme, "auth_scheme", "")
    how += [f"after `{word}`"] if word and word[0].isupper() else []
    return ", ".join(how).replace("|", "\\|")


def _moment(scheme: Scheme) -> str:
    if not scheme.has_timestamp:
        return "none"
    past: timedelta | None = getattr(scheme, "tolerance", None)
    future: timedelta | None = getattr(scheme, "tolerance_future", None)
    if past is None:
        return "yes"
    return f"at most {_words(past)} away" + (f", {_words(future)} ahead" if future else "")


def _words(duration: timedelta) -> str:
    """As a source would spell it.

    >>> _words(timedelta(minutes=5)), _words(timedelta(days=1)), _words(timedelta(seconds=5))
    ('5m', '1d', '5s')
    """
    for unit, size in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1))):
        if duration % size == timedelta(0):
            return f"{duration // size}{unit}"
    return f"{duration.total_seconds():g}s"


def _listed(expressions: tuple[str, ...]) -> str:
    return ", else ".join(f"`{text}`" for text in expressions)


def _block(language: str, lines: list[str]) -> str:
    return f"```{language}\n" + "\n".join(lines) + "\n```"


def write(folder: Path) -> None:
    """Write the pages, and remove those of providers that are gone."""
    made = pages(providers())
    folder.mkdir(parents=True, exist_ok=True)
    for stray in set(folder.glob("*.md")) - {folder / name for name in made}:
        stray.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER)

"""Events as GitHub would sign them: 2 KiB of JSON, every one different, with its delivery's id."""

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECRET = "benchmark-secret-of-32-characters"
PATH = "/hooks/bench"
BODY_BYTES = 2048

_BASE = 10**11  # every number has twelve digits, so every body has the same length
_SLOT = b'"number":%d' % _BASE


@dataclass(frozen=True, slots=True)
class Event:
    """One request: its body, its headers."""

    body: bytes
    headers: dict[str, str]


def source_variables(*, callback_url: str | None = None) -> dict[str, str]:
    """What makes Hookline's web process know the source."""
    variables = {"SOURCE_BENCH_PROVIDER": "github", "SOURCE_BENCH_SECRET": SECRET}
    return variables | ({} if callback_url is None else {"SOURCE_BENCH_CALLBACK_URL": callback_url})


def events(count: int, *, kind: str = "push", first: int = 1) -> Iterator[Event]:
    """So many different events, numbered from `first`."""
    template = _template()
    for number in range(first, first + count):
        body = template.replace(_SLOT, b'"number":%d' % (_BASE + number))
        yield Event(
            body,
            {
                "Content-Type": "application/json",
                "User-Agent": "GitHub-Hookshot/044aadd",
                "X-GitHub-Event": kind,
                "X-GitHub-Delivery": f"72d3162e-cc78-11e3-81ab-{number:012d}",
                "X-Hub-Signature-256": "sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex(),
            },
        )


def request_of(event: Event) -> bytes:
    """The request as it goes over the wire."""
    lines = [f"POST {PATH} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(event.body)}"]
    lines += [f"{name}: {value}" for name, value in event.headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + event.body


def write_requests(path: Path, count: int) -> None:
    """A file of requests, one behind the other, all of one length."""
    with path.open("wb") as file:
        for event in events(count):
            file.write(request_of(event))


def _template() -> bytes:
    """A push, as small as GitHub's are large: the same shape, cut to size."""
    push = {
        "ref": "refs/heads/main",
        "number": _BASE,
        "before": "0" * 40,
        "after": "f" * 40,
        "repository": {"id": 186853002, "name": "hookline", "private": False, "owner": {"login": "octocat", "id": 21031067}},
        "pusher": {"name": "octocat", "email": "octocat@example.com"},
        "commits": [
            {"id": f"{number:040x}", "message": f"Change {number}", "distinct": True, "added": []}
            for number in range(9)
        ],
        "filler": "",
    }  # fmt: skip
    text = json.dumps(push, separators=(",", ":"))
    push["filler"] = "x" * (BODY_BYTES - len(text))
    return json.dumps(push, separators=(",", ":")).encode()

"""Signed links to a job's files: each names one file and says what it is, expires, and survives the rotation of ``HOOKLINE_SECRET_KEY``."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote

import msgspec
from itsdangerous import BadData, URLSafeSerializer

from infra.clock import Clock, rfc3339
from infra.files.errors import FileMissing
from infra.files.places import Kept


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a job made, as its result and the API show it.

    Args:
        url: from which anyone may load it until `expires_at`; a path where there is no public address.
        size: in bytes.
        sha256: in hex.
        expires_at: RFC 3339.
    """

    name: str
    url: str
    size: int
    sha256: str
    content_type: str
    expires_at: str


class Linked(msgspec.Struct, array_like=True, frozen=True):
    """What a link says."""

    job_id: str
    name: str
    content_type: str
    size: int
    sha256: str
    until: int


class ArtifactLinks:
    """Makes and checks them.

    Args:
        secret_keys: newest first; the newest signs, all are accepted.
        public_url: where links begin; None: they are paths.

    >>> from datetime import UTC, datetime
    >>> from infra.clock import ManualClock
    >>> clock = ManualClock(datetime(2026, 11, 22, tzinfo=UTC))
    >>> links = ArtifactLinks(["k"], public_url="https://hooks.example.com", ttl=timedelta(days=7), clock=clock)
    >>> made = links.artifact("job_1", "report.pdf", "application/pdf", Kept(3, "abc"))
    >>> made.url.startswith("https://hooks.example.com/artifacts/job_1/report.pdf?token=")
    True
    >>> links.read("job_1", "report.pdf", made.url.split("token=")[1]).size
    3
    """

    def __init__(
        self, secret_keys: Sequence[str], *, public_url: str | None, ttl: timedelta, clock: Clock
    ) -> None:
        self._signer = URLSafeSerializer(
            list(secret_keys[::-1]),
            salt="hookline.artifact",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )
        self._public_url = public_url or ""
        self._ttl = ttl
        self._clock = clock

    def artifact(self, job_id: str, name: str, content_type: str, kept: Kept) -> Artifact:
        """A file that was kept, with a link to it."""
        until = self._clock.now() + self._ttl
        said = Linked(job_id, name, content_type, kept.size, kept.sha256, int(until.timestamp()))
        token = self._signer.dumps(msgspec.to_builtins(said))
        return Artifact(
            name=name,
            url=f"{self._public_url}/artifacts/{job_id}/{quote(name)}?token={token}",
            size=kept.size,
            sha256=kept.sha256,
            content_type=content_type,
            expires_at=rfc3339(until),
        )

    def read(self, job_id: str, name: str, token: str) -> Linked:
        """What a link says, if it holds for this file.

        Raises:
            FileMissing: it does not, or no longer.
        """
        try:
            said = msgspec.convert(self._signer.loads(token), Linked)
        except (BadData, msgspec.ValidationError):
            raise FileMissing("the link is not valid") from None
        if (said.job_id, said.name) != (job_id, name):
            raise FileMissing("the link is for another file")
        if said.until < self._clock.now().timestamp():
            raise FileMissing("the link has expired")
        return said

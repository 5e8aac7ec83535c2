"""Signed links to one job or one batch: they expire, read only that, cancel the job where that was asked for, and survive the rotation of ``HOOKLINE_SECRET_KEY``.

The token is ``{job}.{time}.{signature}``, or ``{job}-cancel.…``, by itsdangerous, SHA-256, with a key derived for this purpose alone. Its text has
more than one spelling (base64 leaves some bits of the last character open), so nothing may be revoked by it.

HooklineError
└── LinkError           the token is not ours, was changed, or has expired
    ├── LinkElsewhere   it is good, for another job
    └── LinkPowerless   it is good, for reading only
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache

from itsdangerous import BadSignature, TimestampSigner
from itsdangerous.encoding import int_to_bytes, want_bytes

from infra.clock import Clock
from infra.errors import HooklineError
from infra.keyed_hmac import KeyedHMAC
from infra.url_safe import url_safe

_MAY_CANCEL = "-cancel"
_SKEW = timedelta(minutes=1)  # between the processes that make and check a link


class LinkError(HooklineError):
    """The token proves nothing."""


class LinkElsewhere(LinkError):
    """The token is good, for another job."""


class LinkPowerless(LinkError):
    """The token is good, for reading only."""


class Links:
    """Makes and checks the links that we hand out.

    Args:
        secret_keys: newest first; the newest signs, all are accepted.
        public_url: where links begin; None: they are paths.

    Raises:
        ValueError: there is no secret key.

    >>> from datetime import UTC, datetime
    >>> from infra.clock import ManualClock
    >>> clock = ManualClock(datetime(2026, 11, 21, tzinfo=UTC))
    >>> links = Links(["k"], public_url="https://hooks.example.com", ttl=timedelta(days=7), clock=clock)
    >>> url = links.status_url("job_1")
    >>> url.startswith("https://hooks.example.com/jobs/job_1?token=job_1.")
    True
    >>> links.check("job_1", url.split("token=")[1])
    >>> links.check("job_1", links.status_url("job_1", cancel=True).split("token=")[1], cancel=True)
    >>> links.check("job_2", url.split("token=")[1])
    Traceback (most recent call last):
        ...
    infra.links.LinkElsewhere: the link is for another job
    """

    def __init__(
        self, secret_keys: Sequence[str], *, public_url: str | None, ttl: timedelta, clock: Clock
    ) -> None:
        if not secret_keys:
            raise ValueError("links need at least one secret key")
        keys = [
            hashlib.blake2s(key.encode(), person=b"hl.link", digest_size=32).digest() for key in secret_keys
        ]
        self._signer = _Signer(keys[::-1], clock)
        self._public_url = public_url
        self._ttl = ttl
        self._clock = clock

    def status_url(self, job_id: str, *, cancel: bool = False) -> str:
        """Where that job can be read, and canceled if so asked: a URL with a public address, else a path."""
        token = self._signer.sign(job_id + (_MAY_CANCEL if cancel else "")).decode()
        return f"{self._public_url or ''}/jobs/{job_id}?token={token}"

    def batch_url(self, batch_id: str) -> str:
        """Where that batch can be read, likewise."""
        return f"{self._public_url or ''}/batches/{batch_id}?token={self._signer.sign(batch_id).decode()}"

    def part_urls(self, job_ids: Iterable[str], *, token: str | None) -> list[str]:
        """Where the jobs of a batch can be read, and no more.

        Args:
            token: of the link to the batch, checked before: theirs work for as long as it does. None: as long as any.
        """
        at = None if token is None else int(self._signer.unsign(token, return_timestamp=True)[1].timestamp())
        signed = [(job_id, self._signer.sign(job_id, at=at).decode()) for job_id in job_ids]
        return [f"{self._public_url or ''}/jobs/{job_id}?token={token}" for job_id, token in signed]

    def check(self, job_id: str, token: str, *, cancel: bool = False) -> None:
        """Return if the token lets its bearer read that job, or cancel it; or read that batch.

        Raises:
            LinkElsewhere: it is for another job or batch.
            LinkPowerless: it may read that job only.
            LinkError: it is not good, or not any more.
        """
        try:
            named, signed_at = self._signer.unsign(token, return_timestamp=True)
        except (BadSignature, ValueError, OverflowError, OSError):
            raise LinkError("the link is not valid") from None
        age = self._clock.now() - signed_at
        if not -_SKEW <= age <= self._ttl:
            raise LinkError("the link has expired")
        named_job, power, _ = named.decode("latin-1").partition(_MAY_CANCEL)
        if named_job != job_id:
            raise LinkElsewhere("the link is for another job")
        if cancel and not power:
            raise LinkPowerless("the link may only read the job")


class _Signer(TimestampSigner):
    """Takes the time from a clock of ours. Its keys are given oldest first."""

    def __init__(self, keys: Sequence[bytes], clock: Clock) -> None:
        super().__init__(keys, digest_method=hashlib.sha256, key_derivation="none")
        self._newest = KeyedHMAC(self.secret_key, "sha256")
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock.now().timestamp())

    def sign(self, value: str | bytes, *, at: int | None = None) -> bytes:
        """As itsdangerous does, in a third of the time: every accepted event is answered with a link.

        Args:
            at: when, in Unix seconds; now, if left out.
        """
        dated = b"%b.%b" % (want_bytes(value), _written(self.get_timestamp() if at is None else at))
        return b"%b.%b" % (dated, url_safe(self._newest.digest(dated)))


@lru_cache(maxsize=1)
def _written(timestamp: int) -> bytes:
    return url_safe(int_to_bytes(timestamp))

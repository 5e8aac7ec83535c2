"""Who may do what: API keys with scopes, and signed links that read one job, or cancel it."""

from collections.abc import Sequence
from hmac import compare_digest

from infra.links import LinkElsewhere, LinkError, LinkPowerless, Links
from infra.setting_values import ApiKey, Scope
from infra.signatures import Headers
from ingest.problems import NOT_FOUND, SCOPE_MISSING, UNAUTHORIZED, Problem

LINK = "link"  # how a timeline names whoever bears a link


class Keys:
    """Checks the credentials of API calls."""

    def __init__(self, keys: Sequence[ApiKey], links: Links) -> None:
        self._keys = [(key.key.encode(), key) for key in keys]
        self._links = links

    def require(self, headers: Headers, scope: Scope) -> ApiKey:
        """The key that was sent, if it may do this.

        Raises:
            Problem: 401 without a key of ours, 403 where it lacks the scope.
        """
        key = self._known(headers)
        if scope not in key.scopes:
            raise Problem(SCOPE_MISSING, f"It lacks the scope {scope!r}.")
        return key

    def recognise(self, headers: Headers, token: str | None) -> None:
        """Return if this caller has some key, or some link, of ours: what it may do with it is asked later.

        Raises:
            Problem: 401.
        """
        if token is None:
            self._known(headers)
            return
        try:
            self._links.check("", token, cancel=False)
        except LinkElsewhere:
            return
        except LinkError:
            raise Problem(UNAUTHORIZED) from None

    def may_read(self, job_id: str, headers: Headers, token: str | None) -> None:
        """Return if this caller may read this job.

        Raises:
            Problem: 401 or 403; 404 where the link is for another job.
        """
        if token is None:
            self.require(headers, "read")
        else:
            self._check_link(job_id, token, cancel=False)

    def may_cancel(self, job_id: str, headers: Headers, token: str | None) -> str:
        """Who this caller is, if it may cancel this job: the name of a key, or `LINK`.

        Raises:
            Problem: 401 or 403; 404 where the link is for another job.
        """
        if token is None:
            return self.require(headers, "operate").name
        self._check_link(job_id, token, cancel=True)
        return LINK

    def link_may_cancel(self, job_id: str, token: str) -> bool:
        """Whether the bearer of a link, who may read this job, may cancel it too."""
        try:
            self._check_link(job_id, token, cancel=True)
        except Problem:
            return False
        return True

    def _known(self, headers: Headers) -> ApiKey:
        word, _, sent = (headers.get("authorization") or "").partition(" ")
        found = [key for secret, key in self._keys if compare_digest(secret, sent.strip().encode())]
        if word.lower() != "bearer" or not found:
            raise Problem(UNAUTHORIZED)
        return found[0]

    def _check_link(self, job_id: str, token: str, *, cancel: bool) -> None:
        try:
            self._links.check(job_id, token, cancel=cancel)
        except LinkElsewhere:
            raise Problem(NOT_FOUND) from None
        except LinkPowerless:
            raise Problem(SCOPE_MISSING, "The link may read the job, not cancel it.") from None
        except LinkError:
            raise Problem(UNAUTHORIZED) from None

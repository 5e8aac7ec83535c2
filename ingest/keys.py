"""Who may do what: API keys with scopes, and signed links that read one job."""

from collections.abc import Sequence
from hmac import compare_digest

from infra.links import LinkElsewhere, LinkError, Links
from infra.settings import ApiKey, Scope
from infra.signatures import Headers
from ingest import problems


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
        word, _, sent = (headers.get("authorization") or "").partition(" ")
        found = [key for secret, key in self._keys if compare_digest(secret, sent.strip().encode())]
        if word.lower() != "bearer" or not found:
            raise problems.unauthorized()
        if scope not in found[0].scopes:
            raise problems.scope_missing(scope)
        return found[0]

    def may_read(self, job_id: str, headers: Headers, token: str | None) -> None:
        """Return if this caller may read this job.

        Raises:
            Problem: 401 or 403; 404 where the link is for another job.
        """
        if token is None:
            self.require(headers, "read")
            return
        try:
            self._links.check(job_id, token)
        except LinkElsewhere:
            raise problems.not_found("job") from None
        except LinkError:
            raise problems.unauthorized() from None

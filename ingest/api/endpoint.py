"""One address of the API, as an ASGI application: no request object on the way."""

from typing import ClassVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ingest.problems import Problem


class Endpoint:
    """What answers some methods of one address. A subclass says which, and how; whatever it refuses it raises as a `Problem`.

    ``Route("/jobs/{id}", ReadJob(…))`` in `ingest.addresses` makes it one; `Methods` puts two at the same address. What the path
    holds is in ``scope["path_params"]``, and `ingest.api.query` reads what stands behind the ``?``.

    >>> from ingest.replies import text_reply
    >>> class Hello(Endpoint):
    ...     methods = ("GET", "HEAD")
    ...
    ...     async def answer(self, scope: Scope, _: Receive) -> Response:
    ...         return text_reply(f"hello {scope['path_params']['name']}")
    """

    methods: ClassVar[tuple[str, ...]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in self.methods:
            raise Problem.method_not_allowed(*self.methods)
        response = await self.answer(scope, receive)
        await response(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, /) -> Response:
        """The response to one request, whose method is one of `methods`.

        Raises:
            Problem: it is refused.
            LedgerError: Redis does not answer; that becomes a 503.
            ClientGone: there is nobody to answer.
        """
        raise NotImplementedError


class Methods:
    """Endpoints that share an address, each with methods of its own."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self._endpoints = {method: endpoint for endpoint in endpoints for method in endpoint.methods}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get(scope["method"])
        if endpoint is None:
            raise Problem.method_not_allowed(*self._endpoints)
        await endpoint(scope, receive, send)

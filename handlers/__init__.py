"""The author API: what a file of handlers imports, and all it needs to.

>>> from handlers import Context, Reject, RetryLater, handler

Put a file of handlers into this package, or name a package of your own in ``HOOKLINE_HANDLERS``; the guide is
``docs/handlers.md``. The engine's own modules stand beside the handlers and register none.
"""

from handlers.context import Context
from handlers.errors import Reject, RetryLater
from handlers.registry import handler

__all__ = ["Context", "Reject", "RetryLater", "handler"]

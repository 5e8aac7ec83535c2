"""A client for programs in Python: submit jobs, wait for them, watch them, steer them.

>>> from infra.client import AsyncClient, Client, ClientError, Job, Refused

`Client` blocks, `AsyncClient` is awaited; both say the same words. What operators ask for is in `operations`.
``docs/client.md`` has the examples.

HooklineError
└── ClientError
    ├── NotReached     no answer, after all tries
    └── Refused        an answer that is no 2xx
        └── NotFound   there is no such thing, or it is someone else's
"""

from infra.client import operations
from infra.client.asynchronous import AsyncClient
from infra.client.blocking import Client
from infra.client.errors import ClientError, NotFound, NotReached, Refused
from infra.client.models import (
    Attempt,
    Batch,
    Callback,
    Event,
    Fault,
    File,
    Job,
    Post,
    Progress,
    Receipt,
    Update,
)

__all__ = [
    "AsyncClient",
    "Attempt",
    "Batch",
    "Callback",
    "Client",
    "ClientError",
    "Event",
    "Fault",
    "File",
    "Job",
    "NotFound",
    "NotReached",
    "Post",
    "Progress",
    "Receipt",
    "Refused",
    "Update",
    "operations",
]

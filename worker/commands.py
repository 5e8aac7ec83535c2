"""What a worker may be told while it runs: on our own channel, and on RQ's for this worker (``rq/command.py``).

Either way it is a word and, for some, whom it is about: ``schedule``, ``outbox`` and ``replay`` (something there is due sooner
than was thought), ``orders`` (an operator wants something else than before), ``canceled`` (this job was; it has ended already), ``cancel`` (this job is to be), ``swept`` (by that sweeper),
``stop`` (the worker), ``kill`` (its children). A message that gets lost costs lateness only: a worker looks by itself once
in a while.
"""

import json
from typing import NamedTuple


class Told(NamedTuple):
    """One message, understood; an empty word for one that is not."""

    word: str = ""
    about: str = ""


def told(message: bytes) -> Told:
    """A message of our own scripts.

    >>> told(b"schedule"), told(b"cancel job_1")
    (Told(word='schedule', about=''), Told(word='canceled', about='job_1'))
    """
    word, _, about = message.decode("utf-8", "replace").partition(" ")
    if word == "cancel":
        return Told("canceled", about)
    return Told(word, about) if word in ("schedule", "outbox", "replay", "orders", "swept") else Told()


def told_by_rq(message: bytes) -> Told:
    """A command of RQ's.

    >>> told_by_rq(b'{"command": "stop-job", "job_id": "job_1"}'), told_by_rq(b'{"command": "shutdown"}')
    (Told(word='cancel', about='job_1'), Told(word='stop', about=''))
    """
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        return Told()
    match said:
        case {"command": "stop-job" | "stop-execution", "job_id": str(job_id)}:
            return Told("cancel", job_id)
        case {"command": "shutdown"}:
            return Told("stop")
        case {"command": "kill-horse"}:
            return Told("kill")
    return Told()

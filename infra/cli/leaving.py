"""Ending a process without waiting for threads that are not ours to wait for."""

import logging
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End the process now: what was said is written; threads, such as handlers' that outlived their timeout, are not waited for."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

"""A child of ``hookline dev`` ends with its parent, even if that is killed: its standard input closes then."""

import os
import signal
import sys
import threading


def end_with_parent() -> None:
    """Stop this process in order as soon as standard input ends."""

    def wait() -> None:
        while sys.stdin.buffer.read(1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()

"""A child of ``hookline dev`` ends with its parent, even if that is killed: its standard input closes then."""

import os
import signal
import threading


def end_with_parent() -> None:
    """Stop this process in order as soon as standard input ends."""

    def wait() -> None:
        while os.read(
            0, 1024
        ):  # not sys.stdin: its lock, held by a thread, is fatal at the interpreter's end
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()

"""The guardian of an embedded server: a tiny process that outlives its parent just long enough to stop the server.

It runs as a plain script (``python -I -S embedded_guard.py LOCK SCRATCH COMMAND…``), imports nothing of ours, and lives
in a session of its own, so that Ctrl-C in the terminal reaches neither it nor the server. Its standard input is a pipe
whose other end only the parent holds: end of file means that the parent has gone, however it went.

- LOCK: the locked file that says "a server works on this data". The server inherits it, so the lock is free exactly
  when both have ended.
- SCRATCH: a directory to remove at the end, or empty.
- COMMAND: the server, in the foreground.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL. The append-only file survives either."""


def main(arguments: list[str]) -> int:
    """Start the server, wait for its end or the parent's, and answer with the server's exit status."""
    lock, scratch, *command = arguments
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(int(lock),))  # noqa: S603  our own words
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    threading.Thread(target=_stop_after_parent, args=(server,), daemon=True).start()
    status = server.wait()
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)
    return status if status >= 0 else 128 - status


def _stop_after_parent(server: "subprocess.Popen[bytes]") -> None:
    os.read(0, 1)  # not sys.stdin, whose lock would break an exit while we wait here
    server.terminate()
    time.sleep(GRACE)
    server.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

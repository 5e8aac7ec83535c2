"""The processes of `hookline dev`: started, restarted when a file changes, stopped in order.

A child runs in a session of its own, so that Ctrl-C reaches only us and we stop things in order; its standard input is a
pipe from us, so that it ends with us even if we are killed (`infra.cli.parent`).
"""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

_PATIENCE_SECONDS = 40


class Children:
    """Some ``hookline`` processes, in the order in which they are started."""

    def __init__(self, commands: Sequence[Sequence[str]], environ: Mapping[str, str]) -> None:
        self._commands = commands
        self._environ = dict(environ)
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start them all."""
        for command in self._commands:
            self._processes.append(
                subprocess.Popen(  # noqa: S603 - our own words
                    [sys.executable, "-m", "infra.cli", *command, "--with-parent"],
                    env=self._environ,
                    stdin=subprocess.PIPE,
                    start_new_session=True,
                )
            )

    def stop(self) -> None:
        """Stop them one after the other, each given the time that it needs: web first, so that nothing new comes in."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._processes.clear()

    def restart(self) -> None:
        """Stop them, and start them again with the code as it is now."""
        self.stop()
        self.start()

    def ended(self) -> list[int]:
        """The exit codes of those that ended by themselves."""
        return [process.returncode for process in self._processes if process.poll() is not None]

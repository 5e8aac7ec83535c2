"""Wall clocks that are off, or jump, for single processes of a test."""

import struct
import subprocess
from datetime import timedelta
from pathlib import Path

SOURCE = Path(__file__).with_name("skew.c")


class WallClock:
    """What a process that is started with `environ` takes for the time: the machine's, off by what `set` said last.

    Only the wall clock: what counts seconds for timeouts goes on as before, as when somebody sets a machine's time.

    Args:
        directory: for the library and the file that all these processes look at.
        compiler: of C.
    """

    def __init__(self, directory: Path, *, compiler: str) -> None:
        library, self._skew = directory / "skew.so", directory / "skew"
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)], check=True)
        self._skew.write_bytes(bytes(8))
        self.environ = {"LD_PRELOAD": str(library), "SKEW": str(self._skew)}

    def set(self, off_by: timedelta) -> None:
        with self._skew.open("r+b") as file:
            file.write(struct.pack("=q", round(off_by.total_seconds())))

"""When each job ran: a file to which handlers append their number and the time.

One write(2) of 16 bytes a job, on a descriptor opened for appending: whole from any thread and any process, and about a
microsecond, the same for every contender. Only the standard library: peers import this in environments of their own.
"""

import os
import struct
import time
from pathlib import Path

_MARK = struct.Struct("<qq")


class Marks:
    """One file of marks.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     marks = Marks(Path(folder) / "marks")
    ...     marks.put(7)
    ...     marks.count, [number for number, _ in marks.read()]
    (1, [7])
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def put(self, number: int) -> None:
        """It happened now."""
        os.write(self._file, _MARK.pack(number, time.monotonic_ns()))

    @property
    def count(self) -> int:
        """How many marks there are."""
        return self._path.stat().st_size // _MARK.size

    def read(self) -> list[tuple[int, float]]:
        """Every number with its moment, in seconds of the monotonic clock."""
        whole = self.count * _MARK.size
        return [(number, at / 1e9) for number, at in _MARK.iter_unpack(self._path.read_bytes()[:whole])]

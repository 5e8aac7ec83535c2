"""A bucket that speaks S3, in a process of its own: moto's server, with everything in memory."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import httpx

from tests.acceptance.builders import free_port
from tests.conftest import Spawned, missing, spawning

NAME = "hookline-files"


@dataclass
class Bucket:
    """The bucket and the server that has it."""

    url: str
    process: Spawned

    @property
    def variables(self) -> dict[str, str]:
        """What web and worker have to be told of it."""
        return {
            "HOOKLINE_FILES": f"s3://{NAME}/kept",
            "AWS_ENDPOINT": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "stand-in",
            "AWS_SECRET_ACCESS_KEY": "stand-in-secret",
        }

    def holds(self) -> list[str]:
        """The keys of what is in it."""
        listed = httpx.get(f"{self.url}/{NAME}?list-type=2", trust_env=False).text
        return [part.partition("</Key>")[0] for part in listed.split("<Key>")[1:]]


@contextmanager
def bucket(directory: Path) -> Iterator[Bucket]:
    """An empty one, gone at the end."""
    if find_spec("moto") is None:
        missing("no stand-in for S3: moto")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with spawning(directory) as start:
        server = start(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
        server.wait_for_output("Running on")
        httpx.put(f"{url}/{NAME}", trust_env=False).raise_for_status()
        yield Bucket(url, server)

"""Hosts for processes that are apart: network namespaces with a cable each, that can be pulled.

Where a machine lets nobody make namespaces, as most containers, hosts are addresses of its loopback, and a cable is a program that passes
bytes on.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from tests.acceptance.builders import PROJECT
from tests.conftest import Spawned

Request = tuple[str, str, str | None, dict[str, str]]

# On the sender's host: sends what stdin lists, and prints status and answer of each.
SENDER: Final = """
import json, sys, httpx
with httpx.Client(trust_env=False, timeout=20) as client:
    for line in sys.stdin:
        method, url, body, headers = json.loads(line)
        try:
            answer = client.request(method, url, content=body, headers=headers)
            told = answer.status_code, answer.json()
        except httpx.HTTPError as error:
            told = 0, type(error).__name__
        print(json.dumps(told), flush=True)
"""


class Hosts(Protocol):
    """Hosts on one switch, none of which is the tests' own; each may listen on one port."""

    def plug_in(self) -> None:
        """Raises OSError or CalledProcessError: this machine does not let us."""

    def unplug(self) -> None:
        """The end of all of them."""

    def pull(self, name: str) -> None:
        """Pull the host's cable: nothing that it sends or that is sent to it arrives, and nobody is told."""

    def put_back(self, name: str) -> None: ...

    def listens(self, name: str) -> tuple[str, int]:
        """The address and the port on which a host may listen."""

    def way(self, name: str, to: str) -> str:
        """How one host names another, with its port."""

    def within(self, name: str, *command: str) -> Sequence[str]:
        """What starts a command on a host."""


def run(
    hosts: Hosts, start: Callable[..., Spawned], name: str, *command: str, said: str, env: Mapping[str, str]
) -> None:
    """Start a command on a host, and return once it has said that."""
    start(*hosts.within(name, *command), env=env, cwd=PROJECT).wait_for_output(said)


def ask(hosts: Hosts, name: str, requests: list[Request]) -> list[Any]:
    """Send requests from a host, one after the other; the status and the answer of each, 0 where there was none."""
    done = subprocess.run(
        hosts.within(name, sys.executable, "-c", SENDER),
        input="\n".join(map(json.dumps, requests)), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


class Namespaces:
    """Network namespaces, at 10.77.0.0/24."""

    _PORT: Final = 8000
    _SWITCH: Final = "switch"

    def __init__(self, names: Sequence[str]) -> None:
        self._mark = f"hl{os.getpid()}"
        self._made: list[str] = []
        self._addresses = {name: f"10.77.0.{place}" for place, name in enumerate(names, start=1)}

    def plug_in(self) -> None:
        self._add(self._SWITCH)
        self._ip(self._SWITCH, "link", "add", "bridge", "type", "bridge")
        self._ip(self._SWITCH, "link", "set", "bridge", "up")
        for name, address in self._addresses.items():
            self._add(name)
            peer = ("peer", "name", "eth0", "netns", self._namespace(name))
            self._ip(self._SWITCH, "link", "add", name, "type", "veth", *peer)
            self._ip(self._SWITCH, "link", "set", name, "master", "bridge", "up")
            self._ip(name, "address", "add", f"{address}/24", "dev", "eth0")
            self._ip(name, "link", "set", "eth0", "up")
            self._ip(name, "link", "set", "lo", "up")

    def unplug(self) -> None:
        for name in reversed(self._made):
            subprocess.run(["ip", "netns", "del", self._namespace(name)], check=False, capture_output=True)

    def pull(self, name: str) -> None:
        self._ip(self._SWITCH, "link", "set", name, "down")

    def put_back(self, name: str) -> None:
        self._ip(self._SWITCH, "link", "set", name, "up")

    def listens(self, name: str) -> tuple[str, int]:
        return self._addresses[name], self._PORT

    def way(self, name: str, to: str) -> str:
        return f"{self._addresses[to]}:{self._PORT}"

    def within(self, name: str, *command: str) -> Sequence[str]:
        return ("ip", "netns", "exec", self._namespace(name), *command)

    def _add(self, name: str) -> None:
        subprocess.run(
            ["ip", "netns", "add", self._namespace(name)], check=True, capture_output=True, text=True
        )
        self._made.append(name)

    def _ip(self, name: str, *words: str) -> None:
        subprocess.run(
            ["ip", "-netns", self._namespace(name), *words], check=True, capture_output=True, text=True
        )

    def _namespace(self, name: str) -> str:
        return f"{self._mark}-{name}"


class Addresses:
    """Addresses of this machine's loopback, at 127.77.0.0/24, each with a port that was free."""

    def __init__(self, names: Sequence[str]) -> None:
        self._addresses = {name: f"127.77.0.{place}" for place, name in enumerate(names, start=1)}
        self._ports: dict[str, int] = {}
        self._plugged: dict[str, threading.Event] = defaultdict(threading.Event)
        self._ways: dict[tuple[str, str], socket.socket] = {}

    def plug_in(self) -> None:
        for name, address in self._addresses.items():
            with socket.create_server((address, 0)) as probe:
                self._ports[name] = probe.getsockname()[1]
            self.put_back(name)

    def unplug(self) -> None:
        for listening in self._ways.values():
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        for name in self._addresses:
            self.put_back(name)

    def pull(self, name: str) -> None:
        self._plugged[name].clear()

    def put_back(self, name: str) -> None:
        self._plugged[name].set()

    def listens(self, name: str) -> tuple[str, int]:
        return self._addresses[name], self._ports[name]

    def way(self, name: str, to: str) -> str:
        """Each of two hosts has a way to the other of its own, whose near end is its own address."""
        if (name, to) not in self._ways:
            self._ways[name, to] = listening = socket.create_server((self._addresses[name], 0))
            threading.Thread(target=self._pass_on, args=(listening, name, to), daemon=True).start()
        address, port = self._ways[name, to].getsockname()
        return f"{address}:{port}"

    def within(self, name: str, *command: str) -> Sequence[str]:
        return command

    def _pass_on(self, listening: socket.socket, *ends: str) -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                threading.Thread(target=self._connect, args=(near, *ends), daemon=True).start()

    def _connect(self, near: socket.socket, *ends: str) -> None:
        with near, suppress(OSError):
            self._wait_for(ends)
            with socket.create_connection(self.listens(ends[1])) as far:
                back = threading.Thread(target=self._pour, args=(far, near, ends), daemon=True)
                back.start()
                self._pour(near, far, ends)
                back.join()

    def _pour(self, source: socket.socket, target: socket.socket, ends: Sequence[str]) -> None:
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                self._wait_for(ends)
                target.sendall(chunk)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _wait_for(self, ends: Sequence[str]) -> None:
        for name in ends:
            self._plugged[name].wait()

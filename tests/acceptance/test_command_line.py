"""Starts that must not happen: one line that names the variable, never its value, and exit code 1 (CONTRACT, sections 2 and 3)."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.builders import System, system


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[System]:
    """Settings that are fine, and a Redis that nobody will ask for."""
    with system(tmp_path, "redis://127.0.0.1:1") as made:
        yield made


@pytest.mark.parametrize(
    ("command", "variable", "value", "said"),
    [
        ("web", "HOOKLINE_LEASE", "s00n", "HOOKLINE_LEASE: not a duration"),
        ("worker", "HOOKLINE_CONCURRENCY", "-17", "HOOKLINE_CONCURRENCY: needs a whole number"),
        ("web", "HOOKLINE_API_KEYS", "h4lf-a-key", "HOOKLINE_API_KEYS: needs name:key"),
        ("web", "HOOKLINE_SECRET_KEY", "", "HOOKLINE_SECRET_KEY: needed"),
        ("worker", "HOOKLINE_SECRET_KEY", "", "HOOKLINE_SECRET_KEY: needed"),
        ("web", "HOOKLINE_CALLBACK_SECRET", "", "HOOKLINE_CALLBACK_SECRET: needed"),
        ("web", "REDIS_URL", "", "REDIS_URL: needed"),
        ("worker", "REDIS_URL", "redis://:p/ss@w0rd@cache:6379", "REDIS_URL: can't be read"),
        ("web", "SOURCE_LOOSE_CALLBACK_URL", "json:$.wh3re", "SOURCE_LOOSE_CALLBACK_URL: is read from the body"),
        ("web", "SOURCE_ACME_UNHEARD", "0f-key", "SOURCE_ACME_UNHEARD: is not a key of a source"),
        ("worker", "HOOKLINE_HANDLERS", "no.where", "the handler module no.where can't be imported"),
    ],
)  # fmt: skip
def test_a_wrong_setting_stops_the_start(
    idle: System, command: str, variable: str, value: str, said: str
) -> None:
    """A085."""
    process = idle.run("hookline", command, said=f"hookline: {said}", **{variable: value})
    assert process.process.wait(10) == 1
    assert len(process.output().splitlines()) == 1
    if variable != "HOOKLINE_HANDLERS" and value:
        assert value not in process.output()


def test_a_port_that_is_taken_stops_the_start(idle: System) -> None:
    with socket.create_server(("127.0.0.1", int(idle.environ["PORT"]))):
        process = idle.run(
            "hookline", "web", said=f"hookline: PORT {idle.environ['PORT']} can't be listened on"
        )
        assert process.process.wait(10) == 1


@pytest.mark.parametrize("words", [["nonsense"], ["web", "--nonsense"], ["worker", "--concurrency", "many"]])
def test_words_that_are_off_end_with_2(idle: System, words: list[str]) -> None:
    process = idle.run("hookline", *words, said="Usage: hookline")
    assert process.process.wait(10) == 2

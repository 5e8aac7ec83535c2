import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.logs import ConsoleFormatter, JsonFormatter, Redactor, bind, bound, configure

Configured = Callable[..., Callable[[], list[str]]]


@pytest.fixture
def configured(capsys: pytest.CaptureFixture[str]) -> Iterator[Configured]:
    """``configured(log_format="json", …)`` configures, and answers with a function that reads the new lines."""
    root = logging.getLogger()
    level = root.level

    def new_lines() -> list[str]:
        return capsys.readouterr().out.splitlines()

    def configure_for_test(log_format: str = "json", **options: Any) -> Callable[[], list[str]]:
        configure(**{"level": "info", "log_format": log_format} | options)
        return new_lines

    yield configure_for_test
    root.handlers[:] = [handler for handler in root.handlers if type(handler).__module__ != "infra.logs"]
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def fail(text: str) -> None:
    raise ValueError(text)


def test_an_event_is_one_json_line_with_time_level_and_message(configured: Configured) -> None:
    lines = configured()
    logging.getLogger("ingest.receive").warning("stored %d", 7)
    (line,) = map(json.loads, lines())
    assert line.pop("time").endswith("Z")
    assert line == {"level": "warn", "logger": "ingest.receive", "message": "stored 7"}


@pytest.mark.parametrize("name", ["uvicorn", "uvicorn.error", "rq", "rq.worker"])
def test_every_library_writes_the_same_line_once(name: str, configured: Configured) -> None:
    logger = logging.getLogger(name)
    elsewhere = io.StringIO()
    logger.addHandler(logging.StreamHandler(elsewhere))
    logger.propagate = False
    lines = configured()
    logger.info("hello")
    assert [json.loads(line)["message"] for line in lines()] == ["hello"]
    assert elsewhere.getvalue() == ""


def test_uvicorns_access_log_is_off(configured: Configured) -> None:
    lines = configured()
    logging.getLogger("uvicorn.access").info("GET /")
    assert lines() == []


@pytest.mark.parametrize(
    ("level", "word"),
    [("debug", "debug"), ("info", "info"), ("warning", "warn"), ("error", "error"), ("critical", "error")],
)
def test_levels_are_the_four_that_collectors_know(level: str, word: str, configured: Configured) -> None:
    lines = configured(level="debug")
    getattr(logging.getLogger("any"), level)("text")
    assert json.loads(lines()[-1])["level"] == word


def test_less_than_the_least_level_is_not_logged(configured: Configured) -> None:
    lines = configured(level="warning")
    logging.getLogger("any").info("text")
    assert lines() == []


def test_bound_ids_are_in_the_line_and_then_gone(configured: Configured) -> None:
    lines = configured()
    log = logging.getLogger("any")
    with bind(event="evt_1", source="acme"):
        with bind(job="job_1", attempt=2):
            log.info("inner")
        log.info("outer")
    log.info("after")
    inner, outer, after = map(json.loads, lines())
    assert (inner["event"], inner["source"], inner["job"], inner["attempt"]) == ("evt_1", "acme", "job_1", 2)
    assert outer["event"] == "evt_1"
    assert "job" not in outer
    assert "event" not in after


def test_bound_ids_are_gone_after_an_error() -> None:
    with pytest.raises(RuntimeError), bind(job="job_1"):
        raise RuntimeError
    assert bound() == {}


def test_tasks_keep_their_ids_apart() -> None:
    async def work(job: str) -> object:
        with bind(job=job):
            await asyncio.sleep(0)
            return bound()["job"]

    async def main() -> list[object]:
        return list(await asyncio.gather(*(work(f"job_{n}") for n in range(5))))

    assert asyncio.run(main()) == [f"job_{n}" for n in range(5)]


def test_a_thread_starts_without_ids() -> None:
    seen: list[object] = []
    with bind(job="job_1"):
        thread = threading.Thread(target=lambda: seen.append(dict(bound())))
        thread.start()
        thread.join()
    assert seen == [{}]


def test_extra_fields_are_fields_but_never_the_core_ones(configured: Configured) -> None:
    lines = configured()
    extra = {
        "bytes": 12,
        "level": "none",
        "list": [1, {"a": None}],
        "when": float("inf"),
        "color_message": "x",
    }
    logging.getLogger("any").info("text", extra=extra)
    line = json.loads(lines()[0])
    assert (line["bytes"], line["list"], line["when"]) == (12, [1, {"a": None}], "inf")
    assert line["level"] == "info"
    assert "color_message" not in line


def test_a_traceback_is_one_field(configured: Configured) -> None:
    lines = configured()
    try:
        fail("odd")
    except ValueError:
        logging.getLogger("any").exception("it broke")
    (line,) = map(json.loads, lines())
    assert line["message"] == "it broke"
    assert line["trace"].endswith("ValueError: odd")


def test_a_warning_becomes_a_line(configured: Configured) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        lines = configured()
        warnings.warn("old ways", stacklevel=1)
    assert "old ways" in json.loads(lines()[0])["message"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_secret_is_in_no_line(log_format: str, configured: Configured) -> None:
    secret = 'hu"sh/é&'
    lines = configured(log_format=log_format, secrets=[secret])
    log = logging.getLogger("any")
    log.info(
        "with %s", secret, extra={"url": "redis://:hu%22sh%2F%C3%A9%26@x", "deep": {"a": [secret], secret: 1}}
    )
    try:
        fail(secret)
    except ValueError:
        log.exception("again")
    with bind(source=secret):
        log.info("bound")
    text = "\n".join(lines())
    assert text.count("***") == 6
    assert "hu" not in text.replace("***", "")


@given(st.text(min_size=4), st.text(), st.text())
def test_whatever_the_secret_it_does_not_survive(secret: str, before: str, after: str) -> None:
    if secret in "***":
        return
    redacted = Redactor([secret]).text(before + secret + after)
    assert secret not in redacted or secret in before + "***" + after


def test_a_secret_inside_a_longer_one_leaves_nothing_of_it() -> None:
    assert Redactor(["secret", "secret-and-more"]).text("secret-and-more, secret") == "***, ***"


def test_a_text_too_short_to_be_secret_is_left_alone() -> None:
    assert Redactor(["", "a"]).text("a banana") == "a banana"


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_stays_one_line_in_either_form(text: str) -> None:
    """A105."""
    record = logging.LogRecord("any", logging.INFO, __file__, 1, "%s", (text,), None)
    record.field = text
    assert len(JsonFormatter(Redactor()).format(record).splitlines()) == 1
    console = ConsoleFormatter(Redactor()).format(record)
    assert len(console.splitlines()) == 1
    assert "\x1b" not in console
    console.encode()


def test_the_console_line_is_for_people(configured: Configured) -> None:
    lines = configured(log_format="console")
    with bind(job="job_1"):
        logging.getLogger("any").warning("\x1b[32mslow\x1b[0m\nreply", extra={"seconds": 3})
    assert lines()[0].split(" ", 1)[1] == "warn  slow\\nreply job=job_1 seconds=3"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_reader_that_went_away_does_not_break_the_process(log_format: str) -> None:
    script = f"""
import logging, sys
from infra.logs import configure
configure(level="info", log_format="{log_format}")
sys.stdin.readline()
for _ in range(3):
    logging.getLogger("any").info("x" * 100_000)
print("more")
sys.exit(7)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(b"go\n", timeout=30)
    assert (process.returncode, errors) == (7, b"")


def test_what_a_handler_prints_does_not_fail_when_the_reader_of_the_log_goes_away() -> None:
    script = """
import os, stat, sys, time
from infra.logs import configure
configure(level="info", log_format="json")
sys.stdin.readline()
while stat.S_ISFIFO(os.fstat(1).st_mode):
    time.sleep(0.001)
for _ in range(3):
    print("x" * 100_000, flush=True)
sys.exit(7)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(b"go\n", timeout=30)
    assert (process.returncode, errors) == (7, b"")

"""What a handler does with files, in a loop and in a thread: what it keeps, what it loads, and what is left of it."""

from pathlib import Path
from typing import Any

import pytest

from handlers import Context
from handlers.errors import AttemptOver
from handlers.files import folders, remove_folder
from handlers.testing import run
from infra.ledger.records import Failed, Retried
from tests.unit.handlers.test_context import make_claim, make_context


async def keeps(context: Context) -> Any:
    return await context.artifact("report.txt", f"for {context.payload['who']}")


def keeps_in_a_thread(context: Context) -> Any:
    path = context.folder / "made"
    path.write_bytes(b"for Ada")
    return context.artifact("report.txt", path, "text/plain")


@pytest.mark.parametrize("handler", [keeps, keeps_in_a_thread])
def test_an_artifact_is_kept_and_described(handler: Any) -> None:
    attempt = run(handler, {"who": "Ada"})
    assert attempt.artifacts == {"report.txt": b"for Ada"}
    described = attempt.result
    assert (described["name"], described["size"], described["content_type"]) == (
        "report.txt",
        7,
        "text/plain",
    )
    assert len(described["sha256"]) == 64
    assert set(described) == {"name", "url", "size", "sha256", "content_type", "expires_at"}


def test_what_a_payload_names_is_loaded_into_the_folder() -> None:
    async def sums(context: Context) -> int:
        paths = [await context.download(one) for one in context.payload]
        assert len({path.parent for path in paths}) == 1
        return sum(len(path.read_bytes()) for path in paths)

    assert (
        run(
            sums, ["file_1", "https://a.example/b"], files={"file_1": b"12", "https://a.example/b": b"345"}
        ).result
        == 5
    )


def test_a_file_that_is_not_there_says_so() -> None:
    async def loads(context: Context) -> None:
        await context.download("file_2")

    outcome = run(loads, {}).outcome
    assert isinstance(outcome, Retried)
    assert outcome.error.type == "FileMissing"


@pytest.mark.parametrize(
    ("name", "content", "content_type", "words"),
    [
        ("../a", b"", None, "a file's name"),
        ("a", b"", "text", "a content type"),
        ("a", Path("/nowhere/at/all"), None, "there is no file 'all'"),
    ],
)
def test_what_cant_be_kept_is_refused(name: str, content: Any, content_type: str | None, words: str) -> None:
    async def keeps_that(context: Context) -> None:
        await context.artifact(name, content, content_type)

    outcome = run(keeps_that, {}).outcome
    assert isinstance(outcome, Retried | Failed)
    assert words in outcome.error.message


def test_the_folder_is_empty_and_goes_with_the_attempt() -> None:
    seen: list[Path] = []

    def works(context: Context) -> int:
        seen.append(context.folder)
        found = len(list(context.folder.iterdir()))
        (context.folder / "left").write_text("behind")
        return found

    assert run(works, {}).result == 0
    assert not seen[0].exists()
    assert not seen[0].parent.exists()


def test_the_next_attempt_removes_what_a_killed_one_left() -> None:
    left = folders() / "job_1" / "w-0"
    left.mkdir(parents=True, exist_ok=True)
    context = make_context(token="w-1")
    assert context.folder.parent == left.parent
    assert not left.exists()
    context.end()
    assert not left.parent.exists()


def test_a_folder_asked_for_after_the_end_is_none() -> None:
    context = make_context()
    context.end()
    with pytest.raises(AttemptOver):
        _ = context.folder


def test_what_a_killed_process_left_can_be_removed_without_it() -> None:
    claim = make_claim(token="w-7")
    left = folders() / claim.job_id / claim.token
    left.mkdir(parents=True, exist_ok=True)
    (left / "frame.png").touch()
    remove_folder(claim)
    assert not left.parent.exists()
    remove_folder(claim)

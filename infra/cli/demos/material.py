"""Pictures, clips and sound made on the spot by ffmpeg's own sources, and sent up."""

import tempfile
from pathlib import Path

from handlers.media.ffmpeg import convert
from infra.cli.demos.stage import Stage


def sent(stage: Stage, name: str, *arguments: str) -> str:
    """The id of a file that ffmpeg has made and the web process has taken.

    Args:
        name: its ending says what it becomes.
        arguments: what it is made of, as ffmpeg's command line has it.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        convert(*arguments, f"file:{path}")
        file = stage.client.upload(path.read_bytes())
    stage.say(f"→ POST {stage.web}/files  {name}, {file.size:,} bytes: {file.id}")
    return file.id


def source(description: str) -> tuple[str, ...]:
    """The arguments that read one of ffmpeg's own sources, such as ``testsrc=size=320x240``."""
    return ("-f", "lavfi", "-i", description)

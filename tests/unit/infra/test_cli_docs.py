"""docs/cli.md has every command, with its options and their defaults, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from infra.cli import hookline
from infra.ledger.records import JobStatus

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (hookline [a-z ]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that is not a group of others, by its whole name."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None, name
        yield from leaves(found, f"{path} {name}")


COMMANDS = dict(leaves(hookline, "hookline"))


def test_the_page_has_one_section_a_command() -> None:
    assert list(SECTIONS) == list(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_a_section_has_the_commands_options_in_order(path: str) -> None:
    rows = dict(re.findall(r"^\| `(--[^`]+)` \| (.*?) \|", SECTIONS[path], re.MULTILINE))
    options = {
        "/".join(option.opts + option.secondary_opts): option
        for option in COMMANDS[path].params
        if isinstance(option, click.Option) and not option.hidden
    }
    assert list(rows) == list(options)
    for name, option in options.items():
        if option.show_default and not option.is_flag:
            assert rows[name] == f"`{option.default}`"


@pytest.mark.parametrize("path", COMMANDS)
def test_a_section_names_the_commands_arguments(path: str) -> None:
    arguments = [one for one in COMMANDS[path].params if isinstance(one, click.Argument)]
    assert all(
        f"`{argument.make_metavar(click.Context(COMMANDS[path]))}`" in SECTIONS[path]
        for argument in arguments
    )


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_and_command_explains_itself(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    assert all(
        option.help for option in command.params if isinstance(option, click.Option) and not option.hidden
    )


def test_the_table_links_every_command() -> None:
    assert isinstance(hookline, click.Group)
    rows = dict(re.findall(r"^\| \[`([a-z]+)`\]\(#([a-z-]+)\) \|", PAGE, re.MULTILINE))
    assert list(rows) == hookline.list_commands(click.Context(hookline))
    assert set(rows.values()) <= {path.replace(" ", "-") for path in SECTIONS}


def test_the_statuses_are_all_there() -> None:
    (row,) = re.findall(r"^\| `--status` .*$", SECTIONS["hookline jobs list"], re.MULTILINE)
    assert re.findall(r"`([a-z]+)`", row) == [status.value for status in JobStatus]

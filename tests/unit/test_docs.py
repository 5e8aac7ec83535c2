"""The docs hold: links lead somewhere, examples run, commands exist, and what can be set or called is written down."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from starlette.routing import Route

from handlers import Context
from handlers.decorator import Options
from handlers.registry import default_registry
from infra.cli import hookline
from infra.redis_client import memory
from infra.settings import Settings, documented_settings
from ingest.addresses import addresses
from ingest.parts import assemble
from ingest.sources import Sources, load_sources

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), ROOT / "benchmarks" / "README.md"]
OURS = [ROOT / "README.md", ROOT / "docs" / "guide.md"]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: object) -> str | None:
    return str(page.relative_to(ROOT)) if isinstance(page, Path) else None


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What a link can name of a page, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def routes() -> list[str]:
    """The path of every route of the web process."""
    client = memory().asynchronous
    settings = Settings.load({"HOOKLINE_SECRET_KEY": "any"})
    parts = assemble(settings, Sources({}), connect=lambda: client, connect_waiting=lambda: client)
    return [route.path for route in addresses(parts) if isinstance(route, Route)]


def commands() -> list[str]:
    assert isinstance(hookline, click.Group)
    return hookline.list_commands(click.Context(hookline))


# -- links -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_to_a_page_and_its_heading(page: Path) -> None:
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    named = re.findall(
        r"`((?:benchmarks|docs|handlers|infra|ingest|tests|worker)/[\w./-]*)(?:::\w+)?`", prose(page)
    )
    made_by_the_reader = {"handlers/acme.py", "handlers/github.py"}
    assert [path for path in named if path not in made_by_the_reader and not (ROOT / path).exists()] == []


def test_the_map_has_every_page() -> None:
    linked = set()
    for index in ROOT.glob("docs/**/index.md"):
        links = re.findall(r"\]\(([\w./-]+\.md)\)", text_of(index))
        linked |= {(index.parent / link).resolve() for link in links}
    assert set(ROOT.glob("docs/**/*.md")) - {ROOT / "docs" / "index.md"} <= linked


# -- examples ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "block"), [(page, block) for page in PAGES for block in blocks(page, "python")], ids=name_of
)
def test_python_compiles(page: Path, block: str) -> None:
    compile(block, str(page), "exec")


@pytest.mark.parametrize(
    ("page", "block"), [(page, block) for page in OURS for block in blocks(page, "python")], ids=name_of
)
def test_our_own_examples_run(page: Path, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_registry, "_handlers", {})

    exec(compile(block, str(page), "exec"), {"__name__": "example"})

    assert list(default_registry)


@pytest.mark.parametrize("block", blocks(ROOT / "docs" / "guide.md", "toml"))
def test_the_guides_source_is_one(block: str) -> None:
    sources = load_sources(Settings.load({}), {"SOURCE_ACME_SECRET": "any"}, read_file=lambda _: block)

    assert set(sources.by_name) == tomllib.loads(block).keys()
    assert sources.without_secret == ()


# -- commands ----------------------------------------------------------------------------------------------------------


def shell_lines() -> Iterator[str]:
    """What the reader is told to type, from code blocks and from the prose."""
    for page in OURS:
        for block in blocks(page, "sh"):
            yield from (line.partition("#")[0].strip() for line in block.splitlines())
        yield from re.findall(r"`((?:make|hookline) [^`]+)`", prose(page))


MAKE = sorted({words[1] for line in shell_lines() if (words := line.split()) and words[0] == "make"})
HOOKLINE = sorted({line for line in shell_lines() if line.startswith("hookline ")})


@pytest.mark.parametrize("target", MAKE)
def test_make_has_the_target(target: str) -> None:
    assert re.search(rf"^{target}:", text_of(ROOT / "Makefile"), re.MULTILINE)


@pytest.mark.parametrize("line", HOOKLINE)
def test_hookline_has_the_command_and_its_options(line: str) -> None:
    assert missing_from_the_command_line(line) == []


def missing_from_the_command_line(line: str) -> list[str]:
    """The words of a call of `hookline` that no command or option of it has."""
    command: click.Command = hookline
    missing = []
    for word in line.split()[1:]:
        if isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return [word]
            command = found
        elif word.startswith("--"):
            options = {
                name for parameter in command.params for name in parameter.opts + parameter.secondary_opts
            }
            missing += [word] if word not in options else []
    return missing


# -- nothing is left out -----------------------------------------------------------------------------------------------


def test_every_command_is_documented() -> None:
    text = text_of(ROOT / "docs" / "cli.md")
    assert [name for name in commands() if f"hookline {name}" not in text] == []


def test_every_setting_is_documented() -> None:
    text = text_of(ROOT / "docs" / "settings.md")
    variables = [field.metadata["variable"] for field in documented_settings()]
    assert [variable for variable in variables if f"`{variable}`" not in text] == []


def test_every_route_is_documented() -> None:
    text = text_of(ROOT / "docs" / "api.md")
    assert routes()
    assert [path for path in routes() if not re.search(rf"`(GET|POST) {re.escape(path)}`", text)] == []


def test_the_status_has_every_command() -> None:
    assert [name for name in commands() if f"`{name}`" not in status("What works today")] == []


def test_what_is_said_to_be_missing_is_missing() -> None:
    there = {
        *routes(),
        *(field.metadata["variable"] for field in documented_settings()),
        *Options.__annotations__,
        *(name for name in vars(Context) if not name.startswith("_")),
    }
    said = re.findall(r"`([^`]+)`", status("What is not there yet"))
    assert said
    assert [word for word in said if word in there] == []


def status(heading: str) -> str:
    """One of the lists of the README's status."""
    (_, found) = text_of(ROOT / "README.md").split(f"{heading}:\n\n")
    return found.split("\n\n")[0]


# -- said once ---------------------------------------------------------------------------------------------------------


def test_the_promise_reads_the_same_everywhere() -> None:
    promises = {
        tuple(re.findall(r"^> .+$", text_of(page), re.MULTILINE))
        for page in (ROOT / "README.md", ROOT / "docs" / "guarantees.md")
    }
    assert len(promises) == 1
    assert promises != {()}


def test_what_is_said_to_be_proven_has_its_test() -> None:
    named = re.findall(r"\b(test_\w+)`", text_of(ROOT / "docs" / "guarantees.md"))
    written = {
        name
        for file in ROOT.glob("tests/**/test_*.py")
        for name in re.findall(r"^def (test_\w+)", text_of(file), re.MULTILINE)
    }
    assert named
    assert [name for name in named if name not in written] == []


def test_the_next_version_is_the_one_that_is_built() -> None:
    version = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["version"]
    assert version in text_of(ROOT / "CHANGELOG.md")
    assert f"Version {version}" in text_of(ROOT / "README.md")

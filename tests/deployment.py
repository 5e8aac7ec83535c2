"""The deploy files, read as their platforms read them: which commands they start, and how long those may take to stop."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.durations import parse_duration
from tests.conftest import missing

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "infra" / "deploy"

# What evaluates `.railway/railway.ts` at Railway's, reduced to giving back what it was called with.
_RAILWAY = """
const made = (kind) => (name, settings = {}) => ({ kind, name, ...settings });
export const defineRailway = (define) => define({ environment: "production", shared: {} });
export const [project, service, volume, image, github] = ["project", "service", "volume", "image", "github"].map(made);
export const preserve = () => ({ preserved: true });
"""


@dataclass(frozen=True)
class Started:
    """A command that a file has started.

    Args:
        words: `hookline` and so on; a line for a shell where the platform uses one.
        patience: seconds from SIGTERM to SIGKILL; None: the file does not say.
    """

    file: str
    name: str
    words: tuple[str, ...] | str
    patience: float | None

    def __str__(self) -> str:
        return f"{self.file}-{self.name}"

    @property
    def plain(self) -> tuple[str, ...]:
        """The words, whatever form they are in, without the shell's."""
        words = shlex.split(self.words) if isinstance(self.words, str) else self.words
        return tuple(word for word in words if word != "exec")

    @property
    def in_a_shell(self) -> bool:
        """Whether the platform starts a shell to start it."""
        return isinstance(self.words, str)


def compose() -> dict[str, Any]:
    """``compose.yaml``."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


def kubernetes() -> list[dict[str, Any]]:
    """Every manifest."""
    return [one for file in sorted((DEPLOY / "kubernetes").glob("*.yaml")) for one in yaml.safe_load_all(file.read_text())]  # fmt: skip


def fly() -> dict[str, Any]:
    """``fly.toml``."""
    return tomllib.loads((DEPLOY / "fly.toml").read_text())


def render() -> dict[str, Any]:
    """``render.yaml``."""
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "render.yaml").read_text())
    return loaded


def unit(name: str) -> configparser.SectionProxy:
    """The service section of a systemd unit."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string((DEPLOY / "systemd" / f"{name}.service").read_text())
    return parser["Service"]


def railway(directory: Path) -> dict[str, dict[str, Any]]:
    """The resources of ``.railway/railway.ts``, by name. It holds no types, so Node runs it as it is."""
    if shutil.which("node") is None:
        missing("no node on the PATH: apt-get install nodejs")
    package = directory / "node_modules" / "railway"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module", "exports": {"./iac": "./iac.js"}}')
    (package / "iac.js").write_text(_RAILWAY)
    shutil.copy(ROOT / ".railway" / "railway.ts", directory / "railway.mjs")
    (directory / "print.mjs").write_text(
        'import made from "./railway.mjs"; console.log(JSON.stringify(made));'
    )
    printed = said_by("node", "print.mjs", directory=directory)
    return {one["name"]: one for one in json.loads(printed)["resources"]}


def said_by(*command: str, directory: Path) -> str:
    """What a program prints that must end well."""
    ran = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def started() -> list[Started]:
    """Everything of ours that some file starts, but for Railway's."""
    return [*_by_lines(), *_by_kubernetes()]


def _by_lines() -> Iterator[Started]:
    for line in (ROOT / "Procfile").read_text().splitlines():
        name, _, command = line.partition(":")
        yield Started("Procfile", name, command.strip(), None)
    for name, one in compose()["services"].items():
        if "build" in one:
            yield Started(
                "compose.yaml", name, ("hookline", *one["command"]), seconds(one["stop_grace_period"])
            )
    for name in ("hookline-web", "hookline-worker"):
        words = shlex.split(unit(name)["ExecStart"])
        yield Started("systemd", name, (Path(words[0]).name, *words[1:]), float(unit(name)["TimeoutStopSec"]))
    for one in render()["services"]:
        if "dockerCommand" in one:
            yield Started("render.yaml", one["name"], one["dockerCommand"], one["maxShutdownDelaySeconds"])
    for name, words in fly()["processes"].items():
        yield Started("fly.toml", name, ("hookline", *shlex.split(words)), seconds(fly()["kill_timeout"]))


def _by_kubernetes() -> Iterator[Started]:
    for manifest in kubernetes():
        spec = manifest["spec"].get("jobTargetRef", manifest["spec"]).get("template", {}).get("spec", {})
        for container in spec.get("containers", ()):
            if container["image"] == "hookline":
                words = ("hookline", *container["args"])
                yield Started(
                    "kubernetes", manifest["metadata"]["name"], words, spec["terminationGracePeriodSeconds"]
                )


def seconds(text: str) -> float:
    """A duration such as ``45s``."""
    return parse_duration(text).total_seconds()


def dockerfile(instruction: str) -> list[str]:
    """What stands behind an instruction, in order."""
    return re.findall(rf"^{instruction} (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

"""Who is compared, at which settings (README.md says them in words), and the environment that each gets of its own.

Their pins contradict each other (arq wants redis 5, SAQ redis 7), so each lives in ``.hookline/bench/venv/NAME``, made at
first use.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".hookline" / "bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One queue at one setting.

    Args:
        module: of `benchmarks.peers`; also the name of its environment.
        requirements: pinned; none: it runs in ours.
        work: by kind of job, the words of the command that runs one worker process. The first is a program of its
            environment; ``{slots}`` is how many jobs it may hold.
        slots: by kind of job; 100 where nothing is said.
        share: its part of the jobs of a no-op round, by how fast it is; so that every run takes a few seconds.
        pace: seconds between two jobs, where an idle worker's delay is measured; longer than a job takes.
    """

    name: str
    module: str
    requirements: tuple[str, ...] = ()
    work: Mapping[str, str]
    slots: Mapping[str, int] = field(default_factory=dict)
    share: float
    pace: float = 0.03

    def bin(self) -> Path:
        """Where its programs are; its environment is made if there is none."""
        if not self.requirements:
            return Path(sys.executable).parent
        return environment(self.module, self.requirements)

    def sender(self) -> list[str]:
        """The command that enqueues; kind, count and pace follow."""
        return [str(self.bin() / "python"), "-m", f"benchmarks.peers.{self.module}"]

    def worker(self, kind: str) -> list[str]:
        """The command of one worker process."""
        program, *words = self.work[kind].format(slots=self.slots_of(kind)).split()
        return [str(self.bin() / program), *words]

    def slots_of(self, kind: str) -> int:
        """How many jobs one process may hold."""
        return self.slots.get(kind, 100)


def environment(name: str, requirements: tuple[str, ...]) -> Path:
    """The folder of programs of an environment with exactly these packages."""
    folder = HOME / "venv" / name
    stamp = folder / "requirements.txt"
    wanted = "\n".join(requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        python = str(folder / "bin" / "python")
        uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
        if uv:
            _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
            _run([uv, "pip", "install", "--quiet", "--python", python, *requirements])
        else:
            _run([sys.executable, "-m", "venv", str(folder)])
            _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
        stamp.write_text(wanted)
    return folder / "bin"


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


_ARQ = "arq benchmarks.peers.arq.Worker"
_CELERY = "celery -A benchmarks.peers.celery worker --loglevel ERROR --without-gossip --without-mingle --without-heartbeat"
_DRAMATIQ = "dramatiq benchmarks.peers.dramatiq --processes 1 --threads {slots}"
_HOOKLINE = "python -m infra.cli worker"
_HUEY = "huey_consumer benchmarks.peers.huey.huey --quiet --no-periodic --workers {slots}"
_SAQ = "saq benchmarks.peers.saq.settings --quiet"
_TASKIQ = (
    "taskiq worker benchmarks.peers.taskiq:broker --workers 1 --no-parse --log-level WARNING"
    " --max-async-tasks {slots} --max-prefetch {slots} --max-threadpool-threads {slots}"
)

HOOKLINE = Contender(
    name="Hookline",
    module="hookline",
    work={"noop": _HOOKLINE, "sleep": _HOOKLINE, "block": _HOOKLINE},
    slots={"noop": 400, "sleep": 500},
    share=1.0,
)

_RQ = ("rq==3.0.0", "redis==8.1.0", "hiredis==3.5.0")
_DRAMATIQ_PINS = ("dramatiq[redis]==2.2.1", "redis==8.1.0", "hiredis==3.5.0")
_HUEY_PINS = ("huey[redis]==3.5.4", "redis==8.1.0", "hiredis==3.5.0", "gevent==26.9.0")
_CELERY_PINS = ("celery[redis]==5.7.0", "hiredis==3.5.0")

PEERS = (
    Contender(
        name="RQ Worker",
        module="rq",
        requirements=_RQ,
        work={"noop": "python -m benchmarks.peers.rq work"},
        share=0.015,
        pace=0.15,
    ),
    Contender(
        name="RQ SimpleWorker",
        module="rq",
        requirements=_RQ,
        work={"noop": "python -m benchmarks.peers.rq work --simple"},
        share=0.06,
    ),
    Contender(
        name="dramatiq",
        module="dramatiq",
        requirements=_DRAMATIQ_PINS,
        work={"noop": _DRAMATIQ, "block": _DRAMATIQ},
        slots={"noop": 8},
        share=0.4,
    ),
    Contender(
        name="huey thread",
        module="huey",
        requirements=_HUEY_PINS,
        work={"noop": f"{_HUEY} --worker-type thread", "block": f"{_HUEY} --worker-type thread"},
        slots={"noop": 8},
        share=0.4,
    ),
    Contender(
        name="huey greenlet",
        module="huey",
        requirements=_HUEY_PINS,
        work={"noop": f"{_HUEY} --worker-type greenlet"},
        slots={"noop": 8},
        share=0.5,
    ),
    Contender(
        name="saq",
        module="saq",
        requirements=("saq[redis,hiredis]==0.26.4", "typing-extensions==4.16.0", "uvloop==0.23.0"),
        work={"noop": _SAQ, "sleep": _SAQ},
        slots={"sleep": 500},
        share=0.25,
    ),
    Contender(
        name="taskiq",
        module="taskiq",
        requirements=("taskiq==0.13.0", "taskiq-redis==1.2.4", "hiredis==3.5.0", "uvloop==0.23.0"),
        work={"noop": _TASKIQ, "sleep": _TASKIQ, "block": _TASKIQ},
        slots={"sleep": 500},
        share=0.25,
    ),
    Contender(
        name="arq",
        module="arq",
        requirements=("arq==0.28.0", "hiredis==3.5.0", "uvloop==0.23.0"),
        work={"noop": _ARQ, "sleep": _ARQ},
        slots={"sleep": 500},
        share=0.2,
    ),
    Contender(
        name="celery threads",
        module="celery",
        requirements=_CELERY_PINS,
        work={"noop": f"{_CELERY} --pool threads -c {{slots}}", "block": f"{_CELERY} --pool threads -c {{slots}}"},
        slots={"noop": 8},
        share=0.12,
    ),
    Contender(
        name="celery prefork",
        module="celery",
        requirements=_CELERY_PINS,
        work={"noop": f"{_CELERY} --pool prefork -c 1"},
        share=0.12,
    ),
)  # fmt: skip

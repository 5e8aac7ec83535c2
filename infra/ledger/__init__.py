"""The ledger: the only code that writes Redis.

The event's record is the truth; an RQ job is how it travels. Every change of state is one Lua script (``scripts/``), so
that a crash falls before it or after it. ``docs/ledger.md`` draws the states.
"""

from datetime import timedelta

from redis.asyncio import Redis

from infra.ledger.admissions import Admissions
from infra.ledger.archiving import Archiving
from infra.ledger.batches import Batches
from infra.ledger.callbacks import Callbacks
from infra.ledger.canceling import Canceling
from infra.ledger.desk import Desk
from infra.ledger.durations import Durations
from infra.ledger.erasing import Erasing
from infra.ledger.events import Events
from infra.ledger.grades import Grades
from infra.ledger.histories import Histories
from infra.ledger.jobs import Jobs
from infra.ledger.lists import Lists
from infra.ledger.live import Live
from infra.ledger.measures import Measures
from infra.ledger.overview import Overview
from infra.ledger.pauses import Pauses
from infra.ledger.pausing import Pausing
from infra.ledger.reading import Reading
from infra.ledger.receivers import Receivers
from infra.ledger.refusals import Refusals
from infra.ledger.replays import Replays
from infra.ledger.scripts import LedgerError, Scripts
from infra.ledger.seal import Seal
from infra.ledger.secret_ages import SecretAges
from infra.ledger.steering import Steering
from infra.ledger.steps import Steps
from infra.ledger.ticks import Ticks
from infra.ledger.troubles import Troubles
from infra.ledger.workers import Workers
from infra.settings import Settings

__all__ = [
    "Admissions",
    "Archiving",
    "Batches",
    "Callbacks",
    "Canceling",
    "Desk",
    "Durations",
    "Erasing",
    "Events",
    "Grades",
    "Histories",
    "Jobs",
    "Ledger",
    "LedgerError",
    "Lists",
    "Live",
    "Measures",
    "Overview",
    "Pauses",
    "Pausing",
    "Reading",
    "Receivers",
    "Refusals",
    "Replays",
    "Seal",
    "SecretAges",
    "Steering",
    "Steps",
    "Ticks",
    "Troubles",
    "Workers",
]


class Ledger:
    """All of the ledger over one client.

    Args:
        redis: a client that returns bytes and does not repeat commands by itself.
        seal: made from ``HOOKLINE_SECRET_KEY``; every process of one installation has the same.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        seal: Seal,
        dedup_window: timedelta = timedelta(hours=72),
        retention: timedelta = timedelta(days=7),
        dead_retention: timedelta = timedelta(days=30),
    ) -> None:
        scripts = Scripts(redis)
        self.redis = redis
        self.reading = Reading(redis, seal)
        self.lists = Lists(redis, seal)
        self.histories = Histories(redis, seal)
        self.overview = Overview(redis, seal)
        self.durations = Durations(redis, seal)
        self.live = Live(redis, self.reading)
        self.events = Events(scripts, seal, dedup_window=dedup_window)
        self.jobs = Jobs(scripts, seal, retention=retention, dead_retention=dead_retention)
        self.canceling = Canceling(self.lists, self.jobs)
        self.workers = Workers(scripts)
        self.pauses = Pauses(redis, seal, scripts, self.workers)
        self.archiving = Archiving(redis, seal, scripts, retention=retention, dead_retention=dead_retention)
        self.erasing = Erasing(redis, seal, scripts)
        self.steps = Steps(redis, seal, scripts)
        self.ticks = Ticks(redis, seal, scripts)
        self.receivers = Receivers(redis, seal)
        self.callbacks = Callbacks(scripts, seal, self.receivers)
        self.pausing = Pausing(scripts, self.receivers, self.callbacks)
        self.batches = Batches(redis, seal, retention=dead_retention)
        self.steering = Steering(redis, seal)
        self.replays = Replays(redis, seal, retention=dead_retention)
        self.grades = Grades(redis, seal, scripts)
        self.secret_ages = SecretAges(scripts, seal)
        self.refusals = Refusals(redis, seal, scripts)
        self.admissions = Admissions(scripts)
        self.measures = Measures(redis, seal, scripts)
        self.troubles = Troubles(redis, seal, scripts)
        self.desk = Desk(redis, seal, scripts)

    @classmethod
    def of(cls, redis: Redis, settings: Settings) -> "Ledger":
        """The ledger as the settings want it.

        Raises:
            ValueError: there is no secret key.
        """
        return cls(
            redis,
            seal=Seal(settings.secret_keys or ()),
            dedup_window=settings.dedup_window,
            retention=settings.retention,
            dead_retention=settings.dead_retention,
        )

"""Why a request was refused: which change would have let it pass, and what to do about it.

Pure, but for the time that it takes: the changes of `ingest.variants` are tried one by one, then two at once, until one holds or
the budget is spent. Nothing that is returned shows a secret, a signature or a body.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import combinations, islice, product
from typing import Final

from infra.signatures import SignatureError, SignatureMissing, TimestampOutOfTolerance
from ingest.refusals import Sample
from ingest.sources import Source, Sources
from ingest.variants import Change, Trial, of_addresses, of_bodies, of_keys, of_schemes

BUDGET: Final = timedelta(milliseconds=500)  # of one core, for all samples of a question
_MOST_KEYS: Final = 400  # a house of many sources has many, and each may be read in several ways


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is known of one refused request.

    Args:
        because: why it was refused then.
        holds: what each thing is that would have to be otherwise, together; empty: nothing that we know.
        cures: what to do, in the same order.
        cut_short: there was more to try than time.
    """

    received_at: datetime
    because: str
    size: int
    holds: tuple[str, ...] = ()
    cures: tuple[str, ...] = ()
    cut_short: bool = False


def diagnose(
    samples: Sequence[Sample],
    source: Source,
    sources: Sources,
    *,
    tried: str | None = None,
    budget: timedelta = BUDGET,
    cpu: Callable[[], float] = time.thread_time,
) -> list[Diagnosis]:
    """Look into each sample, newest first.

    Args:
        tried: a secret that is tried too, such as the previous one.
        budget: processor time for all of them; what is left of it is shared evenly.
        cpu: seconds of this thread's processor time.
    """
    found: list[Diagnosis] = []
    ends = cpu() + budget.total_seconds()
    keys = islice(of_keys(source, sources, tried), _MOST_KEYS)
    kinds = [list(keys), list(of_schemes(source))]
    for place, sample in enumerate(samples):
        now = cpu()
        until = now + max(0.0, ends - now) / (len(samples) - place)
        found.append(_diagnosed(sample, source, kinds, lambda until=until: cpu() >= until))  # type: ignore[misc]
    return found


def _diagnosed(
    sample: Sample, source: Source, kinds: Sequence[Iterable[Change]], spent: Callable[[], bool]
) -> Diagnosis:
    told = Diagnosis(received_at=sample.received_at, because=sample.because, size=sample.size)
    if not source.secrets and source.scheme.needs_secret:
        return replace(
            told, holds=("The source has no secret, so it refuses everything.",), cures=("Set its secret.",)
        )
    trial = Trial(scheme=source.scheme, keys=source.secrets, request=sample.request)
    if sample.body is None:
        return replace(
            told,
            cures=("The request was too large to be kept, so nothing could be tried: send a smaller one.",),
        )
    at, clock = _moment(trial, sample.received_at)
    for number, changes in enumerate(_changes(trial, kinds)):
        if number and spent():
            return replace(told, cut_short=True)
        changed = trial
        for change in changes:
            changed = change.make(changed)
        moment, late = (at, clock) if changed.scheme is trial.scheme else _moment(changed, sample.received_at)
        if _holds(changed, moment):
            every = (*changes, *([late] if late else []))
            return replace(
                told,
                holds=tuple(change.what for change in every)
                or ("It holds now: something was set right since.",),
                cures=tuple(change.cure for change in every) or ("Let the sender send it again.",),
            )
    return replace(told, cures=(_advice(trial, at),))


def _changes(trial: Trial, kinds: Sequence[Iterable[Change]]) -> Iterator[tuple[Change, ...]]:
    """Nothing, then each change alone, then each two of different kinds, but for schemes. Made only when it is their turn."""
    yield ()
    made: list[list[Change]] = []
    addresses = of_addresses(trial.request) if trial.scheme.needs_url else ()
    for kind in (of_bodies(trial.request.body), addresses, *kinds):
        made.append([])
        for change in kind:
            made[-1].append(change)
            yield (change,)
    for one, other in combinations(made[:3], 2):
        yield from product(one, other)


def _moment(trial: Trial, received_at: datetime) -> tuple[datetime, Change | None]:
    """When the request was signed, if that was too far from when it came; and what to say of it."""
    try:
        trial.scheme.verify(trial.request, trial.keys, received_at)
    except TimestampOutOfTolerance as error:
        age = float(error.evidence.get("age_seconds", 0))
        side = "behind" if age > 0 else "ahead of"
        return _shifted(received_at, age), Change(
            f"The signed moment is {abs(age):.0f} s {side} our clock.",
            "Let both clocks follow a time server. If the sender sends old requests again: a longer `tolerance`.",
            lambda same: same,
        )
    except SignatureError:
        pass
    return received_at, None


def _shifted(moment: datetime, seconds: float) -> datetime:
    try:
        return moment - timedelta(seconds=seconds)
    except OverflowError:
        return moment


def _holds(trial: Trial, at: datetime) -> bool:
    try:
        trial.scheme.verify(trial.request, trial.keys, at)
    except SignatureError:
        return False
    return True


def _advice(trial: Trial, at: datetime) -> str:
    """What to do where no change holds."""
    try:
        trial.scheme.verify(trial.request, trial.keys, at)
    except SignatureMissing:
        return f"The sender has to sign: {trial.scheme.summary}."
    except SignatureError:
        pass
    return (
        "No change that we know makes it hold. Compare the secret with the sender's; try the previous one with "
        "`hookline sources diagnose --try`."
    )

"""Where the beats of a piece of music are; numpy does the work.

Onsets are sudden gains of energy in the spectrum (spectral flux); the tempo is the delay at which they repeat best; the beats are the
line of onsets that keeps that tempo best (dynamic programming, as in D. P. W. Ellis, "Beat Tracking by Dynamic Programming", 2007).
The tempo may drift.

librosa, which does the same, was tried: it brings 400 MB along, and numba translates it anew in every new process, which took ten seconds and
more of a processor where this takes a tenth of one. aubio is under the GPL, madmom had its last release in 2018.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from numpy import float64, int16
    from numpy.typing import NDArray

RATE: Final = 16_000  # samples a second of what is listened to
_HOP: Final = 160  # samples between two looks: 10 ms
_WINDOW: Final = 512  # samples of a look
_BANDS: Final = 24  # of the spectrum, each about a quarter of an octave or one line wide
_RISE: Final = 0.6  # of a window: where in it an onset stands when the flux is greatest
_AT_ONCE: Final = 8_192  # looks, to bound memory
_SLOWEST, _FASTEST, _USUAL = 60.0, 180.0, 120.0  # beats a minute
_STEADY: Final = 100.0  # what it costs to leave the tempo
_REPEATS: Final = 0.1  # the least correlation that makes it a beat


@dataclass(frozen=True, slots=True, kw_only=True)
class Beats:
    """What was found.

    Args:
        times: of the beats, in seconds from the beginning.
        tempo: beats a minute.
    """

    times: list[float]
    tempo: float


def find(samples: "NDArray[int16]") -> Beats | None:
    """The beats; None where nothing repeats.

    Args:
        samples: of one channel, `RATE` a second.
    """
    flux = _flux(samples)
    period = _period(flux)
    if period is None:
        return None
    looks = _line(flux, period)
    shift = _RISE * _WINDOW / RATE
    times = [round(look * _HOP / RATE + shift, 3) for look in looks]
    if len(times) < 2:
        return None
    tempo = 60 * (len(times) - 1) / (times[-1] - times[0])
    return Beats(times=times, tempo=round(tempo, 1))


def _flux(samples: "NDArray[int16]") -> "NDArray[float64]":
    """How much energy each look has gained over the one before, with its deviation as the unit."""
    import numpy as np

    padded = np.pad(samples.astype(np.float32) / 32_768, (0, _WINDOW))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    shape = np.hanning(_WINDOW).astype(np.float32)
    flux = np.zeros(len(windows))
    edges = np.unique(np.geomspace(1, _WINDOW // 2, _BANDS).astype(int))
    widths = np.diff(edges, append=_WINDOW // 2 + 1)
    before = np.zeros(len(edges))
    for start in range(0, len(windows), _AT_ONCE):
        power = np.abs(np.fft.rfft(windows[start : start + _AT_ONCE] * shape)) ** 2
        spectrum = np.log1p(10 * np.sqrt(np.add.reduceat(power, edges, axis=1) / widths))
        gained = np.diff(spectrum, axis=0, prepend=before[np.newaxis])
        flux[start : start + len(spectrum)] = np.maximum(gained, 0).sum(axis=1)
        before = spectrum[-1]
    flux = np.maximum(flux - _smoothed(flux), 0)
    deviation = flux.std()
    return flux / deviation if deviation > 1e-6 else np.zeros(len(flux))


def _smoothed(flux: "NDArray[float64]") -> "NDArray[float64]":
    """The mean of half a second around."""
    import numpy as np

    width = min(51, len(flux))
    return np.convolve(flux, np.ones(width) / width, mode="same")


def _period(flux: "NDArray[float64]") -> float | None:
    """Looks from beat to beat: where the flux is most like itself, with a liking for usual tempos."""
    import numpy as np

    shortest, longest = round(60 * RATE / _HOP / _FASTEST), round(60 * RATE / _HOP / _SLOWEST)
    if len(flux) < 2 * longest or not flux.any():
        return None
    centred = flux - flux.mean()
    size = 1 << (2 * len(flux) - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    likeness = np.fft.irfft(power, size)[: longest + 2]
    likeness = np.convolve(likeness / likeness[0], [0.25, 0.5, 0.25], mode="same")
    lags = np.arange(shortest, longest + 1)
    liking = np.exp(-0.5 * np.log2(60 * RATE / _HOP / lags / _USUAL) ** 2)
    best = int(lags[np.argmax(likeness[lags] * liking)])
    if likeness[best] < _REPEATS:
        return None
    left, middle, right = likeness[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return best + float(0.5 * (left - right) / bend if bend < 0 else 0)


def _line(flux: "NDArray[float64]", period: float) -> list[int]:
    """The looks that are beats: together they have the most flux at intervals that are most like the period."""
    import numpy as np

    back = np.arange(-round(2 * period), -round(period / 2) + 1)
    cost = _STEADY * np.log(-back / period) ** 2
    score = np.zeros(len(flux))
    before = np.full(len(flux), -1)
    for look in range(len(flux)):
        from_ = look + back
        known = from_ >= 0
        if not known.any():
            score[look] = flux[look]
            continue
        scores = score[from_[known]] - cost[known]
        best = int(np.argmax(scores))
        score[look] = flux[look] + max(scores[best], 0.0)
        before[look] = from_[known][best] if scores[best] > 0 else -1
    look = int(np.argmax(score))
    line = []
    while look >= 0:
        line.append(look)
        look = int(before[look])
    line.reverse()
    return line

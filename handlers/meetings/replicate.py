"""Speech to text at Replicate: a prediction is started, and its webhook says how it ended.

Source: https://replicate.com/docs/reference/http (predictions.create), https://replicate.com/docs/topics/webhooks.
"""

from typing import Any

import httpx
import msgspec

from handlers import Reject
from handlers.fireflies_api import Sentence
from handlers.outside import ServiceBusy, post


class Segment(msgspec.Struct):
    """What Whisper heard; times in seconds. Models that tell voices apart name a speaker."""

    text: str
    start: float | None = None
    end: float | None = None
    speaker: str | None = None


class Heard(msgspec.Struct):
    """A model's output, as Whisper's models have it."""

    segments: list[Segment]


class Prediction(msgspec.Struct):
    """As the webhook brings it."""

    id: str
    status: str
    output: Any = None
    error: Any = None


async def start(http: httpx.AsyncClient, url: str, token: str, model: str, audio: str, hook: str) -> str:
    """Start a prediction, of which our own hook is told when it has ended. Returns its id.

    Raises:
        ServiceRefused, ServiceBusy: it was not started.
    """
    body = {
        "version": model,
        "input": {"audio": audio},
        "webhook": hook,
        "webhook_events_filter": ["completed"],
    }
    told = await post(http, f"{url}/v1/predictions", body, token=token, name="Replicate")
    if not isinstance(told.get("id"), str):
        raise ServiceBusy("Replicate answers without the id of the prediction")
    return str(told["id"])


def sentences_of(payload: Any) -> list[Sentence]:
    """What was heard.

    Raises:
        Reject: nothing was, or the prediction failed.

    >>> sentences_of({"id": "p1", "status": "succeeded", "output": {"segments": [{"text": " Fine. ", "start": 0, "end": 1}]}})
    [Sentence(speaker_name=None, text='Fine.', start_time=0.0, end_time=1.0)]
    """
    try:
        prediction = msgspec.convert(payload, Prediction)
        if prediction.status != "succeeded":
            raise Reject(f"the prediction {prediction.status}: {prediction.error or 'it does not say why'}")
        heard = msgspec.convert(prediction.output, Heard)
    except msgspec.ValidationError as error:
        raise Reject(f"Replicate's prediction is not as documented: {error}") from None
    return [
        Sentence(speaker_name=one.speaker, text=one.text.strip(), start_time=one.start, end_time=one.end)
        for one in heard.segments
        if one.text.strip()
    ]

"""A meeting by Fireflies' webhook, and a recording by Replicate's, up to the summary of their programme; every service is a stand-in."""

import json
import secrets
import time
from collections.abc import Mapping
from contextlib import ExitStack

import httpx

from handlers.testing import signed
from infra.cli.background import serving
from infra.cli.demos.stage import DemoError, Demonstration, Stage
from infra.cli.standins import embeddings, fireflies, replicate
from infra.clock import wall_milliseconds
from infra.signatures import new_whsec

_ORGANISATION = "acme"
_PROJECT, _PROGRAMME = "Launch", "2026"
_MEETINGS = 2  # the one that Fireflies tells of, and the recording
_PATIENCE_SECONDS = 60.0


def _variables(stack: ExitStack) -> Mapping[str, str]:
    secret = new_whsec(secrets.token_bytes)
    vectors = stack.enter_context(serving(embeddings.EmbeddingsStandIn().app))
    meetings = stack.enter_context(serving(fireflies.FirefliesStandIn(meeting_id=None).app))
    speech = stack.enter_context(serving(replicate.ReplicateStandIn(secret=secret).app))
    return {
        "EMBEDDINGS_URL": vectors,
        "EMBEDDINGS_KEY": embeddings.API_KEY,
        "FIREFLIES_API_URL": f"{meetings}/graphql",
        "FIREFLIES_API_KEY": fireflies.API_KEY,
        "FIREFLIES_ORGANISATION": _ORGANISATION,
        "FIREFLIES_PROGRAMME": _PROGRAMME,
        "REPLICATE_API_URL": speech,
        "REPLICATE_API_TOKEN": replicate.API_TOKEN,
        "REPLICATE_MODEL": "openai/whisper:stand-in",
        "SOURCE_REPLICATE_SECRET": secret,
        "SOURCE_REPLICATE_WAIT_KEY": "json:$.id",
        "SUMMARIES_WAIT": "1s",
    }


def _play(stage: Stage) -> None:
    minutes = stage.follow(_webhook(stage)).result
    for item in minutes["action_items"]:
        stage.say(f"  {item['owner']}: {item['text']}")
    recording = {
        "organisation": _ORGANISATION,
        "project": _PROJECT,
        "programme": _PROGRAMME,
        "title": "Launch check-in, recorded",
        "audio": "https://example.com/launch.mp3",
    }
    result = stage.run("transcripts.transcribe", recording, tag=_ORGANISATION).result
    for decision in result["decisions"]:
        stage.say(f"  decided: {decision['text']}")
    lines = stage.keep(result["chunks"]["file"]).read_text("utf-8").splitlines()
    if not all(json.loads(line)["vector"] for line in lines):
        raise DemoError("a chunk has no vector")
    _show_programme(stage)


def _webhook(stage: Stage) -> str:
    """The id of the job that Fireflies' event makes."""
    event = {
        "event": "meeting.summarized",
        "timestamp": wall_milliseconds(),
        "meeting_id": f"standin{secrets.token_hex(6)}",
        "client_reference_id": _PROJECT,
    }
    url = f"{stage.web}/hooks/fireflies"
    request = signed("fireflies", event, secret=stage.variables["SOURCE_FIREFLIES_SECRET"], url=url)
    stage.say(f"→ POST {url}  x-hub-signature: {request.headers['x-hub-signature'][:24]}…")
    with httpx.Client(trust_env=False, timeout=10) as client:
        answer = client.send(request)
    if answer.status_code != httpx.codes.ACCEPTED:
        raise DemoError(f"the web process answers {answer.status_code}")
    return str(answer.json()["job_id"])


def _show_programme(stage: Stage) -> None:
    """The summary of both meetings, by jobs that nobody submitted."""
    limit = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < limit:
        for job in stage.client.jobs(tag=_ORGANISATION, type="summaries.programme", status="finished"):
            found = stage.client.job(job.id).result  # a list has none
            if len(found["meetings"]) < _MEETINGS:
                continue
            projects = ", ".join(
                f"{one['project']} ({', '.join(one['meetings'])})" for one in found["projects"]
            )
            stage.say(
                f"✓ summary of the programme {found['programme']}: {projects}; {len(found['decisions'])} decisions"
            )
            return
        time.sleep(0.2)
    raise DemoError("the programme has no summary")


DEMO = Demonstration(variables=_variables, play=_play)

"""Many jobs, again."""

from ingest.openapi.call import JSON, Answer, Body, Call
from ingest.openapi.calls.parameters import JSON_BODY, REPLAY
from ingest.openapi.shapes.steering import BulkReplay, BulkReplays, BulkRequest, DryRun
from ingest.problems import (
    INVALID,
    NOT_FOUND,
    NOT_READABLE,
    REPLAY_ENDED,
)

CALLS = (
    Call(
        method="POST",
        path="/replays",
        of_many=True,
        name="startReplay",
        tag="Bulk replays",
        summary="Run many jobs again, or count them",
        words="Failed jobs are retried, all others replayed, in the `low` queue, so many a second, until too large a share of them fails.",
        scope="operate",
        body=Body(
            media={JSON: BulkRequest},
            examples={
                "how many would it be?": {"filter": {"status": "failed", "since": "2h"}, "dry_run": True},
                "the dead letters of a source": {"filter": {"source": "acme"}, "rate": 10},
            },
            required=False,
        ),
        answers={
            200: Answer(words="What a dry run found.", media={JSON: DryRun}),
            202: Answer(
                words="It begins.",
                media={JSON: BulkReplay},
                headers={"Location": "Where it can be looked at."},
                links={"readReplay": "$response.body#/id", "cancelReplay": "$response.body#/id"},
            ),
        },
        problems=(
            *JSON_BODY,
            INVALID,
            NOT_FOUND,
            NOT_READABLE,
        ),
        curl='-d \'{"filter": {"status": "failed", "since": "2h"}, "dry_run": true}\' "$HOOKLINE/replays"',
    ),
    Call(
        method="GET",
        path="/replays",
        of_many=True,
        name="listReplays",
        tag="Bulk replays",
        summary="The newest bulk replays",
        scope="read",
        answers={200: Answer(words="Those.", media={JSON: BulkReplays})},
        problems=(NOT_READABLE,),
        curl='"$HOOKLINE/replays"',
    ),
    Call(
        method="GET",
        path="/replays/{id}",
        name="readReplay",
        tag="Bulk replays",
        summary="One of them, as it stands",
        scope="read",
        parameters=(REPLAY,),
        answers={200: Answer(words="The bulk replay.", media={JSON: BulkReplay})},
        problems=(NOT_FOUND, NOT_READABLE),
        curl='"$HOOKLINE/replays/$REPLAY"',
    ),
    Call(
        method="POST",
        path="/replays/{id}/cancel",
        name="cancelReplay",
        tag="Bulk replays",
        summary="Begin no further job of it",
        words="What was begun goes on.",
        scope="operate",
        parameters=(REPLAY,),
        answers={200: Answer(words="The bulk replay, stopped.", media={JSON: BulkReplay})},
        problems=(NOT_FOUND, REPLAY_ENDED, NOT_READABLE),
        curl='-X POST "$HOOKLINE/replays/$REPLAY/cancel"',
    ),
)

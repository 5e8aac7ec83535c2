"""Files for jobs, and files of jobs."""

from typing import Annotated

from msgspec import Meta

from ingest.openapi.call import JSON, Answer, Body, Call
from ingest.openapi.calls.parameters import in_path
from ingest.openapi.shapes.steering import File
from ingest.openapi.shapes.words import JobId
from ingest.problems import BODY_TIMEOUT, BODY_TOO_LARGE, FILES_CLOSED, FILES_UNAVAILABLE, INVALID, NOT_FOUND

CALLS = (
    Call(
        method="POST",
        path="/files",
        name="uploadFile",
        tag="Files",
        summary="Send a file up",
        words="The raw body is the file; a payload names it by its id.",
        scope="submit",
        body=Body(media={"application/octet-stream": None}),
        answers={201: Answer(words="It is kept.", media={JSON: File})},
        problems=(BODY_TIMEOUT, BODY_TOO_LARGE, INVALID, FILES_CLOSED, FILES_UNAVAILABLE),
        curl='-H "Content-Type: application/octet-stream" --data-binary @/etc/hostname "$HOOKLINE/files"',
    ),
    Call(
        method="GET",
        path="/artifacts/{job}/{name}",
        name="loadArtifact",
        tag="Files",
        summary="What a job left behind",
        words="To be saved: no browser shows or runs it. The link stands in the job's result.",
        link=True,
        parameters=(in_path("job", JobId), in_path("name", Annotated[str, Meta(examples=["report.pdf"])])),
        answers={
            200: Answer(
                words="The file, of the type that its handler said.",
                media={"*/*": None},
                headers={"Content-Disposition": "A name to save it under.", "ETag": "Its SHA-256."},
            )
        },
        problems=(NOT_FOUND, INVALID, FILES_CLOSED, FILES_UNAVAILABLE),
        curl='"$ARTIFACT_URL"',
    ),
)

"""The meeting that the Fireflies stand-in knows: a product team of three, two decisions, four things to do."""

from datetime import UTC, datetime
from typing import Any

from infra.clock import rfc3339, unix_milliseconds

MEETING_ID = "01JDEMOMEETING7QK3W9XH2V5T"
_HELD_AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
_SPEAKERS = ("Amara Okafor", "Jonas Lindqvist", "Priya Raman")

# Who spoke (an index into _SPEAKERS), from and until when in seconds, and what.
_SAID = (
    (
        0,
        2.1,
        9.4,
        "Morning, both. The launch is three weeks out, so let's settle the date and the pricing page.",
    ),
    (
        1,
        10.0,
        18.6,
        "The importer passed the load test last night. Forty thousand rows in eleven minutes, no errors.",
    ),
    (2, 19.2, 24.8, "That's twice as fast as the old one. What about the duplicates that support saw?"),
    (
        1,
        25.3,
        36.9,
        "Fixed on Tuesday: we match on the sender's own id now. I'll write the migration guide by Thursday.",
    ),
    (0, 37.5, 44.0, "Good. Have we agreed on the date with the partners?"),
    (2, 44.6, 57.3, "Two of three are ready. The third needs a week more for its security review."),
    (0, 58.0, 66.2, "Then we decided: the launch moves to the eighth of December, with all three."),
    (2, 67.0, 75.5, "I will tell the partners today, and update the shared calendar."),
    (1, 76.1, 83.7, "On pricing, I'd rather not show four plans. People read the first two and leave."),
    (2, 84.2, 95.8, "The test agrees: the page with two plans had a third more sign-ups over fourteen days."),
    (0, 96.4, 104.9, "Let's go with two plans, and put the rest behind a link to sales."),
    (2, 105.5, 113.0, "Jonas, can you check that the billing export can carry the new plan names?"),
    (1, 113.6, 117.2, "Yes, before the end of the day."),
    (0, 118.0, 129.4, "I'll prepare the announcement and share a draft on Monday. Thanks, that was quick."),
)


def meeting() -> dict[str, Any]:
    """A fresh copy, in the documented shape: `date` in ms since 1970, `duration` in minutes, times in seconds."""
    return {
        "id": MEETING_ID,
        "title": "Launch check-in",
        "date": unix_milliseconds(_HELD_AT),
        "dateString": rfc3339(_HELD_AT),
        "duration": 2.18,
        "organizer_email": "amara@example.com",
        "host_email": "amara@example.com",
        "participants": ["amara@example.com", "jonas@example.com", "priya@example.com"],
        "meeting_attendees": [
            {"displayName": name, "email": f"{name.split()[0].lower()}@example.com", "name": name}
            for name in _SPEAKERS
        ],
        "speakers": [{"id": number, "name": name} for number, name in enumerate(_SPEAKERS)],
        "sentences": [
            {
                "index": index,
                "speaker_name": _SPEAKERS[who],
                "text": text,
                "start_time": start,
                "end_time": end,
            }
            for index, (who, start, end, text) in enumerate(_SAID)
        ],
        "summary": {
            "overview": "The team moved the launch to 8 December so that all three partners can join, and chose a pricing "
            "page with two plans. The importer passed its load test.",
            "short_summary": "Launch on 8 December with three partners; two plans on the pricing page.",
            "gist": "Launch date and pricing page settled.",
            "bullet_gist": "📅 Launch moves to 8 December\n💶 Two plans on the pricing page",
            "action_items": "**Jonas Lindqvist**\nWrite the migration guide by Thursday (00:25)\n"
            "Check that the billing export can carry the new plan names (01:45)\n\n"
            "**Priya Raman**\nTell the partners the new date and update the shared calendar (01:07)\n\n"
            "**Amara Okafor**\nPrepare the announcement and share a draft on Monday (01:58)\n",
            "keywords": ["launch", "pricing page", "importer", "partners"],
            "outline": "Launch date (00:02)\nPricing page (01:16)",
            "topics_discussed": ["Launch date", "Pricing page"],
            "meeting_type": "Team meeting",
        },
        "meeting_info": {"summary_status": "processed", "silent_meeting": False},
        "transcript_url": f"https://app.fireflies.ai/view/{MEETING_ID}",
        "is_live": False,
    }

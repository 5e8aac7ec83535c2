"""Lists, timelines, exports and queues over HTTP, of what real workers did (CONTRACT, section 6)."""

import json
import uuid
from pathlib import Path
from typing import Any

from tests.acceptance.builders import API_KEY, System, assert_problem


def get(house: System, path: str, key: str = API_KEY, **query: Any) -> Any:
    return house.http.get(path, params=query, headers={"Authorization": f"Bearer {key}"})


def test_what_was_done_can_be_found_again(house: System) -> None:
    tag = uuid.uuid4().hex
    told = house.submit([{"type": "echo", "payload": number, "tag": tag} for number in range(7)]).json()
    for each in told:
        house.ended(each["job_id"])

    found: list[str] = []
    query: dict[str, Any] = {"tag": tag, "status": "finished", "source": "api", "type": "echo", "limit": 3}
    while True:
        page = get(house, "/jobs", **query).json()
        found += [job["id"] for job in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert sorted(found) == sorted(each["job_id"] for each in told)
    events = get(house, "/events", tag=tag).json()["items"]
    assert {event["status"] for event in events} == {"finished"}
    assert sorted(event["id"] for event in events) == sorted(each["event_id"] for each in told)
    assert get(house, "/jobs", tag=tag, status="failed").json() == {"items": [], "next_cursor": None}


def test_an_event_tells_its_whole_story(house: System) -> None:
    payload = {"type": "echo", "text": "<script>alert(1)</script>"}
    told = house.send(payload).json()
    house.ended(told["job_id"])

    shown = get(house, f"/events/{told['event_id']}").json()
    kinds = [entry["kind"] for entry in shown["timeline"]]
    assert kinds[:3] == ["received", "verified", "queued"]
    assert kinds.index("attempt") < kinds.index("ended")
    assert json.loads(shown["body"]) == payload
    assert shown["headers"]["x-acme-signature"] == "***"

    raw = get(house, f"/events/{told['event_id']}/body")
    assert raw.json() == payload
    assert raw.headers["Content-Type"] == "application/octet-stream"
    assert raw.headers["Content-Disposition"].startswith("attachment")

    found = get(house, "/events", source="acme", provider_event_id=shown["provider_event_id"]).json()["items"]
    assert [event["id"] for event in found] == [told["event_id"]]


def test_an_export_is_verified_by_the_command_line(house: System, tmp_path: Path) -> None:
    told = house.send({"type": "echo"}).json()
    house.ended(told["job_id"])
    file = tmp_path / "export.json"
    exported = get(house, f"/events/{told['event_id']}/export").json()
    file.write_text(json.dumps(exported, indent=4, ensure_ascii=False))
    house.run("hookline", "events", "verify", str(file), said=f"sound: {told['event_id']}")
    exported["document"]["event"]["source"] = "another"
    file.write_text(json.dumps(exported))
    house.run("hookline", "events", "verify", str(file), said="no signature of ours holds")


def test_queues_and_workers_are_told(house: System) -> None:
    told = house.submit({"type": "echo", "run_in": "1h", "queue": "low"}).json()
    shown = get(house, "/queues").json()
    (low,) = [queue for queue in shown["queues"] if queue["name"] == "low"]
    assert low["scheduled"] >= 1
    assert shown["workers"]
    assert all(worker["host"] and worker["last_seen_at"] for worker in shown["workers"])
    house.http.post(f"/jobs/{told['job_id']}/cancel", headers={"Authorization": f"Bearer {API_KEY}"})


def test_the_past_gives_an_estimate(house: System) -> None:
    for _ in range(3):
        house.ended(house.submit({"type": "echo"}).json()["job_id"])
    later = house.submit({"type": "echo", "run_in": "1h"}).json()["job_id"]
    assert house.job(later)["estimated_seconds"] >= 0


def test_another_site_learns_nothing(house: System) -> None:
    """A093, A094."""
    answer = house.http.get(
        "/jobs", headers={"Authorization": f"Bearer {API_KEY}", "Origin": "https://evil.test"}
    )
    assert answer.is_success
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_nobody_looks_without_a_key(house: System) -> None:
    """A083, A086."""
    told = house.send({"type": "echo"}).json()
    for path in ("/jobs", "/events", "/callbacks", "/queues", f"/events/{told['event_id']}",
                 f"/events/{told['event_id']}/body", f"/events/{told['event_id']}/export"):  # fmt: skip
        for key in ("nobody's", "s3cret"):
            assert_problem(get(house, path, key), 401, "unauthorized")
        twice = [("Authorization", f"Bearer {API_KEY}")] * 2
        assert_problem(house.http.get(path, headers=twice), 401, "unauthorized")
        for sneaky in (path.upper(), f"/{path}", f"{path}/", f"/.{path}", path.replace("/", "/..;/", 1)):
            answer = house.http.get(sneaky)
            assert answer.status_code in (401, 404, 405), sneaky

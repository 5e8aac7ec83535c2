"""The deploy files are what their platforms take, and agree with the settings. `tests/acceptance/test_deploy_commands.py` starts them."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from infra.cli import hookline
from infra.metrics import FAMILIES
from infra.settings import Settings, documented_settings
from ingest.sources import load_sources
from tests.conftest import missing
from tests.deployment import (
    DEPLOY,
    ROOT,
    Started,
    compose,
    dockerfile,
    fly,
    kubernetes,
    railway,
    render,
    said_by,
    started,
    unit,
)

GRACE = Settings.load({}).shutdown_grace.total_seconds()
PROMETHEUS = DEPLOY / "prometheus"


@pytest.fixture(scope="module")
def on_railway(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return railway(tmp_path_factory.mktemp("railway"))


# -- what all of them start --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", started(), ids=str)
def test_a_command_is_one_of_ours_with_options_of_its_own(one: Started) -> None:
    program, name, *options = one.plain
    assert program == "hookline"
    assert isinstance(hookline, click.Group)
    command = hookline.get_command(click.Context(hookline), name)
    assert command is not None
    command.make_context(name, options, resilient_parsing=False)


@pytest.mark.parametrize("one", [one for one in started() if one.patience is not None], ids=str)
def test_a_worker_has_more_time_to_stop_than_its_grace(one: Started) -> None:
    assert one.patience is not None
    assert one.patience >= (GRACE + 15 if "worker" in one.plain else 15)


def test_every_platform_starts_a_web_and_a_worker() -> None:
    kinds: dict[str, set[str]] = {}
    for one in started():
        kinds.setdefault(one.file, set()).add(one.plain[1])
    assert kinds == {file: {"web", "worker"} for file in ("Procfile", "compose.yaml", "systemd", "kubernetes", "render.yaml", "fly.toml")}  # fmt: skip


def test_a_shell_gives_way_to_the_command_it_starts() -> None:
    """As process 1 it would keep SIGTERM to itself."""
    assert [one.words for one in started() if one.file == "Procfile"] == [
        "exec hookline web",
        "exec hookline worker",
    ]


def test_every_variable_that_is_set_is_a_setting() -> None:
    settings = {field.metadata["variable"] for field in documented_settings()}
    files = [
        "compose.yaml",
        ".railway/railway.ts",
        *(str(file.relative_to(ROOT)) for file in DEPLOY.rglob("*.*")),
    ]
    named = {
        name
        for file in files
        for name in re.findall(r"\b(?:HOOKLINE|REDIS)_[A-Z_]+\b", (ROOT / file).read_text())
    }
    sources = {
        name for file in files for name in re.findall(r"\bSOURCE_[A-Z_]+\b", (ROOT / file).read_text())
    }
    assert named <= settings
    assert {"REDIS_URL", "HOOKLINE_SECRET_KEY", "HOOKLINE_CALLBACK_SECRET"} <= named
    assert (
        load_sources(Settings.load({}), dict.fromkeys(sources, "any"), read_file=lambda _: "").ignored == ()
    )


# -- one by one --------------------------------------------------------------------------------------------------------


def test_railway_has_two_services_of_ours_and_a_store_that_keeps(
    on_railway: dict[str, dict[str, Any]],
) -> None:
    web, worker, valkey = (on_railway[name] for name in ("web", "worker", "valkey"))
    assert (web["start"], worker["start"]) == ("hookline web", "hookline worker")
    assert web["healthcheck"] == "/healthz"
    assert not {"healthcheck", "domains"} & worker.keys()
    assert [one["deploy"]["restartPolicyType"] for one in (web, worker, valkey)] == ["ALWAYS"] * 3
    assert valkey["volumeMounts"] == {"/data": on_railway["valkey-data"]}
    assert {one["env"]["REDIS_URL"] for one in (web, worker)} == {
        "redis://default:${{valkey.VALKEY_PASSWORD}}@${{valkey.RAILWAY_PRIVATE_DOMAIN}}:6379"
    }
    assert not web["deploy"]["sleepApplication"]


def test_railway_drains_for_longer_than_the_grace_and_says_so_in_numbers(
    on_railway: dict[str, dict[str, Any]],
) -> None:
    for name in ("web", "worker", "valkey"):
        assert isinstance(on_railway[name]["deploy"]["drainingSeconds"], int)
    assert on_railway["worker"]["deploy"]["drainingSeconds"] >= GRACE + 15


def test_no_file_is_for_what_railway_reads_no_more() -> None:
    assert [name for name in ("railway.json", "railway.toml") if (ROOT / name).exists()] == []


def test_the_image_runs_as_nobody_in_particular_and_without_a_shell() -> None:
    assert dockerfile("USER") == ["10001"]
    assert [json.loads(line) for line in dockerfile("ENTRYPOINT") + dockerfile("CMD")] == [
        ["hookline"],
        ["web"],
    ]
    assert len(dockerfile("FROM")) == 2
    assert "--locked" in " ".join(dockerfile("RUN"))


def test_the_image_has_the_uv_that_the_makefile_has() -> None:
    (version,) = re.findall(r"^UV := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"--from=ghcr.io/astral-sh/uv:{version} /uv /bin/uv" in dockerfile("COPY")


def test_what_the_image_copies_is_there_and_reaches_the_builder() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {path for line in dockerfile("COPY") if not line.startswith("--") for path in line.split()[:-1]}
    assert copied == let_in
    assert [path for path in copied if not (ROOT / path).exists()] == []


def test_compose_keeps_its_data_and_waits_for_it() -> None:
    services = compose()["services"]
    assert services["valkey"]["volumes"] == ["valkey:/data"]
    for name in ("web", "worker"):
        assert services[name]["restart"] == "always"
        assert services[name]["depends_on"] == {"valkey": {"condition": "service_healthy"}}
    assert "/healthz" in services["web"]["healthcheck"]["test"][-1]
    assert "healthcheck" not in services["worker"]


@pytest.mark.parametrize("name", ["hookline-web", "hookline-worker"])
def test_a_unit_restarts_whatever_its_exit_code_and_signals_the_parent_alone(name: str) -> None:
    assert (unit(name)["Restart"], unit(name)["KillMode"], unit(name)["Type"]) == ("always", "mixed", "exec")


@pytest.mark.parametrize("name", ["hookline-web", "hookline-worker"])
def test_systemd_takes_the_unit(name: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    text = (DEPLOY / "systemd" / f"{name}.service").read_text()
    there = tmp_path / f"{name}.service"
    there.write_text(text.replace("/opt/hookline/.venv/bin/hookline", "/bin/true"))
    said_by("systemd-analyze", "verify", "--man=no", str(there), directory=tmp_path)


def test_kubernetes_asks_healthz_of_web_and_nothing_of_workers() -> None:
    for manifest in kubernetes():
        for container in manifest["spec"].get("template", {}).get("spec", {}).get("containers", ()):
            probes = {kind: container[kind]["httpGet"]["path"] for kind in container if kind.endswith("Probe") and "httpGet" in container[kind]}  # fmt: skip
            expected = (
                {"readinessProbe": "/healthz", "livenessProbe": "/healthz"}
                if container["name"] == "web"
                else {}
            )
            assert probes == expected


def test_keda_scales_by_every_queue_and_never_ends_a_worker() -> None:
    (scaled,) = [manifest for manifest in kubernetes() if manifest["kind"] == "ScaledJob"]
    lists = [trigger["metadata"]["listName"] for trigger in scaled["spec"]["triggers"]]
    assert lists == [f"rq:queue:{queue}" for queue in Settings.load({}).queues]
    assert "activeDeadlineSeconds" not in scaled["spec"]["jobTargetRef"]
    assert scaled["spec"]["jobTargetRef"]["backoffLimit"] == 0


def test_every_manifest_names_its_kind_and_selects_its_own_pods() -> None:
    for manifest in kubernetes():
        assert {"apiVersion", "kind", "metadata", "spec"} <= manifest.keys()
        if "template" in manifest["spec"]:
            labels = manifest["spec"]["template"]["metadata"]["labels"]
            assert manifest["spec"]["selector"]["matchLabels"] == labels


def test_fly_and_render_check_web_alone_and_keep_the_worker_up() -> None:
    assert fly()["kill_signal"] == "SIGTERM"
    assert (fly()["http_service"]["processes"], fly()["http_service"]["checks"][0]["path"]) == (
        ["web"],
        "/healthz",
    )
    assert fly()["restart"][0]["policy"] == "always"
    kinds = {one["type"]: one for one in render()["services"]}
    assert kinds["web"]["healthCheckPath"] == "/healthz"
    assert "healthCheckPath" not in kinds["worker"]
    assert kinds["keyvalue"]["maxmemoryPolicy"] == "noeviction"


# -- Prometheus --------------------------------------------------------------------------------------------------------


def promtool(*words: str) -> str:
    if shutil.which("promtool") is None:
        missing("no promtool on the PATH: apt-get install prometheus")
    return said_by("promtool", *words, directory=PROMETHEUS)


def test_promtool_takes_the_rules_and_they_fire_when_they_should() -> None:
    assert "12 rules found" in promtool("check", "rules", "alerts.yml")
    promtool("check", "config", "--syntax-only", "prometheus.yml")
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_every_alert_fires_in_a_test_of_promtools() -> None:
    rules = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one.get("exp_alerts")}
    assert {rule["alert"] for rule in rules} == fired


GAUGES = {
    "jobs",
    "queue_oldest_seconds",
    "callbacks",
    "callbacks_overdue_seconds",
    "workers",
    "redis_up",
    "archive_failing",
    "info",
}


def series() -> set[str]:
    """Every series that `/metrics` can show."""
    counters = {f"{family.name}_total" for family in FAMILIES if not family.bounds}
    histograms = {
        f"{family.name}_seconds_{part}"
        for family in FAMILIES
        if family.bounds
        for part in ("bucket", "sum", "count")
    }
    return {f"hookline_{name}" for name in GAUGES | counters | histograms | {"quarantined_total"}}


@pytest.mark.parametrize("file", ["alerts.yml", "grafana.json"])
def test_every_series_that_is_asked_for_exists(file: str) -> None:
    named = set(re.findall(r"\bhookline_[a-z_]+\b", (PROMETHEUS / file).read_text()))
    assert len(named) > 5
    assert named <= series()


def test_the_dashboard_shows_every_family_and_places_its_panels() -> None:
    dashboard = json.loads((PROMETHEUS / "grafana.json").read_text())
    asked = json.dumps([panel["targets"] for panel in dashboard["panels"]])
    assert [family.name for family in FAMILIES if f"hookline_{family.name}" not in asked] == []
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)

"""The dashboard queries only what Monica exposes, and a real Prometheus that scrapes her answers every query."""

from __future__ import annotations

import json
import math
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from tests.support.prometheus import Prometheus
from tests.support.server import ROOT, Server
from tests.support.wire import until

FOLDER = ROOT / "grafana"
BOARD: dict[str, Any] = json.loads((FOLDER / "dashboards/monica.json").read_text())
PANELS: list[dict[str, Any]] = BOARD["panels"]
CORE = {"stat", "gauge", "table", "timeseries"}
MAY_BE_EMPTY = {
    "Alertes en cours": "none fires",
    "Répétition": "no job runs",
    "Part des prises écoutées qui ne sont pas bonnes, par voix": "no job listens",
}


def provisioned(kind: str) -> Any:
    (file,) = (FOLDER / "provisioning" / kind).iterdir()
    return YAML(typ="safe").load(file)


def expressions(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def test_dashboard_is_read_only_and_uses_the_provisioned_source() -> None:
    (source,) = provisioned("datasources")["datasources"]
    (provider,) = provisioned("dashboards")["providers"]
    assert (BOARD["editable"], provider["allowUiUpdates"], source["editable"]) == (False, False, False)
    asked = [panel["datasource"] for panel in PANELS] + [t["datasource"] for p in PANELS for t in p["targets"]]
    assert all(each == {"type": source["type"], "uid": source["uid"]} for each in asked)
    # Both by their names in Docker's network, and with the folders mounted where Grafana expects them.
    services = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
    assert "prometheus" in services
    assert source["url"] == "http://prometheus:9090"
    mounted = [volume.split(":")[:2] for volume in services["grafana"]["volumes"]]
    assert ["./grafana/dashboards", provider["options"]["path"]] in mounted
    assert ["./grafana/provisioning", "/etc/grafana/provisioning"] in mounted


def test_panels_need_no_plugin_do_not_overlap_and_have_descriptions() -> None:
    assert {panel["type"] for panel in PANELS} <= CORE
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert all(panel["title"] and panel["description"].endswith(".") for panel in PANELS)
    places = {panel["id"]: panel["gridPos"] for panel in PANELS}
    assert all(p["x"] >= 0 and p["x"] + p["w"] <= 24 for p in places.values())
    for one, other in combinations(places.values(), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_every_metric_and_label_in_the_dashboard_exists(server: Server) -> None:
    server.say("Une phrase.")
    text = requests.get(f"{server.url}/metrics", timeout=10).text
    series: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series.setdefault(sample.name, {"job", "instance"}).update(sample.labels)
    named = [
        (name, set(re.findall(r"(\w+)=~?\"", matchers)))
        for panel in PANELS
        for expression in expressions(panel)
        for name, matchers in re.findall(r"\b((?:monica|process)_\w+)(\{[^}]*\})?", expression)
    ]
    assert len(named) > 30
    assert [(name, labels) for name, labels in named if name not in series or labels - series[name]] == []


def test_colours_change_at_the_thresholds_of_the_alerts() -> None:
    alerts = (ROOT / "prometheus/alerts.yml").read_text()
    thresholds = {
        panel["title"]: [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
        for panel in PANELS
        if panel["type"] == "stat"
    }
    assert "monica_failures_in_a_row >= 3" in alerts
    assert thresholds["Échecs de suite"][-1] == 3
    assert "monica_disk_free_bytes < 2 * 1024 ^ 3" in alerts
    assert thresholds["Libre sur le disque"][1] == 2 * 1024**3


def finite(values: list[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def test_prometheus_answers_every_query_of_the_dashboard(tmp_path: Path) -> None:
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}
    with Server(tmp_path, settings) as server:
        server.wait_ready()
        with Prometheus(tmp_path / "prometheus", f"127.0.0.1:{server.port}") as prometheus:
            prometheus.wait_ready()
            until(lambda: bool(prometheus.values("monica_ready")))
            warm = requests.post(
                f"{server.url}/v1/phrases/warm",
                json={"phrases": ["Une répétition."]},
                headers=server.token(),
                timeout=10,
            )
            assert warm.status_code == 202
            statuses = [server.say(text).status_code for text in ("Une phrase.", "Une phrase.", "...", "Une autre.")]
            assert statuses == [200, 200, 400, 200]

            for panel in PANELS:
                for expression in expressions(panel):
                    if panel["title"] in MAY_BE_EMPTY:
                        prometheus.values(expression)
                    else:
                        until(lambda asked=expression: bool(finite(prometheus.values(asked))))  # type: ignore[misc]

            tiles = {panel["title"]: expressions(panel)[0] for panel in PANELS if panel["type"] == "stat"}
            assert prometheus.values(tiles["Prête ?"]) == [5]
            assert prometheus.values(tiles["Voix"]) == [2]
            assert prometheus.values(tiles["Échecs de suite"]) == [0]
            assert prometheus.values(tiles["Alertes"]) == [0]
            assert 0 < prometheus.values(tiles["Dernière réussite il y a"])[0] < 240
            assert prometheus.values(tiles["Phrases déjà gardées"]) == [pytest.approx(1 / 3, abs=0.01)]
            server.terminate()
            server.wait_exit()
            until(lambda: prometheus.values(tiles["Prête ?"]) == [0])

"""The alerts: Prometheus accepts them, each one is tested, and faults in a real Monica make them fire."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from monica.synthesis.health import MAX_FAILURES
from tests.support.faulty import Faults
from tests.support.prometheus import FOLDER, Prometheus, promtool
from tests.support.server import Server, free_port
from tests.support.wire import ask, hang_up, listen, until

ESPEAK = {"MONICA_ENGINE": "espeak"}


def read(name: str) -> Any:
    return YAML(typ="safe").load(FOLDER / name)


ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in read("alerts.yml")["groups"] for rule in group["rules"]
}


@pytest.mark.parametrize(
    "command",
    [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ],
    ids=" ".join,
)
def test_promtool_finds_no_error(command: list[str]) -> None:
    assert "SUCCESS" in promtool(*command)


def test_every_alert_is_tested_firing_and_silent() -> None:
    """alerts_test.yml has a test for each alert in which it fires and is silent. promtool runs those tests."""
    seen = set()
    for test in read("alerts_test.yml")["tests"]:
        steps = [re.findall(r'alertname="(\w+)"', str(step["exp_samples"])) for step in test["promql_expr_test"]]
        seen |= {name for names in steps for name in names if [] in steps}
    assert seen == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_alert_says_what_it_means_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "description"}
    summary, description = alert["annotations"]["summary"], alert["annotations"]["description"]
    assert summary.endswith(".")
    assert len(re.findall(r"[.:;] ", description)) >= 1
    assert len(summary) < 80


def test_alerts_and_health_agree_on_the_number_of_failures() -> None:
    assert ALERTS["EchecsDeSuite"]["expr"] == f"monica_failures_in_a_row >= {MAX_FAILURES}"


def test_every_metric_in_the_alerts_exists(server: Server) -> None:
    text = requests.get(f"{server.url}/metrics", timeout=10).text
    assert promtool("check", "metrics", input=text) == ""
    series = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    named = {name for alert in ALERTS.values() for name in re.findall(r"\b(?:monica|process)_\w+", alert["expr"])}
    assert named
    assert named - series == set()


@contextmanager
def watched(folder: Path, faults: Faults, **settings: str) -> Iterator[tuple[Server, Prometheus]]:
    """Have a real Prometheus scrape a real Monica. It has done so once when this yields."""
    settings = ESPEAK | {"MONICA_CACHE_DIR": str(folder / "cache")} | faults.settings | settings
    with Server(folder, settings) as server, Prometheus(folder / "prometheus", f"127.0.0.1:{server.port}") as watcher:
        watcher.wait_ready()
        until(lambda: bool(watcher.values("monica_ready")))
        yield server, watcher


def test_engine_that_always_fails_raises_an_alert(tmp_path: Path) -> None:
    faults = Faults(tmp_path / "faults")
    with watched(tmp_path, faults) as (server, prometheus):
        server.wait_ready()
        with faults.on("silent"):
            assert [server.say(f"Phrase numéro {n}.").status_code for n in range(MAX_FAILURES)] == [500] * MAX_FAILURES
            until(lambda: prometheus.firing().keys() >= {"EchecsDeSuite", "AucuneReussite"})
            assert prometheus.firing()["EchecsDeSuite"]["summary"].startswith(f"Les {MAX_FAILURES} dernières phrases")
        assert server.say("Une phrase.").status_code == 200
        until(lambda: not prometheus.firing())


def test_monica_that_does_not_become_ready_raises_an_alert(tmp_path: Path) -> None:
    faults = Faults(tmp_path / "faults")
    with faults.on("broken"), watched(tmp_path, faults) as (server, prometheus):
        until(lambda: prometheus.firing().keys() == {"MonicaPasPrete"})
        faults.switch("broken", on=False)
        server.wait_ready()
        until(lambda: not prometheus.firing())


def test_full_queue_raises_an_alert(tmp_path: Path) -> None:
    faults = Faults(tmp_path / "faults")
    with watched(tmp_path, faults, MONICA_QUEUE_SIZE="4") as (server, prometheus):
        server.wait_ready()
        with faults.on("held"):
            waiting = [ask(server, f"Phrase numéro {n}.") for n in range(4)]  # one of them is running
            until(lambda: prometheus.firing().keys() == {"FileSeRemplit"})
            assert prometheus.firing()["FileSeRemplit"]["summary"] == "La file d'attente est remplie à 75%."
            waiting.append(ask(server, "Phrase numéro 4."))
            until(lambda: prometheus.values('monica_queue_depth{lane="live"}') == [4])
            refused = server.say("Phrase numéro 5.")
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
            until(lambda: prometheus.firing().keys() >= {"FileSeRemplit", "PhrasesRefusees"})
        assert [listen(connection).status for connection in waiting] == [200] * 5
        until(lambda: "FileSeRemplit" not in prometheus.firing())
        for connection in waiting:
            hang_up(connection)


def test_repeated_restarts_raise_an_alert(tmp_path: Path) -> None:
    faults = Faults(tmp_path / "faults")
    with watched(tmp_path, faults) as (server, prometheus):

        def begun() -> set[float]:
            """Return the start times of the workers that Prometheus has seen."""
            return set(prometheus.history("process_start_time_seconds{job='monica'}"))

        for restarts in range(2):
            server.wait_ready()
            until(lambda seen=restarts: len(begun()) > seen)  # type: ignore[misc]
            with faults.on("broken"):
                assert [server.say(f"Phrase numéro {n}.").status_code for n in range(5)] == [500] * 5
                until(lambda seen=restarts: server.log().count("the engine is lost") > seen)  # type: ignore[misc]
        until(lambda: "MonicaRedemarre" in prometheus.firing())
        assert prometheus.firing()["MonicaRedemarre"]["summary"] == "Monica a redémarré 2 fois en un quart d'heure."


def test_unreachable_monica_raises_an_alert(tmp_path: Path) -> None:
    with Prometheus(tmp_path / "prometheus", f"127.0.0.1:{free_port()}") as prometheus:
        prometheus.wait_ready()
        until(lambda: prometheus.firing().keys() == {"MonicaInjoignable"})
        assert "{{" not in str(prometheus.firing())

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.server import ROOT, Server

ARCHITECTURE = {
    "monica_announcements",
    "monica_announcements_waiting",
    "monica_speakers",
    "monica_request_duration_seconds",
    "monica_time_to_first_audio_seconds",
    "monica_speech_duration_seconds",
    "monica_queue_wait_seconds",
    "monica_stage_duration_seconds",
    "monica_real_time_factor",
    "monica_cache_lookups",
    "monica_cache_write_failures",
    "monica_cache_unwritable",
    "monica_cache_bytes",
    "monica_cache_evictions",
    "monica_shared_store_up",
    "monica_shared_store_operations",
    "monica_takes",
    "monica_takes_examined",
    "monica_take_faults",
    "monica_takes_heard",
    "monica_takes_remade_by_listening",
    "monica_phrases_heard",
    "monica_takes_under_way",
    "monica_requests_served",
    "monica_fallbacks",
    "monica_warm_phrases",
    "monica_queue_depth",
    "monica_queue_limit",
    "monica_cache_limit_bytes",
    "monica_disk_free_bytes",
    "monica_disk_size_bytes",
    "monica_failures_in_a_row",
    "monica_last_success_timestamp_seconds",
    "monica_engine",
    "monica_status",
    "monica_ready",
    "monica_model_load_seconds",
}


def scrape(server: Server) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = requests.get(f"{server.url}/metrics", timeout=10).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        if family.name.startswith("monica_")
        for sample in family.samples
    }


def test_metrics_are_true_under_concurrency(tmp_path: Path) -> None:
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}
    with Server(tmp_path, settings) as server, ThreadPoolExecutor(16) as pool:
        server.wait_ready()
        for _ in range(2):
            texts = [f"Phrase numéro {n}." for n in range(100)]
            assert all(answer.status_code == 200 for answer in pool.map(server.say, texts))
        assert all(answer.status_code == 400 for answer in pool.map(server.say, ["..."] * 50))
        requests.get(f"{server.url}/secret/path?text=bonjour", timeout=5)
        seen = scrape(server)

    def value(name: str, **labels: str) -> float:
        return seen[name, frozenset(labels.items())]

    assert value("monica_request_duration_seconds_count", endpoint="/blabla", status="200") == 200
    assert value("monica_request_duration_seconds_count", endpoint="/blabla", status="400") == 50
    assert value("monica_request_duration_seconds_count", endpoint="none", status="404") == 1
    assert value("monica_time_to_first_audio_seconds_count") == 200
    assert value("monica_takes_total", outcome="ok") == 100
    assert value("monica_cache_lookups_total", cache="takes", result="hit") == 100
    assert value("monica_cache_lookups_total", cache="takes", result="miss") == 100
    assert value("monica_queue_wait_seconds_count", lane="live") == 100
    assert value("monica_queue_depth", lane="live") == 0
    assert value("monica_queue_depth", lane="background") == 0
    assert value("monica_stage_duration_seconds_count", stage="espeak") == 101  # and the warm-up
    assert value("monica_stage_duration_seconds_count", stage="encode") == 100
    assert value("monica_real_time_factor_count") == 100
    assert value("monica_ready") == 1
    assert 0 < value("monica_model_load_seconds") < 60
    assert value("monica_cache_bytes") > 100 * 20_000
    labels = {label for _, pairs in seen for label in pairs}
    values = {v for name, v in labels if name != "le"}
    assert not [v for v in values if "secret" in v or "Phrase" in v or "bonjour" in v]


def test_every_metric_exists_and_is_in_its_page(server: Server) -> None:
    text = requests.get(f"{server.url}/metrics", timeout=10).text
    families = [f for f in text_string_to_metric_families(text) if f.name.startswith("monica_")]
    assert {family.name for family in families} == ARCHITECTURE
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`monica_[^|]*) \|([^|]*)\|", page, re.MULTILINE)
    labels = {name: set(re.findall(r"`(\w+)`", cell)) for names, cell in rows for name in re.findall(r"`(\w+)`", names)}
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert name in labels
        assert {label for sample in family.samples for label in sample.labels} - {"le"} <= labels[name], name
    assert {name.removesuffix("_total") for name in labels} == ARCHITECTURE


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0", "text/plain"])
def test_the_scraper_chooses_the_format(server: Server, accept: str) -> None:
    answer = requests.get(f"{server.url}/metrics", headers={"Accept": accept}, timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].split(";")[0] == (accept.split(";")[0] or "text/plain")

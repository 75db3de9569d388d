"""Chatterbox in the whole service: a real gunicorn, a small synthetic checkpoint, a recording, HTTP."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
import soundfile

from benchmarks.synthetic_checkpoint import write_checkpoint
from monica.engine.chatterbox.watermark import Watermark
from tests.support.server import Server

TAPIS = "Tapis de Rusmir !"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("service")
    write_checkpoint(folder / "checkpoint", t3_layers=2, eos_bias=0.6)
    return {
        "MONICA_ENGINE": "chatterbox",
        "MONICA_DEVICE": "cpu",
        "MONICA_MODEL_DIR": str(folder / "checkpoint"),
        "MONICA_CACHE_DIR": str(folder / "cache"),
        "MONICA_DEADLINE_S": "240",
        "REFERENCE_AUDIO": str(recording),
        "REFERENCE_DURATION_S": "2",  # short, because the frames of the prompt are computed with every take
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }


def test_from_the_recording_to_a_watermarked_wav_a_restart_and_sigterm_during_a_take(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """In one test, because each start takes half a minute."""
    with Server(tmp_path, environment) as server:
        loading = _first_answer(server)
        assert loading.status_code == 503
        assert loading.json()["status"] == "loading"
        refused = server.say(TAPIS)
        if refused.status_code != 200:
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_loading")
            assert int(refused.headers["Retry-After"]) > 0

        server.wait_ready(240)
        expected = [
            "listens on",
            "engine: chatterbox (MONICA_ENGINE=chatterbox)",
            "reference audio: reference.wav, cropped from 12.4 s to 2.0 s",
            "device: cpu, ",
            "checkpoint: t3_mtl23ls_v3, digest ",
            "model: chatterbox-multilingual t3 v3",
            "conditionals: made in ",
            "warm-up: ",
            "ready in ",
        ]
        lines = iter(server.log().splitlines())
        assert [part for part in expected if not any(part in line for line in lines)] == []

        made = _say(server, TAPIS, seed=3)
        assert (made.status_code, made.headers["X-Monica-Cache"]) == (200, "miss"), made.text[:500]
        assert made.headers["X-Monica-Engine"] == "chatterbox"
        samples, rate = soundfile.read(io.BytesIO(made.content), dtype="float32")
        assert (rate, samples.ndim) == (24_000, 1)
        assert np.abs(samples).max() > 0.01
        assert Watermark().detect(samples, rate) == 1.0
        again = _say(server, TAPIS, seed=3)
        assert (again.headers["X-Monica-Cache"], again.content) == ("hit", made.content)

        health = requests.get(f"{server.url}/health", timeout=10).json()
        assert (health["status"], health["device"], health["model_loaded"]) == ("ok", "cpu", True)
        digest = server.log().partition("digest ")[2][:12]
        assert digest in health["model"]
        metrics = requests.get(f"{server.url}/metrics", timeout=10).text
        for stage in ("conditionals", "t3", "s3gen", "watermark", "encode"):
            assert f'monica_stage_duration_seconds_count{{stage="{stage}"}}' in metrics

    with Server(tmp_path, environment) as server, ThreadPoolExecutor() as pool:
        server.wait_ready(240)
        assert "conditionals: read back from the cache" in server.log()
        assert "conditionals: made" not in server.log()
        assert _say(server, TAPIS, seed=3).headers["X-Monica-Cache"] == "hit"
        stages = requests.get(f"{server.url}/metrics", timeout=10).text
        assert 'stage="conditionals"' not in stages

        take = pool.submit(server.say, "Une phrase que personne n'a encore entendue.", timeout=240)
        while 'queue_wait_seconds_count{lane="live"} 1.0' not in requests.get(f"{server.url}/metrics", timeout=10).text:
            assert not take.done()
        server.terminate()
        assert take.result().status_code in (200, 500)  # with random weights a sentence may end before it begins
        assert server.wait_exit(120) == 0
        assert "Traceback" not in server.log()


def _say(server: Server, text: str, seed: int) -> requests.Response:
    """Post a text with a seed, so that the take is always the same: with random weights, not all takes are usable."""
    return requests.post(f"{server.url}/blabla", json={"text": text, "seed": seed}, timeout=240)


def _first_answer(server: Server) -> requests.Response:
    while True:
        try:
            return requests.get(f"{server.url}/health", timeout=5)
        except requests.ConnectionError:
            assert server.process.poll() is None, server.log()


def test_a_model_dir_without_the_files_stops_the_start(tmp_path: Path, environment: dict[str, str]) -> None:
    with Server(tmp_path, environment | {"MONICA_MODEL_DIR": str(tmp_path)}) as server:
        assert server.wait_exit(120) != 0
        assert "Monica cannot start: MONICA_MODEL_DIR=" in server.log()
        assert "ve.pt" in server.log()
        assert "Traceback" not in server.log()


def test_a_failed_download_leaves_the_server_running(tmp_path: Path, environment: dict[str, str]) -> None:
    settings = {k: v for k, v in environment.items() if k != "MONICA_MODEL_DIR"}
    settings |= {"HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    del settings["HF_HUB_OFFLINE"]
    with Server(tmp_path, settings) as server:
        answer = _first_answer(server)
        while answer.json()["status"] == "loading":
            answer = requests.get(f"{server.url}/health", timeout=5)
        health = answer.json()
        assert (answer.status_code, health["status"], health["model_loaded"]) == (503, "failed", False)
        assert "cannot be downloaded from the hub" in health["reason"]
        refused = server.say(TAPIS)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_failed")
        assert "trying again in 5 s" in server.log()
        assert "Traceback" not in server.log()

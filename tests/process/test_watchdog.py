"""A real Monica whose engine hangs, keeps breaking down or loses its device ends her worker and starts another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import requests

from tests.support.faulty import Faults
from tests.support.server import Server
from tests.support.wire import until

ESPEAK = {"MONICA_ENGINE": "espeak"}


def workers_of(server: Server) -> set[int]:
    return {child.pid for child in psutil.Process(server.process.pid).children()}


def status_of(server: Server) -> str:
    try:
        return str(requests.get(f"{server.url}/health", timeout=5).json()["status"])
    except requests.ConnectionError:  # between two workers
        return "gone"


def test_step_that_does_not_return_ends_the_worker_and_another_takes_over(tmp_path: Path) -> None:
    faults = Faults(tmp_path / "faults", stuck_s=2)
    settings = ESPEAK | {"MONICA_CACHE_DIR": str(tmp_path / "cache")} | faults.settings
    with Server(tmp_path, settings) as server, ThreadPoolExecutor() as pool:
        server.wait_ready()
        first = workers_of(server)
        kept = server.say("Une phrase connue.")
        with faults.on("stuck"):
            waiting = [pool.submit(server.say, f"Phrase numéro {n}.") for n in range(3)]
            until(lambda: status_of(server) == "degraded")
            known = server.say("Une phrase connue.")
            assert (known.headers["X-Monica-Cache"], known.content) == ("hit", kept.content)
            until(lambda: status_of(server) == "failed")
            for future in waiting:
                answer = future.result(10)
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_failed")
                assert "has not come back" in answer.json()["error"]["message"]
                assert int(answer.headers["Retry-After"]) > 0
            until(lambda: not workers_of(server) & first)
        server.wait_ready()
        assert not workers_of(server) & first
        assert server.say("Phrase numéro 1.").status_code == 200
        assert "the engine is lost: The engine has not come back from a step" in server.log()
        assert "Traceback" not in server.log()


def test_engine_that_breaks_down_repeatedly_or_loses_its_device_while_loading_is_restarted(tmp_path: Path) -> None:
    faults = Faults(tmp_path / "faults")
    settings = ESPEAK | {"MONICA_CACHE_DIR": str(tmp_path / "cache")} | faults.settings
    with Server(tmp_path, settings) as server:
        server.wait_ready()
        first = workers_of(server)
        with faults.on("broken"):
            codes = [server.say(f"Phrase numéro {n}.").json()["error"]["code"] for n in range(5)]
            assert codes == ["synthesis_failed"] * 5
            until(lambda: "the engine is lost: The engine broke down 5 times in a row." in server.log())
        with faults.on("lost"):  # as it would be if the next worker found the GPU in a state that kills it
            until(lambda: "the engine is lost: The device failed" in server.log())
            seen = workers_of(server)
        until(lambda: not workers_of(server) & (first | seen))
        server.wait_ready()
        assert server.say("Une phrase.").status_code == 200
        assert "trying again" not in server.log()  # in the process that has lost it, no attempt can succeed

"""Monica as the operator runs her: a real gunicorn, real signals and real files."""

from __future__ import annotations

import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from tests.support.server import ROOT, Server, free_port, run_to_failure

FRESH = {"Cache-Control": "no-cache"}
LONG = "Pablo vient de se faire éliminer par Rusmir à la table numéro quatre. " * 70


@pytest.fixture
def espeak(tmp_path: Path) -> dict[str, str]:
    return {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}


def test_start_up_log_shows_each_stage(tmp_path: Path, espeak: dict[str, str]) -> None:
    with Server(tmp_path, espeak | {"MONICA_ENGINE": "auto", "MONICA_DEVICE": "cpu"}) as server:
        server.wait_ready()
        log = server.log()
        story = [
            "listens on",
            "no API key",
            "engine: pico, an embedded voice",
            "model: SVOX Pico fr-FR",
            "warm-up:",
            "ready in",
        ]
        lines = log.splitlines()
        assert [word for word, line in zip(story, lines, strict=True) if word not in line] == []
        assert requests.get(f"{server.url}/health", timeout=5).json()["engine"] == "pico"


def test_process_with_espeak_does_not_load_torch(server: Server) -> None:
    (worker,) = psutil.Process(server.process.pid).children()
    assert not [m.path for m in worker.memory_maps() if "torch" in m.path]


def test_master_has_not_imported_what_only_the_worker_needs(tmp_path: Path, espeak: dict[str, str]) -> None:
    """Together they stay near 100 MiB; `python -m benchmarks.start` prints the figure."""
    with Server(tmp_path, espeak) as server:  # its own: one that has served many tests holds their sounds
        server.wait_ready()
        master = psutil.Process(server.process.pid)
        (worker,) = master.children()
        for process, libraries in ((master, ("numpy", "av", "scipy")), (worker, ("scipy",))):
            found = [m.path for m in process.memory_maps() for library in libraries if f"/{library}/" in m.path]
            assert found == []
        assert sum(process.memory_info().rss for process in (master, worker)) < 130 * 2**20


def test_sigterm_lets_running_takes_finish_and_refuses_new_ones(tmp_path: Path, espeak: dict[str, str]) -> None:
    before = set(Path("/tmp").iterdir())
    settings = espeak | {"MAX_TEXT_LENGTH": "5000", "MONICA_QUEUE_SIZE": "1000"}
    with Server(tmp_path, settings) as server, ThreadPoolExecutor(16) as pool:
        server.wait_ready()
        pages = [pool.submit(server.say, f"Page {n}. {LONG[:4900]}", headers=FRESH) for n in range(12)]
        # Seventy sentences per page: at least two pages, a second of work, are still waiting when the signal comes.
        while requests.get(f"{server.url}/health", timeout=5).json()["queue_depth"] < 150:
            time.sleep(0.005)
        server.terminate()
        time.sleep(0.1)
        health = requests.get(f"{server.url}/health", timeout=5)
        assert (health.status_code, health.json()["status"]) == (503, "stopping")
        refused = server.say("Trop tard.")
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "shutting_down"
        assert int(refused.headers["Retry-After"]) > 0
        answers = [page.result() for page in pages]
        assert sum(answer.status_code == 200 for answer in answers) >= 2  # those that were waiting
        late = {answer.json()["error"]["code"] for answer in answers if answer.status_code != 200}
        assert late <= {"shutting_down", "overloaded"}  # they came after the signal, or too much was ahead of them
        assert server.wait_exit() == 0
        assert "Traceback" not in server.log()
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{server.url}/health", timeout=5)
    left = {path.name for path in set(Path("/tmp").iterdir()) - before}
    assert not [name for name in left if "monica" in name or "gunicorn" in name]
    with sqlite3.connect(tmp_path / "cache" / "takes" / "cache.db") as db:
        known = {name for (name,) in db.execute("SELECT filename FROM Cache WHERE filename IS NOT NULL")}
    db.close()
    folder = tmp_path / "cache" / "takes"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.val")} == known


def test_sigterm_while_idle_exits_at_once(tmp_path: Path, espeak: dict[str, str]) -> None:
    with Server(tmp_path, espeak) as server:
        server.wait_ready()
        server.terminate()
        assert server.wait_exit(10) == 0
        assert "Traceback" not in server.log()


def test_control_c_exits_cleanly(tmp_path: Path, espeak: dict[str, str]) -> None:
    with Server(tmp_path, espeak) as server:
        server.wait_ready()
        server.process.send_signal(signal.SIGINT)
        assert server.wait_exit(10) == 0
        assert "Traceback" not in server.log()


def test_restart_keeps_the_cache(tmp_path: Path, espeak: dict[str, str]) -> None:
    bodies, caches = [], []
    for _ in range(2):
        with Server(tmp_path, espeak) as server:
            answer = server.wait_ready().say("Le niveau trois commence.")
            bodies.append(answer.content)
            caches.append(answer.headers["X-Monica-Cache"])
    assert caches == ["miss", "hit"]
    assert bodies[0] == bodies[1]


def test_killed_worker_is_replaced(tmp_path: Path, espeak: dict[str, str]) -> None:
    with Server(tmp_path, espeak) as server:
        server.wait_ready().say("Bonjour.")
        (worker,) = psutil.Process(server.process.pid).children()
        worker.kill()
        worker.wait()
        server.wait_ready()
        assert server.say("Bonjour.").headers["X-Monica-Cache"] == "hit"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"MONICA_DEADLINE": "5"}, "MONICA_DEADLINE is not a setting of Monica. Did you mean MONICA_DEADLINE_S?"),
        ({"MONICA_QUEUE_SIZE": "many"}, "MONICA_QUEUE_SIZE='many': Not a valid integer."),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL='loud': Must be one of: debug, info, warning, error."),
    ],
)
def test_wrong_setting_stops_the_start_with_one_line(
    tmp_path: Path, espeak: dict[str, str], settings: dict[str, str], line: str
) -> None:
    assert run_to_failure(tmp_path, espeak | settings) == f"Monica cannot start: {line}\n"


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({"WEB_CONCURRENCY": "4"}, "4"),
        ({"GUNICORN_CMD_ARGS": "--workers=3"}, "3"),
        ({"GUNICORN_CMD_ARGS": "-w 0"}, "0"),
    ],
)
def test_any_number_of_workers_but_one_stops_the_start(
    tmp_path: Path, espeak: dict[str, str], settings: dict[str, str], asked: str
) -> None:
    """Two owners of one GPU and one queue would each think that they are alone."""
    line = (
        "Monica cannot start: exactly one worker owns the GPU and the cache, "
        f"but --workers, GUNICORN_CMD_ARGS or WEB_CONCURRENCY asks for {asked}.\n"
    )
    assert run_to_failure(tmp_path, espeak | settings) == line


def test_signal_starts_no_second_worker(tmp_path: Path, espeak: dict[str, str]) -> None:
    with Server(tmp_path, espeak) as server:
        server.wait_ready()
        workers = psutil.Process(server.process.pid).children()
        server.process.send_signal(signal.SIGTTIN)
        until = time.monotonic() + 10
        while "stays at one worker" not in server.log() and time.monotonic() < until:
            time.sleep(0.02)
        assert psutil.Process(server.process.pid).children() == workers
        assert server.say("Bonjour.").status_code == 200


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(("host", "clients"), [("::1", ("[::1]",)), ("::", ("[::1]", "127.0.0.1"))])
def test_ipv6_addresses_are_served(tmp_path: Path, espeak: dict[str, str], host: str, clients: tuple[str, ...]) -> None:
    """Whoever asks over either is this machine, and may change what is kept."""
    with Server(tmp_path, espeak | {"HOST": host}) as server:
        for client in clients:
            server.url = f"http://{client}:{server.port}"
            server.wait_ready()
            token = {"Authorization": f"Bearer {(tmp_path / 'cache' / 'token').read_text().strip()}"}
            assert requests.get(f"{server.url}/v1/phrases", headers=token, timeout=5).status_code == 200


def test_host_that_does_not_resolve_stops_the_start_with_one_line(tmp_path: Path, espeak: dict[str, str]) -> None:
    log = run_to_failure(tmp_path, espeak | {"HOST": "no-such-host.invalid"})
    assert log.startswith("Monica cannot start: HOST='no-such-host.invalid' does not resolve to an address: ")
    assert log.count("\n") == 1


def test_home_folder_in_the_cache_path_is_the_same_for_everything(tmp_path: Path, espeak: dict[str, str]) -> None:
    """Takes, the identity beside them and the metrics of the disk are all in the expanded folder."""
    settings = espeak | {"MONICA_CACHE_DIR": "~/kept", "HOME": str(tmp_path)}
    with Server(tmp_path, settings) as server:
        server.wait_ready().say("Bonjour.")
    kept = {path.name for path in (tmp_path / "kept").iterdir()}
    assert {"takes", "conditionals"} < kept
    assert not (ROOT / "~").exists()


def test_links_of_kubernetes_do_not_stop_the_start(tmp_path: Path, espeak: dict[str, str]) -> None:
    links = {"MONICA_PORT": "tcp://10.0.0.1:8080", "MONICA_SERVICE_HOST": "10.0.0.1", "LOG_LEVEL": "debug"}
    with Server(tmp_path, espeak | links) as server:
        server.wait_ready()
        assert server.log().count("MONICA_PORT, MONICA_SERVICE_HOST") == 1


def test_unusable_cache_folder_stops_the_start(tmp_path: Path, espeak: dict[str, str]) -> None:
    log = run_to_failure(tmp_path, espeak | {"MONICA_CACHE_DIR": "/proc/monica"})
    assert "Monica cannot start: MONICA_CACHE_DIR='/proc/monica' cannot be used" in log
    assert "Traceback" not in log


def test_missing_reference_stops_the_start_and_says_what_to_do(tmp_path: Path, espeak: dict[str, str]) -> None:
    settings = espeak | {"MONICA_ENGINE": "chatterbox", "MONICA_DEVICE": "cpu", "REFERENCE_AUDIO": "/no/such.wav"}
    log = run_to_failure(tmp_path, settings)
    assert "Monica cannot start: REFERENCE_AUDIO='/no/such.wav': there is no such file." in log
    assert "Traceback" not in log


def test_taken_port_is_reported(tmp_path: Path, espeak: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        monkeypatch.setattr("tests.support.server.free_port", lambda: taken.getsockname()[1])
        log = run_to_failure(tmp_path, espeak)
    assert "Connection in use" in log
    assert "Traceback" not in log


def test_full_disk_serves_the_sound_and_logs(tmp_path: Path, espeak: dict[str, str]) -> None:
    """The kernel does not let the worker's files grow. A new take is still served."""
    with Server(tmp_path, espeak) as server:
        server.wait_ready()
        (worker,) = psutil.Process(server.process.pid).children()
        if not hasattr(worker, "rlimit"):
            pytest.skip("limits of another process can only be set on Linux")
        worker.rlimit(psutil.RLIMIT_FSIZE, ((tmp_path / "cache/takes/cache.db").stat().st_size, -1))
        sentence = "Une phrase assez longue pour ne pas tenir dans la base de données elle-même."
        for _ in range(2):
            answer = server.say(sentence)
            assert (answer.status_code, answer.headers["X-Monica-Cache"]) == (200, "miss")
            assert answer.content[:4] == b"RIFF"
        metrics = requests.get(f"{server.url}/metrics", timeout=5).text
    assert 'monica_cache_write_failures_total{cache="takes"} 2.0' in metrics

"""The systemd units, checked against the programs they start: gunicorn's signals and exit codes."""

from __future__ import annotations

import math
import os
import shlex
import signal
import socket
import subprocess
import sys
import zipfile
from configparser import RawConfigParser
from pathlib import Path

import psutil
import pytest

from monica.config import Settings
from tests.support.server import ROOT, Server, clean_environment, free_port
from tests.support.system import program

UNITS = ROOT / "systemd"
HOME = "/opt/monica"


class Options(RawConfigParser):
    """The options of a unit file. If an option occurs more than once, the last one counts."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, delimiters=["="])
        self.read(UNITS / name)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.fixture
def service() -> RawConfigParser:
    return Options("monica@.service")


def settings_of(path: Path) -> dict[str, str]:
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_systemd_accepts_every_unit_without_a_warning(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    home = tmp_path / "monica"
    home.mkdir()
    (home / ".venv").symlink_to(sys.prefix)
    for path in UNITS.glob("monica*.*"):
        if path.suffix in (".service", ".timer"):
            name = path.name.replace("@", "@8080")
            (tmp_path / name).write_text(path.read_text().replace(HOME, str(home)))
    units = [path for path in tmp_path.iterdir() if path.is_file()]
    assert len(units) == 3
    done = subprocess.run([analyze, "verify", "--man=no", *units], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "monica" in line]
    assert (done.returncode, said) == (0, [])


def test_no_option_hides_the_gpu_or_breaks_cuda(service: RawConfigParser) -> None:
    hiding = {"PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock", "MemoryDenyWriteExecute"}
    assert hiding & service["Service"].keys() == set()


def test_the_unit_may_write_only_where_the_settings_say(service: RawConfigParser) -> None:
    options, settings = service["Service"], settings_of(UNITS / "monica.env")
    assert options["ProtectSystem"] == "strict"
    assert settings["MONICA_CACHE_DIR"] == f"/var/cache/{options['CacheDirectory']}"
    assert settings["HF_HOME"].startswith(f"/var/lib/{options['StateDirectory'].split()[0]}/")
    source, _, jobs = options["BindPaths"].partition(":")
    assert source == f"/var/lib/{options['StateDirectory'].split()[1]}"
    assert jobs == f"{settings['MONICA_CACHE_DIR']}/jobs"


def test_environment_file_holds_valid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings_of(UNITS / "monica.env")
    assert "PORT" not in given  # it would override the unit's
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_env().host == "127.0.0.1"


def test_stopping_waits_longer_than_gunicorn_does(service: RawConfigParser) -> None:
    graceful = math.ceil(Settings().deadline_s) + 5
    assert int(service["Service"]["TimeoutStopSec"]) > graceful
    assert service["Service"]["KillMode"] == "mixed"


def test_systemd_is_notified_when_monica_answers(tmp_path: Path, service: RawConfigParser) -> None:
    assert service["Service"]["Type"] == "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}
        with Server(tmp_path, settings | {"NOTIFY_SOCKET": str(tmp_path / "notify")}) as server:
            message, _, _, _ = manager.recvmsg(4096)
            assert b"READY=1" in message.splitlines()
            server.wait_ready()


@pytest.mark.parametrize(
    "wrong",
    [{"MONICA_QUEUE_SIZE": "many"}, {"MONICA_CACHE_DIR": "/proc/monica"}],
    ids=["a setting", "the cache folder"],
)
def test_permanent_errors_do_not_cause_restarts(
    tmp_path: Path, service: RawConfigParser, wrong: dict[str, str]
) -> None:
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}
    with Server(tmp_path, settings | wrong) as server:
        code = server.wait_exit()
        assert str(code) in service["Service"]["RestartPreventExitStatus"].split()
        assert "Monica cannot start: " in server.log()


def test_taken_port_does_not_cause_restarts(
    tmp_path: Path, service: RawConfigParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        monkeypatch.setattr("tests.support.server.free_port", lambda: taken.getsockname()[1])
        with Server(tmp_path, {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}) as server:
            assert str(server.wait_exit()) in service["Service"]["RestartPreventExitStatus"].split()


def test_killed_master_is_restarted(tmp_path: Path, service: RawConfigParser) -> None:
    with Server(tmp_path, {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}) as server:
        (worker,) = psutil.Process(server.wait_ready().process.pid).children()
        server.process.kill()
        assert server.wait_exit() == -signal.SIGKILL  # a signal, so no exit code prevents a restart
        worker.kill()  # systemd would: it is in the unit's control group
    assert service["Service"]["Restart"] == "on-failure"


def test_backup_is_a_bundle_that_replaces_last_weeks(tmp_path: Path) -> None:
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}
    with Server(tmp_path, settings) as server:
        server.wait_ready()
        for text in ("Le niveau trois commence.", "Le tournoi va commencer."):
            assert server.say(text).status_code == 200
            run_backup(tmp_path, settings)
    (bundle,) = (tmp_path / "backup").iterdir()
    with zipfile.ZipFile(bundle) as content:
        assert len([name for name in content.namelist() if name.endswith(".wav")]) == 2


def test_backup_of_an_empty_cache_fails_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run_backup(tmp_path, {"MONICA_CACHE_DIR": str(tmp_path / "cache")})
    assert len(failed.value.stderr.splitlines()) == 1
    assert list((tmp_path / "backup").iterdir()) == []


def run_backup(folder: Path, settings: dict[str, str]) -> None:
    """Run the unit's command."""
    (folder / "backup").mkdir(exist_ok=True)
    line = Options("monica-backup.service")["Service"]["ExecStart"].replace("%%", "%")
    command = shlex.split(line.replace(f"{HOME}/.venv", sys.prefix))
    environment = clean_environment(**settings, STATE_DIRECTORY=os.fspath(folder / "backup"))
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True)

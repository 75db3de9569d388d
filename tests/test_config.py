from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from monica.address import bind_address
from monica.audio.finish import Finisher
from monica.config import Settings
from monica.errors import ConfigError
from tests.support.server import ROOT
from tests.support.settings import written


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*(f.metadata["name"] for f in fields(Settings)), *os.environ]:
        if name.startswith("MONICA_") or name in {f.metadata["name"] for f in fields(Settings)}:
            monkeypatch.delenv(name, raising=False)


def test_defaults_are_those_of_the_contract() -> None:
    settings = Settings.from_env()
    assert settings == Settings()
    assert (settings.port, settings.host, settings.log_level) == (8080, "0.0.0.0", "info")
    assert settings.reference_audio == Path("26-monica--interview.wav")
    assert (settings.reference_duration_s, settings.max_text_length) == (120, 500)
    assert (settings.engine, settings.device, settings.t3, settings.language) == ("auto", "auto", "v3", "fr")
    assert (settings.model_dir, settings.model_revision) == (None, "main")
    assert (settings.cache_mb, settings.queue_size, settings.deadline_s, settings.threads) == (2048, 64, 30, 32)


def test_values_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.setenv("MONICA_ENGINE", "espeak")
    monkeypatch.setenv("MONICA_MODEL_DIR", "/models")
    monkeypatch.setenv("MONICA_DEADLINE_S", "2.5")
    settings = Settings.from_env()
    assert (settings.port, settings.engine, settings.deadline_s) == (9000, "espeak", 2.5)
    assert settings.model_dir == Path("/models")


@pytest.mark.parametrize(
    ("name", "value", "field", "read"),
    [
        ("MONICA_VOICE_UPLOADS", "on", "voice_uploads", True),
        ("MONICA_VOICE_UPLOADS", "off", "voice_uploads", False),
        ("MONICA_TRIM", "on", "trim", True),
        ("MONICA_TRIM", "off", "trim", False),
        ("MONICA_LOUDNESS", "-23", "loudness", -23.0),
        ("MONICA_LOUDNESS", "off", "loudness", None),
        ("MONICA_PEAK", "-0.5", "peak", -0.5),
        ("MONICA_PEAK", "off", "peak", None),
        ("MONICA_FALLBACK", "espeak", "fallback", "espeak"),
        ("MONICA_FALLBACK", "off", "fallback", None),
    ],
)
def test_switches_and_levels_have_their_types(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, field: str, read: bool | float | str | None
) -> None:
    monkeypatch.setenv(name, value)
    settings = Settings.from_env()
    assert (getattr(settings, field), type(getattr(settings, field))) == (read, type(read))


@pytest.mark.parametrize(
    ("environment", "version"),
    [
        ({}, "(2, -16.0, -1.0, True)"),
        ({"MONICA_LOUDNESS": "-16", "MONICA_PEAK": "-1", "MONICA_TRIM": "on"}, "(2, -16.0, -1.0, True)"),
        ({"MONICA_LOUDNESS": "-18.5", "MONICA_PEAK": "off", "MONICA_TRIM": "off"}, "(2, -18.5, None, False)"),
        ({"MONICA_LOUDNESS": "off"}, "(2, None, -1.0, True)"),
    ],
)
def test_the_part_of_the_cache_key_that_settings_make_stays(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], version: str
) -> None:
    """Whatever changes it orphans every kept take."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Finisher.from_settings(Settings.from_env()).version == version


def test_every_setting_says_what_it_is_for() -> None:
    for f in fields(Settings):
        assert re.fullmatch(r"[A-Z`].{10,200}\.", f.metadata["help"]), f.name


def test_an_empty_value_means_unset_except_for_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "MONICA_ENGINE", "MONICA_CACHE_DIR", "MONICA_MODEL_DIR", "REFERENCE_AUDIO"):
        monkeypatch.setenv(name, "")
    settings = Settings.from_env()
    assert settings.port == 8080
    assert settings.reference_audio is None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PORT", "80x", "Not a valid integer."),
        ("PORT", "0", "Must be greater than or equal to 1"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("LOG_LEVEL", "loud", "Must be one of: debug, info, warning, error."),
        ("MAX_TEXT_LENGTH", "5001", "less than or equal to 5000"),
        ("MONICA_ENGINE", "sphinx", "Must be one of: auto, chatterbox, piper, pico, espeak, ray."),
        ("MONICA_DEVICE", "tpu", "Must be one of: auto, cuda, mps, cpu."),
        ("MONICA_T3", "v1", "Must be one of: v2, v3."),
        ("MONICA_FALLBACK", "chatterbox", "Must be one of: off, piper, pico, espeak."),
        ("MONICA_S3GEN", "turbo", "Must be one of: standard, meanflow."),
        ("MONICA_VOICE_UPLOADS", "true", "Must be one of: off, on."),
        ("MONICA_TRIM", "1", "Must be one of: on, off."),
        ("MONICA_LANGUAGE", "xx", "Must be one of: ar, da"),
        ("MONICA_DEADLINE_S", "nan", "not permitted"),
        ("MONICA_CACHE_MB", "-1", "Must be greater than"),
        ("REFERENCE_DURATION_S", "two", "Not a valid number."),
        ("MONICA_VOICE_ALIASES", "alloy", "Not name=value: 'alloy'."),
        ("MONICA_VOICE_ALIASES", "alloy=", "Not name=value: 'alloy='."),
        ("MONICA_VOICE_ALIASES", "alloy=anna,,nova=luc", "Not name=value: ''."),
        ("MONICA_VOICE_ALIASES", "alloy=anna, alloy=luc", "alloy is there twice."),
        ("MONICA_CORS_ORIGINS", "https://a.example/", "https://a.example/ is not an origin: scheme://host"),
        ("MONICA_CORS_ORIGINS", "https://a.example,b.example", "b.example is not an origin"),
        ("MONICA_CORS_ORIGINS", "https://*.example", "https://*.example is not an origin"),
        ("MONICA_CORS_ORIGINS", "null", "null is not an origin"),
        ("MONICA_CORS_ORIGINS", "https://a.example:443", "browsers leave this port out"),
        ("MONICA_CORS_ORIGINS", "*,https://a.example", "name no other beside it"),
        ("MONICA_RAY_ADDRESS", "10.0.0.1:8000", "Not the address of a server: http://host:port."),
        ("MONICA_RAY_ADDRESS", "http://10.0.0.1:http", "Not the address of a server"),
        ("MONICA_REFERENCE_START_S", "-1", "Must be greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_an_error_of_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        Settings.from_env()
    message = str(caught.value)
    assert message.startswith(f"{name}={value!r}: ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("MONICA_DEADLINE", "MONICA_DEADLINE_S"),
        ("MONICA_CACHE", "MONICA_CACHE_MB|MONICA_CACHE_DIR"),
        ("MONICA_ENGIN", "MONICA_ENGINE"),
        ("MONICA_PORT", "PORT"),
        ("MONICA_HOST", "HOST"),
        ("MONICA_CACHE_DIR_NAME", "MONICA_CACHE_DIR"),
        ("MONICA_PORTS_8080_TCP_ADDR", "MONICA_.*|PORT"),
    ],
)
def test_an_unknown_variable_names_the_nearest(monkeypatch: pytest.MonkeyPatch, typo: str, meant: str) -> None:
    monkeypatch.setenv(typo, "1")
    with pytest.raises(ConfigError, match=rf"^{typo} is not a setting of Monica. Did you mean ({meant})\?$"):
        Settings.from_env()


LINKS = (
    "SERVICE_HOST=10.0.0.1",
    "SERVICE_PORT=8080",
    "SERVICE_PORT_HTTP=8080",
    "PORT=tcp://10.0.0.1:8080",
    "PORT_8080_TCP=tcp://10.0.0.1:8080",
    "PORT_8080_TCP_PROTO=tcp",
    "PORT_8080_TCP_PORT=8080",
    "PORT_8080_TCP_ADDR=10.0.0.1",
    "PORT_53_UDP=udp://10.0.0.1:53",
)


@pytest.mark.parametrize("service", ["MONICA_", "MONICA_NGINX_", "MONICA_CACHE_", "MONICA_API_KEY_"])
def test_variables_of_links_are_ignored_and_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, service: str
) -> None:
    """Kubernetes sets them in every pod of a namespace that has a service with such a name."""
    for link in LINKS:
        name, _, value = link.partition("=")
        monkeypatch.setenv(service + name, value)
    caplog.set_level(logging.DEBUG, logger="monica")
    assert Settings.from_env() == Settings()
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert all(service + link.partition("=")[0] in record.getMessage() for link in LINKS)


@pytest.mark.parametrize("link", LINKS)
def test_each_variable_of_a_link_is_ignored_by_itself(monkeypatch: pytest.MonkeyPatch, link: str) -> None:
    name, _, value = link.partition("=")
    monkeypatch.setenv(f"MONICA_{name}", value)
    assert Settings.from_env() == Settings()


def test_variables_that_docker_adds_to_a_link_are_ignored_only_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONICA_NAME", "/web/monica")
    with pytest.raises(ConfigError, match=r"^MONICA_NAME is not a setting"):
        Settings.from_env()
    monkeypatch.setenv("MONICA_ENV_MONICA_API_KEY", "secret")
    monkeypatch.setenv("MONICA_PORT", "tcp://172.17.0.5:8080")
    assert Settings.from_env() == Settings()


def test_link_hides_no_typo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONICA_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("MONICA_DEADLINE", "5")
    with pytest.raises(ConfigError, match="Did you mean MONICA_DEADLINE_S"):
        Settings.from_env()


@pytest.mark.parametrize(
    "name", ["REFERENCE_AUDIO", *(f.metadata["name"] for f in fields(Settings) if "Path" in str(f.type))]
)
@pytest.mark.parametrize("written", ["~/monica", "$HOME/monica", "${HOME}/monica"])
def test_every_path_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, written: str) -> None:
    (tmp_path / "monica").write_text("a-key")  # for MONICA_API_KEY_FILE, which is read at once
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(name, written)
    (setting,) = (f for f in fields(Settings) if f.metadata["name"] == name)
    assert getattr(Settings.from_env(), setting.name) == tmp_path / "monica"


def test_home_folder_that_is_not_known_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONICA_CACHE_DIR", "~no-such-user/x")
    with pytest.raises(ConfigError, match=r"^MONICA_CACHE_DIR='~no-such-user/x': .*home folder.*$"):
        Settings.from_env()


@pytest.mark.parametrize("around", ['"{}"', "'{}'", ' "{}"\r', "{}\r", " {} "])
@pytest.mark.parametrize(
    ("name", "value", "field", "read"),
    [
        ("PORT", "9000", "port", 9000),
        ("MONICA_DEADLINE_S", "2.5", "deadline_s", 2.5),
        ("MONICA_ENGINE", "espeak", "engine", "espeak"),
        ("MONICA_FALLBACK", "espeak", "fallback", "espeak"),
        ("MONICA_LOUDNESS", "off", "loudness", None),
        ("MONICA_VOICE_UPLOADS", "on", "voice_uploads", True),
        ("MONICA_MODEL_DIR", "/my models", "model_dir", Path("/my models")),
        ("MONICA_API_KEY", "secret", "api_key", "secret"),
        ("MONICA_LEXICON", "", "lexicon", None),
        ("REFERENCE_AUDIO", "", "reference_audio", None),
    ],
)
def test_quotes_and_space_from_env_files_are_stripped(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, field: str, read: object, around: str
) -> None:
    monkeypatch.setenv(name, around.format(value))
    assert getattr(Settings.from_env(), field) == read


@pytest.mark.parametrize("value", ["\"espeak'", '"espeak', "'", '""espeak""'])
def test_quotes_that_are_no_pair_are_part_of_the_value(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MONICA_ENGINE", value)
    with pytest.raises(ConfigError, match=r"^MONICA_ENGINE="):
        Settings.from_env()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0.0.0.0", "0.0.0.0:8080"),
        ("127.0.0.1", "127.0.0.1:8080"),
        ("localhost", "127.0.0.1:8080"),
        ("::", "[::]:8080"),
        ("::1", "[::1]:8080"),
        ("[::1]", "[::1]:8080"),
    ],
)
def test_address_is_written_as_gunicorn_wants_it(host: str, address: str) -> None:
    assert bind_address(host, 8080) == address


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "a..b", "x" * 64, "0.0.0.0:80", "http://[::1]", "unix:/x", "192.0.2.1"]
)
def test_host_that_cannot_be_bound_is_an_error_of_one_line(host: str) -> None:
    with pytest.raises(ConfigError) as caught:
        bind_address(host, 8080)
    message = str(caught.value)
    assert message.startswith(f"HOST={host!r} ")
    assert "\n" not in message


@pytest.mark.parametrize("secret", ["whsec_short", "c2VjcmV0" * 5, "whsec_***", "whsec_" + "A" * 200])
def test_a_secret_that_cannot_sign_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("MONICA_WEBHOOK_URL", "https://board.example/hook")
    monkeypatch.setenv("MONICA_WEBHOOK_SECRET", secret)
    with pytest.raises(ConfigError, match="24 to 64 bytes") as caught:
        Settings.from_env()
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_webhook_has_an_address_and_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONICA_WEBHOOK_SECRET", "whsec_" + "A" * 32)
    with pytest.raises(ConfigError, match="MONICA_WEBHOOK_URL"):
        Settings.from_env()
    for wrong in ("board.example", "ftp://board.example", "http://", "http://a:b@c/", "http://x:0/", "http://é.fr/"):
        monkeypatch.setenv("MONICA_WEBHOOK_URL", wrong)
        with pytest.raises(ConfigError, match="MONICA_WEBHOOK_URL"):
            Settings.from_env()
    monkeypatch.setenv("MONICA_WEBHOOK_URL", "https://board.example/hook?x=1")
    settings = Settings.from_env()
    assert (settings.webhook_url, settings.webhook_secret) == ("https://board.example/hook?x=1", bytes(24))
    assert "whsec" not in repr(settings)


def test_make_run_reads_the_env_file_beside_the_makefile(tmp_path: Path) -> None:
    """The environment wins, and a value with spaces or quotes hides none after it."""
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    (tmp_path / ".env").write_text("A='x y'\nB=a b c\nMONICA_LANGUAGE=\"de\"\nPORT=1\n")
    (tmp_path / "uv").write_text('#!/bin/sh\nshift 2\nexec "$@"\n')  # uv run --locked ...
    (tmp_path / "gunicorn").write_text('#!/bin/sh\necho "$A|$B|$MONICA_LANGUAGE|$PORT"\n')
    for program in ("uv", "gunicorn"):
        (tmp_path / program).chmod(0o755)
    path = f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["make", "--silent", "run", f"UV={tmp_path}/uv", "EXTRA="]

    def run() -> str:
        environment = {"PATH": path, "PORT": "7"}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert run() == "x y|a b c|de|7"
    (tmp_path / ".env").unlink()
    assert run() == "|||7"


def test_the_page_of_settings_and_the_code_agree() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.*?) \|", page, re.MULTILINE))
    assert set(rows) == {f.metadata["name"] for f in fields(Settings)} | {"HF_HOME"}
    words = {"MONICA_CACHE_DIR": "the platform's cache folder", "MONICA_LISTEN_MODEL": "by memory"}
    for f in fields(Settings):
        name, default = f.metadata["name"], written(f)
        assert rows[name] == words.get(name, "none" if default is None else f"`{default}`"), name

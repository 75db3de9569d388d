"""An nginx set up in a minute: `proxy_pass`, and not one header. All of its clients look like this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from monica.this_machine import read_token
from tests.deployment.nginx.bare import bare_nginx
from tests.support.command import monica
from tests.support.server import Server

CHANGES = [
    ("POST", "/v1/phrases/warm"),
    ("GET", "/v1/phrases"),
    ("GET", "/v1/phrases/bundle"),
    ("DELETE", "/v1/phrases/{key}"),
    ("PUT", "/v1/phrases/{key}/pin"),
    ("POST", "/v1/phrases/{key}/remake"),
]


@pytest.fixture
def bare(tmp_path: Path, server: Server) -> Iterator[str]:
    """Run the proxy and yield its URL."""
    with bare_nginx(tmp_path, f"location / {{ proxy_pass http://127.0.0.1:{server.port}; }}") as url:
        yield url


def test_stranger_behind_a_bare_proxy_speaks_and_changes_nothing(bare: str, server: Server) -> None:
    text = "Un inconnu parle."
    said = requests.post(f"{bare}/blabla", json={"text": text}, timeout=60)
    assert said.status_code == 200
    key = said.headers["ETag"].strip('"')
    for method, path in CHANGES:
        answer = requests.request(method, bare + path.format(key=key), json={"phrases": ["Tapis !"]}, timeout=60)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), (method, path)
        assert "$MONICA_CACHE_DIR/token" in answer.json()["error"]["message"]
        assert str(server.cache_setting["MONICA_CACHE_DIR"]) not in answer.text
    assert server.say(text).headers["X-Monica-Cache"] == "hit"


def test_commands_on_the_same_machine_need_no_setting(server: Server, tmp_path: Path) -> None:
    book = tmp_path / "soir.toml"
    book.write_text('[[phrases]]\ntext = "La partie commence dans cinq minutes."\n')
    done = monica("warm", str(book), PORT=str(server.port), **server.cache_setting)
    assert done.returncode == 0, done
    key = server.say("La partie commence dans cinq minutes.").headers["ETag"].strip('"')
    done = monica("cache", "remake", key[:12], "--url", server.url, **server.cache_setting)
    assert (done.returncode, b"was made again" in done.stdout) == (0, True), done
    elsewhere = monica("warm", str(book), PORT=str(server.port), MONICA_CACHE_DIR=str(tmp_path))
    assert elsewhere.returncode == 2
    assert b"the token of this machine" in elsewhere.stderr


def test_curl_is_told_how(server: Server) -> None:
    folder = Path(server.cache_setting["MONICA_CACHE_DIR"])
    command = 'curl -s -o /dev/null -w "%{http_code}" -H "Authorization: Bearer $(cat "$MONICA_CACHE_DIR/token")" '
    done = subprocess.run(
        ["sh", "-c", f"{command} {server.url}/v1/phrases"],
        env=os.environ | {"MONICA_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "200"
    token = read_token(folder)
    assert token is not None
    assert token not in server.log()
    assert f"changes need the token in {folder}/token" in server.log()

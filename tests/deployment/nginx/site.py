"""A real nginx with the site as it ships, on its own ports. Only addresses and paths of the machine are replaced."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from tests.support.server import ROOT, free_port
from tests.support.system import program
from tests.support.wire import until

NAME = "monica.bourlypokertour.fr"
OUTSIDE = "127.0.0.2"
"""An address that is outside the local network for the sites of the tests."""

MAIN = """
{user}
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include monica/{entry};
}}
"""


def make_certificate(folder: Path) -> None:
    """Make a certificate for the site and for 127.0.0.1, under Let's Encrypt's names."""
    names = f"subjectAltName=DNS:{NAME},IP:127.0.0.1"
    subprocess.run(
        [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", f"/CN={NAME}", "-addext", names,
         "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"],
        check=True, capture_output=True,
    )  # fmt: skip


class Site:
    """A running nginx. Use as a context manager."""

    def __init__(
        self, folder: Path, certificate: Path, nodes: Sequence[int], changes: Mapping[str, str] | None = None
    ) -> None:
        """Serve Monica on the ports `nodes`: one, two, or the three of a cluster.

        changes: further replacements in the configuration, old text to new.
        """
        nginx = program("nginx")
        self.port, self.plain_port = free_port(), free_port()
        self.url, self.plain_url = f"https://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.plain_port}"
        self._folder, self._certificate = folder, str(certificate / "fullchain.pem")
        _write_site(
            folder / "monica",
            {
                "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
                "listen [::]:80;": "",
                "listen 443 ssl http2;": f"listen 127.0.0.1:{self.port} ssl http2;",
                "listen [::]:443 ssl http2;": "",
                f"/etc/letsencrypt/live/{NAME}": str(certificate),
                "/var/log/nginx": str(folder),
                "/var/www/html": str(folder / "www"),
                "/dev/shm/monica-nginx": str(folder / "repeats"),
                "allow 127.0.0.0/8;": "allow 127.0.0.1;",
                **{f"127.0.0.1:{8080 + n}": f"127.0.0.1:{port}" for n, port in enumerate(nodes)},
                **(changes or {}),
            },
        )
        user = (
            f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
        )  # otherwise its workers cannot enter the folder
        entry = ("one-node.conf", "two-nodes.conf", "cluster.conf")[len(nodes) - 1]
        (folder / "nginx.conf").write_text(MAIN.format(user=user, folder=folder, entry=entry))
        self.process = subprocess.Popen(
            [nginx, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        until(self._listens)

    def _listens(self) -> bool:
        if self.process.poll() is not None:
            assert self.process.stdout is not None
            raise AssertionError(self.process.stdout.read())
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def session(self) -> requests.Session:
        """Return a client that trusts the certificate. Use as a context manager."""
        session = requests.Session()
        session.verify, session.trust_env = self._certificate, False
        return session

    def ask(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        with self.session() as session:
            return session.request(method, self.url + path, timeout=60, **kwargs)

    def say(self, text: str, **headers: str) -> requests.Response:
        return self.ask("POST", "/blabla", json={"text": text}, headers=headers)

    def curl(self, path: str, *options: str, at: str = "") -> subprocess.CompletedProcess[bytes]:
        """Send a request with curl, which speaks HTTP/2 and can use any source address."""
        common = ["--silent", "--show-error", "--max-time", "60", "--noproxy", "*", "--cacert", self._certificate]
        return subprocess.run(
            [program("curl"), *common, "--path-as-is", *options, (at or self.url) + path], capture_output=True
        )

    def log(self, number: int) -> list[dict[str, Any]]:
        """Wait until the access log has that many lines, and return them all."""
        path = self._folder / "access.log"
        until(lambda: path.read_bytes().count(b"\n") >= number)
        whole, _, _ = path.read_text().rpartition("\n")  # nginx may be writing the next one
        return [json.loads(line) for line in whole.splitlines()]

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)


def _write_site(folder: Path, changes: Mapping[str, str]) -> None:
    """Copy nginx/ with some of its text replaced. Raises AssertionError if a text does not occur."""
    files = {path.name: path.read_text() for path in (ROOT / "nginx").glob("*.conf")}
    whole = "".join(files.values())
    assert [old for old in changes if old not in whole] == []
    folder.mkdir()
    for name, text in files.items():
        for old, new in changes.items():
            text = text.replace(old, new)
        (folder / name).write_text(text)

"""A kept phrase through nginx, beside a static file of the same bytes from the same nginx.

    python -m benchmarks.nginx

The site is the one that ships, with its rate limits lifted, and a location with a file. It is measured over TLS, as the
site is used, and without, where the difference between the two is the largest. The client sends fixed bytes and only
counts what comes back: http.client would take longer than nginx does. Needs nginx and openssl.
"""

from __future__ import annotations

import argparse
import http.client
import os
import selectors
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.hardware import describe_cpu
from benchmarks.http import BODY, ask
from benchmarks.servers import ROOT, free_port, serve

TARGET = 0.9
Rate = tuple[float, float]
"""Answers per second, and nginx's processor time for one in microseconds."""
MAIN = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include monica/one-node.conf;
}}
"""


def write_site(folder: Path, monica: int, ports: tuple[int, int], repeats: bool) -> None:
    """Copy nginx/ with other ports and folders, and a location with a file.

    ports: with TLS, and without. repeats: whether nginx answers by itself.
    """
    static = f"    location /static/ {{ root {folder}; types {{ audio/wav wav; }} }}\n"
    (folder / "monica").mkdir()
    changes = {
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen [::]:80;": "",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{ports[0]} ssl;\n    listen 127.0.0.1:{ports[1]};",
        "    location = /blabla {": f"{static}    location = /blabla {{",
        "rate=10r/s": "rate=1000000r/s",
        "burst=40": "burst=1000000",  # the workers of nginx do not read the clock at the same moment
        "listen [::]:443 ssl http2;": "",
        "/etc/letsencrypt/live/monica.bourlypokertour.fr": str(folder),
        "/var/log/nginx": str(folder),
        "/dev/shm/monica-nginx": f"/dev/shm/monica-nginx-{ports[0]}",
        "127.0.0.1:8080": f"127.0.0.1:{monica}",
        "default off;": "default monica_repeats;" if repeats else "default off;",
    }
    for path in (ROOT / "nginx").glob("*.conf"):
        text = path.read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        (folder / "monica" / path.name).write_text(text)


@contextmanager
def front(folder: Path, monica: int, repeats: bool, sound: bytes) -> Iterator[tuple[tuple[int, int], psutil.Process]]:
    """Run nginx in front of Monica, and yield its ports, with TLS and without, and the process that serves them."""
    ports = free_port(), free_port()
    (folder / "static").mkdir(parents=True)
    (folder / "static" / "sound.wav").write_bytes(sound)
    certificate = f"-keyout {folder}/privkey.pem -out {folder}/fullchain.pem -subj /CN=monica"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    write_site(folder, monica, ports, repeats)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))
    process = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"])
    try:
        while not is_open(ports[0]):
            if process.poll() is not None:
                raise RuntimeError("nginx does not start")
            time.sleep(0.02)
        # Beside the worker there are two that look after the cache.
        while not (workers := [p for p in psutil.Process(process.pid).children() if "worker" in " ".join(p.cmdline())]):
            time.sleep(0.02)
        yield ports, workers[0]
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(f"/dev/shm/monica-nginx-{ports[0]}", ignore_errors=True)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: monica\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def connect(port: int, tls: bool) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    if not tls:
        return connection
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


def receive(connection: socket.socket, buffer: bytearray) -> int:
    """Receive what there is, and return how much; 0 if there is nothing yet. Raises RuntimeError at the end."""
    try:
        if size := connection.recv_into(buffer):
            return size
    except ssl.SSLWantReadError:
        return 0
    raise RuntimeError("nginx has closed the connection; its error log says why")


class Clients:
    """Connections that send the same request over and over, in one thread. Use as a context manager."""

    def __init__(self, port: int, asked: bytes, number: int, tls: bool) -> None:
        self._asked, self._tls = asked, tls
        self._connections = [connect(port, tls) for _ in range(number)]
        self._selector = selectors.DefaultSelector()
        for connection in self._connections:
            self._selector.register(connection, selectors.EVENT_READ, connection)
        self._connections[0].sendall(asked)
        answer = http.client.HTTPResponse(self._connections[0])
        answer.begin()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {answer.read()!r}")
        self._length = len(answer.read())
        for connection in self._connections:
            connection.setblocking(not tls)
        self.answers, self.seconds = 0, 0.0

    def run(self, seconds: float) -> None:
        """Ask for some time, and count the answers."""
        buffer, left = bytearray(2**20), dict.fromkeys(self._connections, 0)
        began = time.perf_counter()
        for connection in self._connections:
            connection.sendall(self._asked)
        asking, waiting = True, len(left)
        while waiting:
            asking = asking and time.perf_counter() - began < seconds
            for key, _ in self._selector.select(10):
                connection = key.data
                while size := receive(connection, buffer):
                    if left[connection] == 0:  # the head is in the first part
                        if not buffer.startswith(b"HTTP/1.1 200 "):
                            raise RuntimeError(bytes(buffer[:size]))
                        left[connection] = buffer.index(b"\r\n\r\n", 0, size) + 4 + self._length
                    left[connection] -= size
                    if left[connection] == 0:
                        self.answers += 1
                        if asking:
                            connection.sendall(self._asked)
                        else:
                            waiting -= 1
                    if not self._tls or left[connection] == 0:
                        break  # TLS may hold more than the socket tells
        self.seconds += time.perf_counter() - began

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for connection in self._connections:
            connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    rows: list[tuple[str, Rate, Rate]] = []
    with tempfile.TemporaryDirectory() as name, serve(Path(name), ROOT) as monica:
        for _ in range(2):
            _, sound = ask(http.client.HTTPConnection("127.0.0.1", monica.port, timeout=10))
        for repeats in (True, False):
            with front(Path(name) / str(repeats), monica.port, repeats, sound) as (ports, worker):
                for port, tls in zip(ports, (True, False), strict=True):
                    title = f"{'nginx' if repeats else 'Monica'} answers, {'TLS' if tls else 'plain'}"
                    rows.append((title, *compare(port, worker, tls, options)))
    how = f"{options.clients} clients, {options.rounds} rounds, on {describe_cpu()}"
    print(f"\nA kept phrase of {len(sound) // 1000} kB through nginx, {how}; target {TARGET} if nginx answers\n")
    print("| | kept phrases/s | files/s | ratio | nginx's processor time for one | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for title, (ours, ours_us), (theirs, theirs_us) in rows:
        spared = theirs_us / ours_us
        times = f"{ours_us:.0f} µs, {theirs_us:.0f} µs | {spared:.2f}"
        print(f"| {title} | {ours:.0f} | {theirs:.0f} | {ours / theirs:.2f} | {times} |")


def compare(port: int, worker: psutil.Process, tls: bool, options: argparse.Namespace) -> tuple[Rate, Rate]:
    """Ask for both in turn. Return the answers per second to each, and the microseconds of nginx for one."""
    kept, static = request("POST", "/blabla", BODY), request("GET", "/static/sound.wav")
    number = options.clients
    with Clients(port, kept, number, tls) as one, Clients(port, static, number, tls) as other:
        used = {one: 0.0, other: 0.0}
        for _ in range(options.rounds):
            for clients in used:
                before = processor_time(worker)
                clients.run(options.seconds)
                used[clients] += processor_time(worker) - before
    ours, theirs = ((clients.answers / clients.seconds, 1e6 * s / clients.answers) for clients, s in used.items())
    return ours, theirs


def processor_time(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()

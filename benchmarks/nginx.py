"""A kept phrase through nginx, beside a static file of the same bytes from the same nginx.

    python -m benchmarks.nginx

The site is the one that ships, with its rate limits lifted, on a plain port as well as with TLS; measured on the plain
one, since TLS would cost both sides the same and hide the difference. The client sends fixed bytes and only counts what
comes back: http.client would take longer than nginx does. Needs nginx and openssl.
"""

from __future__ import annotations

import argparse
import http.client
import os
import selectors
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.hardware import describe_cpu
from benchmarks.http import BODY, ask
from benchmarks.servers import ROOT, free_port, serve

TARGET = 0.9
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


def write_site(folder: Path, monica: int, port: int, repeats: bool) -> None:
    """Copy nginx/ with this machine's ports and folders, and a static file.

    repeats: whether nginx answers by itself.
    """
    server = f"""server {{
    listen 127.0.0.1:{port};
    access_log {folder}/access.log monica;
    include monica/headers.conf;
    include monica/proxy.conf;
    client_body_buffer_size 64k;
    location /static/ {{ root {folder}; types {{ audio/wav wav; }} }}
    location = /health {{ proxy_pass http://monica; }}
"""
    (folder / "monica").mkdir()
    changes = {
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen [::]:80;": "",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{free_port()} ssl http2;",
        "listen [::]:443 ssl http2;": "",
        "/etc/letsencrypt/live/monica.bourlypokertour.fr": str(folder),
        "/var/log/nginx": str(folder),
        "/dev/shm/monica-nginx": f"/dev/shm/monica-nginx-{port}",
        "127.0.0.1:8080": f"127.0.0.1:{monica}",
        "default off;": "default monica_repeats;" if repeats else "default off;",
    }
    for path in (ROOT / "nginx").glob("*.conf"):
        text = path.read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        if path.name == "site.conf":  # the location of the site itself, on a plain port and without its rate limit
            begin = text.index("    location = /blabla {")
            text += server + text[begin : text.index("    }\n", begin)] + "    }\n}\n"
        (folder / "monica" / path.name).write_text(text)


@contextmanager
def front(folder: Path, monica: int, repeats: bool, sound: bytes) -> Iterator[int]:
    """Run nginx in front of Monica, and yield its plain port."""
    port = free_port()
    (folder / "static").mkdir(parents=True)
    (folder / "static" / "sound.wav").write_bytes(sound)
    certificate = f"-keyout {folder}/privkey.pem -out {folder}/fullchain.pem -subj /CN=monica"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    write_site(folder, monica, port, repeats)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))
    process = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"])
    try:
        while not is_open(port):
            if process.poll() is not None:
                raise RuntimeError("nginx does not start")
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(f"/dev/shm/monica-nginx-{port}", ignore_errors=True)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: monica\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def throughput(port: int, asked: bytes, seconds: float, clients: int) -> float:
    """Return the answers per second to one request, sent over and over on `clients` connections."""
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(clients)]
    with selectors.DefaultSelector() as selector:
        buffer = bytearray(2**20)
        connections[0].sendall(asked)
        answer = http.client.HTTPResponse(connections[0])
        answer.begin()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {answer.read()!r}")
        body = len(answer.read())
        left = {}
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ, connection)
            connection.sendall(asked)
            left[connection] = -1
        count, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            for key, _ in selector.select(1):
                connection = key.data
                size = connection.recv_into(buffer)
                if left[connection] < 0:  # the head is in the first part
                    left[connection] = buffer.index(b"\r\n\r\n", 0, size) + 4 + body
                left[connection] -= size
                if left[connection] == 0:
                    count += 1
                    left[connection] = -1
                    connection.sendall(asked)
    for connection in connections:
        connection.close()
    return count / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as name, serve(Path(name), ROOT) as monica:
        for _ in range(2):
            _, sound = ask(http.client.HTTPConnection("127.0.0.1", monica.port, timeout=10))
        for title, repeats in (("nginx answers by itself", True), ("Monica answers", False)):
            with front(Path(name) / str(repeats), monica.port, repeats, sound) as port:
                kept, static = request("POST", "/blabla", BODY), request("GET", "/static/sound.wav")
                rounds = [
                    tuple(throughput(port, asked, options.seconds, options.clients) for asked in (kept, static))
                    for _ in range(options.rounds)
                ]
            rows[title] = rounds
    how = f"{options.clients} clients, {options.rounds} rounds, on {describe_cpu()}"
    print(f"\nA kept phrase of {len(sound) // 1000} kB through nginx, {how}\n")
    print("| | kept phrase | static file | |")
    print("| --- | --- | --- | --- |")
    for title, rounds in rows.items():
        ours, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(a / b for a, b in rounds)
        target = f" (target {TARGET})" if title.startswith("nginx") else ""
        print(f"| answers a second, {title} | {ours:.0f} | {theirs:.0f} | ratio {ratio:.2f}{target} |")


if __name__ == "__main__":
    main()

"""Monica's images, built and run: their contents, that they speak and stop, and what they say if they cannot start."""

from __future__ import annotations

import io
import re
import socket
import wave
from pathlib import Path

import pytest

from image.container import HARDENED, Container, inspect, podman
from tests.support.server import ROOT, free_port

pytestmark = pytest.mark.timeout(900)

MEBIBYTE = 2**20
LARGEST = {"slim": 700 * MEBIBYTE, "monica": 10_000 * MEBIBYTE}
RECORDINGS = {".wav", ".mp3", ".flac", ".ogg", ".m4a"}
WEIGHTS = {".safetensors", ".pt", ".ckpt", ".gguf"}
TOOLS = ("gcc", "cc", "g++", "make", "uv", "pip", "pip3", "git", "curl", "wget")


def test_configuration(image: str) -> None:
    found = inspect(image)
    config = found["Config"]
    assert config["User"] == "1000:1000"
    assert config["Entrypoint"] == ["tini", "--"]
    assert config["Cmd"] == ["gunicorn"]
    assert set(config["Volumes"]) == {"/data/hub", "/data/cache"}
    assert found["Healthcheck"]["Test"][0] == "CMD"
    assert config["Labels"]["org.opencontainers.image.title"] == "Monica"
    assert not [line for line in config["Env"] if re.search("KEY|TOKEN|PASSWORD|SECRET|PROXY", line, re.IGNORECASE)]


def test_size(image: str, target: str) -> None:
    size = inspect(image)["Size"]
    print(f"\n{image}: {size / MEBIBYTE:.0f} MiB")
    assert size < LARGEST[target]


def test_contents(files: Path) -> None:
    """No planted file, no recording, no weights, no tools, and no build configuration of this machine."""
    left = []
    for path in files.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        ours = "site-packages" not in path.parts or "monica" in path.parts
        planted = path.stat().st_size < 100 and b"planted-" in path.read_bytes()
        if planted or path.name == ".env" or (ours and path.suffix in RECORDINGS | WEIGHTS):
            left.append(path)
    assert left == []
    folders = ("usr/bin", "usr/sbin", "usr/local/bin", "app/.venv/bin", "opt/uv/bin")
    assert [tool for tool in TOOLS for folder in folders if (files / folder / tool).exists()] == []
    for configuration in ("etc/pip.conf", "etc/uv/uv.toml", "usr/local/share/ca-certificates/host.crt"):
        path = files / configuration
        assert not path.exists() or path.stat().st_size == 0, "the mount point may remain, but not its content"


def test_code_is_this(files: Path) -> None:
    """The image has this version of the code, not an older one from a build cache."""
    (package,) = files.glob("app/.venv/lib/python3*/site-packages/monica")
    stale = [
        path
        for path in (ROOT / "monica").rglob("*")
        if path.suffix in (".py", ".toml")
        and path.read_bytes() != (package / path.relative_to(ROOT / "monica")).read_bytes()
    ]
    assert stale == []


def test_only_data_can_be_written(image: str) -> None:
    script = (
        "id -u; for d in / /app /app/.venv /etc /venue /data; do touch $d/x 2>/dev/null && echo wrote $d; done;"
        "for d in /tmp /data/hub /data/cache; do touch $d/x && echo $d; done"
    )
    done = podman("run", "--rm", *HARDENED, image, "bash", "-c", script)
    assert done.stdout.split() == ["1000", "/tmp", "/data/hub", "/data/cache"]


def test_speaks_and_stops(image: str, settings: dict[str, str], volumes: tuple[str, ...]) -> None:
    """A container's whole life, and that of the next one on the same volume."""
    kept = "monica-image-test"
    podman("volume", "rm", "--force", kept)
    volumes = (*volumes, f"{kept}:/data/cache")
    text = "Pablo vient de se faire éliminer par Rusmir !"
    with Container(image, settings, volumes) as container:
        container.wait_ready()
        said = container.say(text)
        assert said.status_code == 200, said.text
        with wave.open(io.BytesIO(said.content)) as sound:
            assert sound.getnframes() > sound.getframerate() // 4
        assert said.headers["X-Monica-Engine"] == ("chatterbox" if "slim" not in image else "pico")
        assert container.execute(*health_check(image)).returncode == 0
        assert container.execute("monica", "doctor").returncode == 0
        assert container.stop() == 0
        assert "Traceback" not in container.log()
    with Container(image, settings, volumes) as container:
        container.wait_ready()
        again = container.say(text)
        assert again.headers["X-Monica-Cache"] == "hit"
        assert again.content == said.content
        assert container.stop() == 0
    podman("volume", "rm", kept)


def health_check(image: str) -> list[str]:
    command: list[str] = inspect(image)["Healthcheck"]["Test"][1:]
    return command


def test_unhealthy_until_ready(image: str) -> None:
    """The health check asks Monica, and not merely whether a process exists."""
    done = podman("run", "--rm", *HARDENED, f"--env=PORT={free_port()}", image, *health_check(image), check=False)
    assert done.returncode != 0


def refusal(image: str, settings: dict[str, str], volumes: tuple[str, ...] = ()) -> str:
    """Start a Monica that cannot start. Returns the line that says why."""
    with Container(image, settings, volumes) as container:
        assert container.wait_exit() not in (0, 137)
        log = container.log()
    assert "Traceback" not in log
    found = [line for line in log.splitlines() if "cannot start" in line]
    assert len(found) == 1, log
    return found[0]


def test_unknown_setting(image: str) -> None:
    assert "Did you mean MONICA_DEADLINE_S?" in refusal(image, {"MONICA_DEADLINE": "3"})


@pytest.mark.parametrize("options", ["", ":ro"], ids=["root's", "read-only"])
def test_unwritable_volume(image: str, options: str, tmp_path: Path) -> None:
    line = refusal(image, {"MONICA_ENGINE": "espeak"}, (f"{tmp_path}:/data/cache{options}",))
    assert "MONICA_CACHE_DIR='/data/cache' cannot be used" in line


def test_port_taken(image: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with Container(image, {"PORT": str(port), "MONICA_ENGINE": "espeak"}) as container:
            assert container.wait_exit() != 0
            assert f"Connection in use: ('127.0.0.1', {port})" in container.log()


def test_slim_has_no_chatterbox(target: str, image: str) -> None:
    if target != "slim":
        pytest.skip("it is in the other image")
    assert "Chatterbox is not installed" in refusal(image, {"MONICA_ENGINE": "chatterbox"})


def test_no_gpu(full: str) -> None:
    line = refusal(full, {"MONICA_ENGINE": "chatterbox", "MONICA_DEVICE": "cuda", "REFERENCE_AUDIO": ""})
    assert "CUDA cannot be used: Found no NVIDIA driver on your system." in line


def test_missing_reference(full: str) -> None:
    name = "/venue/26-monica--interview.wav"
    line = refusal(full, {"MONICA_ENGINE": "chatterbox", "MONICA_DEVICE": "cpu", "REFERENCE_AUDIO": name})
    assert f"REFERENCE_AUDIO='{name}': there is no such file" in line


def test_checkpoint_incomplete(full: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    settings = {"MONICA_ENGINE": "chatterbox", "MONICA_DEVICE": "cpu", "MONICA_MODEL_DIR": "/model"}
    line = refusal(full, settings | {"REFERENCE_AUDIO": ""}, (f"{tmp_path}:/model:ro",))
    assert "MONICA_MODEL_DIR='/model'" in line

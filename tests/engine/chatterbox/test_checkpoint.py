"""The five files: found, downloaded once, and checked."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from monica.config import Settings
from monica.engine.chatterbox import ChatterboxEngine
from monica.engine.chatterbox.checkpoint import Checkpoint, download, file_names, locate
from monica.engine.chatterbox.model import Model
from monica.engine.torch.digest import digest_files
from monica.errors import ConfigError, ModelUnavailable
from tests.support.command import monica

from .hub import COMMIT, Hub, serve

NAMES = file_names("v3")
MIB = 2**20


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # The hub's library saves a download in pieces of 10 MiB.
    files = {name: name.encode() * 1000 for name in NAMES} | {NAMES[1]: bytes(range(256)) * 4 * 24 * 1024}
    with serve(Hub(files)) as hub:
        yield hub


def folder(directory: Path, **contents: bytes) -> Settings:
    for name in NAMES:
        (directory / name).write_bytes(contents.get(name, b"x"))
    return dataclasses.replace(Settings(), model_dir=directory)


def test_a_folder_is_used_without_the_network(tmp_path: Path, no_network: None) -> None:
    files = locate(folder(tmp_path))
    assert files == Checkpoint(*(tmp_path / name for name in NAMES))


def test_an_unreadable_folder_is_reported() -> None:
    """As one without permission to enter would be. Root, who may run the tests, may enter any; no name is this long."""
    settings = dataclasses.replace(Settings(), model_dir=Path("x" * 300))
    with pytest.raises(ConfigError, match=r"MONICA_MODEL_DIR=.* cannot be read: File name too long"):
        locate(settings)


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    settings = dataclasses.replace(Settings(), model_dir=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"MONICA_MODEL_DIR=.*nowhere.* is not a folder"):
        locate(settings)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_reported(tmp_path: Path, name: str) -> None:
    settings = folder(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match=f"lacks {name}: put it there"):
        locate(settings)


def test_t3_v2_is_a_different_file(tmp_path: Path) -> None:
    settings = dataclasses.replace(folder(tmp_path), t3="v2")
    with pytest.raises(ConfigError, match=r"lacks t3_mtl23ls_v2\.safetensors"):
        locate(settings)


def test_an_interrupted_download_continues(hub: Hub, tmp_path: Path) -> None:
    hub.break_after[NAMES[1]] = 13 * MIB
    files = download(Settings(), cache_dir=tmp_path, endpoint=hub.url)
    assert [path.read_bytes() for path in files.paths] == [hub.files[name] for name in NAMES]
    ranges = [asked for method, name, asked in hub.requests if (method, name) == ("GET", NAMES[1])]
    assert ranges == [None, f"bytes={10 * MIB}-"]
    assert {name for _, name, _ in hub.requests} == set(NAMES), "the five files and nothing else"
    assert all(path.parent.name == COMMIT for path in files.paths)


def test_prefetch_on_the_command_line(hub: Hub, tmp_path: Path) -> None:
    hub.break_after[NAMES[1]] = 13 * MIB
    settings = {
        "MONICA_ENGINE": "chatterbox", "MONICA_DEVICE": "cpu", "REFERENCE_AUDIO": "", "MONICA_LISTEN": "off",
        "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hub"), "MONICA_CACHE_DIR": str(tmp_path / "cache"),
    }  # fmt: skip
    done = monica("prefetch", **settings)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.decode().removeprefix("The checkpoint is in ").strip())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: hub.files[name] for name in NAMES}
    assert ("GET", NAMES[1], f"bytes={10 * MIB}-") in hub.requests
    hub.requests.clear()
    examined = monica("doctor", **settings)
    assert b"ok   checkpoint: all five files" in examined.stdout
    assert hub.requests == []
    away = monica("prefetch", **(settings | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}))
    assert away.returncode == 1
    assert away.stderr.decode().splitlines()[-1].startswith("monica: ve.pt cannot be downloaded from the hub")


def test_a_branch_that_moves_during_a_download_mixes_no_commits(hub: Hub, tmp_path: Path) -> None:
    hub.moves_after = NAMES[0]
    files = download(Settings(), cache_dir=tmp_path, endpoint=hub.url)
    assert {path.parent.name for path in files.paths} == {COMMIT}
    assert hub.main != COMMIT


def test_downloaded_files_are_not_requested_again(hub: Hub, tmp_path: Path) -> None:
    download(Settings(), cache_dir=tmp_path, endpoint=hub.url)
    hub.requests.clear()
    locate(Settings(), cache_dir=tmp_path, endpoint=hub.url)
    assert hub.requests == []
    download(Settings(), cache_dir=tmp_path, endpoint=hub.url)
    assert {method for method, _, _ in hub.requests} == {"HEAD"}, "it checked for newer files and fetched nothing"


def test_a_start_from_the_cache_works_without_the_hub(hub: Hub, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    fetched = download(Settings(), cache_dir=tmp_path, endpoint=hub.url)
    request.getfixturevalue("no_network")
    assert locate(Settings(), cache_dir=tmp_path, endpoint=hub.url) == fetched
    pinned = dataclasses.replace(Settings(), model_revision=COMMIT)
    assert locate(pinned, cache_dir=tmp_path, endpoint=hub.url) == fetched


def test_a_start_downloads_missing_files(hub: Hub, tmp_path: Path) -> None:
    del hub.files[NAMES[4]]
    with pytest.raises(ConfigError, match=r"has no conds\.pt at revision 'main'"):
        locate(Settings(), cache_dir=tmp_path, endpoint=hub.url)
    hub.files[NAMES[4]] = b"conditionals"
    hub.requests.clear()
    files = locate(Settings(), cache_dir=tmp_path, endpoint=hub.url)
    assert files.conditionals.read_bytes() == b"conditionals"
    assert [name for method, name, _ in hub.requests if method == "GET"] == ["conds.pt"]


def test_an_unknown_revision_is_reported(hub: Hub, tmp_path: Path) -> None:
    settings = dataclasses.replace(Settings(), model_revision="v99")
    with pytest.raises(ConfigError, match="MONICA_MODEL_REVISION='v99'"):
        locate(settings, cache_dir=tmp_path, endpoint=hub.url)


def test_an_unreachable_hub_is_a_temporary_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match=r"ve\.pt cannot be downloaded .* MONICA_MODEL_DIR") as raised:
        locate(Settings(), cache_dir=tmp_path)
    assert str(tmp_path) not in raised.value.message


@pytest.mark.parametrize("what", ["folder", "disk"])
def test_an_unwritable_cache_is_not_reported_as_a_network_error(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        number = errno.EROFS if what == "folder" else errno.ENOSPC
        raise OSError(number, os.strerror(number), str(tmp_path))

    # Not by permissions: root, who may run these tests in a container, may write anywhere.
    monkeypatch.setattr("os.makedirs" if what == "folder" else "huggingface_hub.file_download.http_get", refuse)
    reason = "Read-only file system" if what == "folder" else "No space left on device"
    with pytest.raises(
        ModelUnavailable, match=rf"ve\.pt cannot be put into the hub's cache: {reason}\..* HF_HOME"
    ) as raised:
        locate(Settings(), cache_dir=tmp_path / "hub", endpoint=hub.url)
    assert str(tmp_path) not in raised.value.message


def test_the_digest_covers_every_byte(tmp_path: Path) -> None:
    files = locate(folder(tmp_path))
    memory = tmp_path / "cache" / "sums.json"
    before = digest_files(files.paths, memory)
    assert before == digest_files(files.paths, memory)
    assert len(before) == 64
    for path in files.paths:
        content = path.read_bytes()
        path.write_bytes(bytes(len(content)))  # of the same length
        assert digest_files(files.paths, memory) != before
        path.write_bytes(content)
    assert digest_files(files.paths, memory) == before


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = locate(folder(tmp_path))
    memory = tmp_path / "cache" / "sums.json"
    before = digest_files(files.paths, memory)
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read"))
    assert digest_files(files.paths, memory) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"ve.pt": 5}', b"\xff"])
def test_a_damaged_memory_of_sums_is_rewritten(tmp_path: Path, content: bytes) -> None:
    files = locate(folder(tmp_path))
    memory = tmp_path / "sums.json"
    memory.write_bytes(content)
    assert digest_files(files.paths, memory) == digest_files(files.paths, tmp_path / "other.json")
    assert memory.read_bytes() == (tmp_path / "other.json").read_bytes()


def test_sums_that_cannot_be_saved_are_computed_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = locate(folder(tmp_path))
    assert digest_files(files.paths, Path("/proc/monica/sums.json")) == digest_files(
        files.paths, tmp_path / "sums.json"
    )
    assert "the next start computes them again" in caplog.text


def test_the_digest_is_the_same_from_the_hub_and_from_a_folder(hub: Hub, tmp_path: Path) -> None:
    cached = download(Settings(), cache_dir=tmp_path / "hub", endpoint=hub.url)
    copied = tmp_path / "folder"
    copied.mkdir()
    for path in cached.paths:
        shutil.copyfile(path, copied / path.name)
    copy = locate(dataclasses.replace(Settings(), model_dir=copied))
    assert digest_files(cached.paths, tmp_path / "a.json") == digest_files(copy.paths, tmp_path / "b.json")
    # The hub's own sum of a large file is used: its blob is not read.
    blob = cached.t3.resolve()
    blob.chmod(0o644)
    blob.write_bytes(b"")
    assert digest_files(cached.paths, tmp_path / "c.json") == digest_files(copy.paths, tmp_path / "b.json")


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "other"])
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_reported_by_name(
    checkpoint_dir: Path, settings: Settings, tmp_path: Path, name: str, damage: str
) -> None:
    for each in NAMES:
        if each != name:
            (tmp_path / each).symlink_to(checkpoint_dir / each)
    with (checkpoint_dir / name).open("rb") as good:
        start = good.read(5000)
    other = checkpoint_dir / ("conds.pt" if name != "conds.pt" else "ve.pt")
    content = {"cut": start, "noise": b"\x93" * 5000, "empty": b"", "other": other.read_bytes()}[damage]
    (tmp_path / name).write_bytes(content)
    files = locate(dataclasses.replace(settings, model_dir=tmp_path))
    with pytest.raises(ModelUnavailable) as raised:
        Model(files, device="cpu", precision="fp32", language="fr")
    assert name in raised.value.message
    assert str(tmp_path) not in raised.value.message


def test_a_t3_of_another_shape_is_reported(checkpoint_dir: Path, settings: Settings, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for name in NAMES:
        if name != NAMES[1]:
            (tmp_path / name).symlink_to(checkpoint_dir / name)
    state = load_file(checkpoint_dir / NAMES[1])
    state["text_emb.weight"] = state["text_emb.weight"][:704].contiguous()
    save_file(state, tmp_path / NAMES[1])
    with pytest.raises(ModelUnavailable, match=r"v3\.safetensors does not fit the model: .*text_emb"):
        ChatterboxEngine(dataclasses.replace(settings, model_dir=tmp_path)).load()

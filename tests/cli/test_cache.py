from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from monica.cli import main
from monica.config import Settings
from monica.store.catalogue import Catalogue
from tests.support.command import monica
from tests.support.kept import IDENTITY, keep, metadata, server_store, sound
from tests.support.server import Server

TEXTS = ("Pablo est éliminé.", "Les blinds sont à 100/200.", "Bravo, Élise !")


@pytest.fixture
def cache(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings of a cache that does not exist yet; the command line has them too."""
    monkeypatch.setenv("MONICA_CACHE_DIR", str(settings.cache_dir))
    monkeypatch.setenv("MONICA_ENGINE", "espeak")
    return settings


@pytest.fixture
def full(cache: Settings) -> Settings:
    """Return the settings of a cache that holds three takes, and has an identity."""
    store = server_store(cache)
    for number, text in enumerate(TEXTS):
        keep(store, text, 3.0, made=1_790_000_000.0 + number)
    store.close()
    IDENTITY.write_to(cache.cache_dir)
    return cache


def key(text: str) -> str:
    return metadata(text).recipe.key


def run(*arguments: str, answer: str | None = None) -> Result:
    result = CliRunner().invoke(main, ["cache", *arguments], input=answer, catch_exceptions=False)
    assert "Traceback" not in result.output
    return result


def ok(*arguments: str, answer: str | None = None) -> str:
    result = run(*arguments, answer=answer)
    assert result.exit_code == 0, result.output
    return result.stdout


def fails(*arguments: str) -> str:
    """Run a command that ends with one line and exit code 1; return the line."""
    result = run(*arguments)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("monica: ")
    return line


def kept() -> list[str]:
    return sorted(phrase["text"] for phrase in json.loads(ok("ls", "--json")))


def test_ls_lists_the_kept_phrases(full: Settings) -> None:
    server_store(full).put("0" * 64, b"before metadata")
    store = server_store(full)
    store.get(key(TEXTS[1]))
    ok("pin", key(TEXTS[1])[:10])
    head, old, *rows = ok("ls").splitlines()
    assert head.split() == ["KEY", "SECONDS", "KB", "HITS", "MADE", "PIN", "ENGINE", "TEXT"]
    assert old.split()[:4] == ["0" * 12, "-", "0", "0"]
    assert [row.split("chatterbox")[1].strip() for row in rows] == list(reversed(TEXTS))
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(1_790_000_001))
    assert rows[1].split()[:8] == [key(TEXTS[1])[:12], "3.00", "48", "1", *made.split(), "pin", "chatterbox"]


def test_ls_searches_sorts_and_limits(full: Settings) -> None:
    assert [row.split()[-1] for row in ok("ls", "ELISE").splitlines()[1:]] == ["!"]
    assert [phrase["text"] for phrase in json.loads(ok("ls", "--sort", "text", "--limit", "2", "--json"))] == [
        TEXTS[2],
        TEXTS[1],
    ]
    assert ok("ls", "nobody") == "No kept phrase has that in its text.\n"
    assert run("ls", "--sort", "colour").exit_code == 2


def test_ls_is_fit_for_a_terminal(cache: Settings) -> None:
    keep(server_store(cache), "\x1b[2J\r\nBonjour\u202e")
    assert ok("ls").splitlines()[1].endswith("\ufffd[2J\ufffd\ufffdBonjour\ufffd")


def test_stats_counts(full: Settings) -> None:
    server_store(full).get(key(TEXTS[0]))
    ok("pin", key(TEXTS[0]))
    said = ok("stats")
    assert said.startswith("3 phrases, 1 pinned (0.0 MB)\n")
    assert "of MONICA_CACHE_MB=2048, 9 s of sound" in said
    assert "chatterbox monica: 3 phrases, 0.1 MB, 9 s" in said
    assert said.splitlines()[-1].endswith(TEXTS[0])
    numbers = json.loads(ok("stats", "--json"))
    assert (numbers["entries"], numbers["hits"], numbers["pinned"]) == (3, 1, 1)
    assert [most["text"] for most in numbers["most"]] == [TEXTS[0]]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["ls"], "The cache is empty.\n"),
        (["stats"], "The cache is empty.\n"),
        (["ls", "--json"], "[]\n"),
        (["verify"], "0 phrases read, 0 corrupt.\n"),
        (["rm", "--text", "a", "--yes"], "0 phrases removed.\n"),
    ],
)
def test_missing_folder_is_an_empty_cache(cache: Settings, command: list[str], says: str) -> None:
    assert ok(*command) == says
    assert not cache.cache_dir.exists()


@pytest.mark.parametrize("command", ["play", "rm", "pin", "unpin"])
def test_unknown_or_ambiguous_key_is_one_line(full: Settings, command: str) -> None:
    assert "No phrase's key begins with 'zz'." in fails(command, "zz")
    store = server_store(full)
    for end in "01":
        store.put("f" * 63 + end, b"")
    assert "2 phrases' keys begin with fff" in fails(command, "fff")
    assert len(kept()) == 5


def test_unusable_folder_is_one_line(cache: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.cache_dir.mkdir()
    (cache.cache_dir / "takes").write_text("not a folder")
    assert "cannot be used" in fails("ls")
    (cache.cache_dir / "takes").unlink()
    (cache.cache_dir / "takes").mkdir()
    (cache.cache_dir / "takes" / "cache.db").write_bytes(b"not a database at all" * 500)
    assert "The cache is corrupt" in fails("stats")


def test_phrases_are_removed_by_key(full: Settings) -> None:
    assert ok("rm", key(TEXTS[0])[:8], key(TEXTS[1])) == "2 phrases removed.\n"
    assert kept() == [TEXTS[2]]


def test_phrases_are_removed_by_text_after_confirmation(full: Settings) -> None:
    assert run("rm", "--text", "eli", answer="n\n").exit_code == 1
    assert len(kept()) == 3
    assert "Remove 2 phrases?" in ok("rm", "--text", "eli", answer="y\n")
    assert kept() == [TEXTS[1]]
    assert ok("rm", "--text", "blinds", "--yes") == "1 phrase removed.\n"
    assert kept() == []


@pytest.mark.parametrize("arguments", [[], ["abc", "--text", "x"]])
def test_rm_needs_keys_or_a_text(full: Settings, arguments: list[str]) -> None:
    assert run("rm", *arguments).exit_code == 2
    assert len(kept()) == 3


def test_pin_and_unpin(full: Settings) -> None:
    assert ok("pin", key(TEXTS[0]), key(TEXTS[1])) == "2 phrases pinned.\n"
    assert ok("unpin", key(TEXTS[0])) == "1 phrase no longer pinned.\n"
    with Catalogue.open(full) as catalogue:
        assert [phrase.text for phrase in catalogue.phrases() if phrase.pinned] == [TEXTS[1]]


def test_verify_names_corrupt_phrases(full: Settings) -> None:
    assert ok("verify") == "3 phrases read, 0 corrupt.\n"
    next((full.cache_dir / "takes").rglob("*.val")).write_bytes(b"corrupt")
    for arguments in ([], ["--remove"]):
        result = run("verify", *arguments)
        assert result.exit_code == 1
        named, summary = result.stdout.splitlines()
        assert "its checksum differs" in named
        assert named.split(": ")[-1] in TEXTS
        assert summary == f"3 phrases read, 1 corrupt{' and removed' if arguments else ''}."
    assert ok("verify") == "2 phrases read, 0 corrupt.\n"


def test_phrase_is_written_or_piped(full: Settings, tmp_path: Path) -> None:
    ok("play", key(TEXTS[0]), "-o", str(tmp_path / "a.wav"))
    assert (tmp_path / "a.wav").read_bytes() == sound(TEXTS[0], 3.0)
    assert run("play", key(TEXTS[0]), "-o", "-").stdout_bytes == sound(TEXTS[0], 3.0)
    assert "cannot be written" in fails("play", key(TEXTS[0]), "-o", str(tmp_path / "no" / "a.wav"))
    with Catalogue.open(full) as catalogue:
        assert catalogue.stats().hits == 0


@pytest.fixture
def players(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder where players are searched for."""
    folder = tmp_path / "players"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def player(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_phrase_is_played_by_the_first_player_that_works(full: Settings, players: Path, tmp_path: Path) -> None:
    cat = shutil.which("cat", path="/bin:/usr/bin")
    player(players, "aplay", "exit 1")  # no sound card, say
    player(players, "ffplay", f'for file; do :; done; {cat} "$file" > {tmp_path}/heard')
    player(players, "afplay", "exit 1")
    result = run("play", key(TEXTS[0]))
    assert (result.exit_code, result.stderr) == (0, f"{TEXTS[0]}\n")
    assert (tmp_path / "heard").read_bytes() == sound(TEXTS[0], 3.0)


def test_without_a_player_the_command_says_what_to_do(full: Settings, players: Path) -> None:
    result = run("play", key(TEXTS[0]))
    assert result.exit_code == 1
    assert "No player was found" in result.stderr
    assert "-o FILE" in result.stderr
    player(players, "paplay", "exit 1")
    result = run("play", key(TEXTS[0]))
    assert result.exit_code == 1
    assert "paplay cannot play here" in result.stderr


def test_bundle_goes_to_another_machine(full: Settings, tmp_path: Path) -> None:
    bundle = tmp_path / "evening.zip"
    assert ok("export", str(bundle)) == f"{bundle}: 3 phrases, 0.1 MB\n"
    assert [path.name for path in tmp_path.iterdir() if path != full.cache_dir] == ["evening.zip"]
    shutil.rmtree(full.cache_dir)
    assert "has not been ready here yet" in fails("import", str(bundle))
    assert "--force" in fails("import", str(bundle))
    assert not full.cache_dir.exists()
    assert ok("import", str(bundle), "--force") == "3 new, 0 replaced, 0 already there\n"
    IDENTITY.write_to(full.cache_dir)
    assert ok("import", str(bundle), "--pin") == "0 new, 0 replaced, 3 already there\n"
    with Catalogue.open(full) as catalogue:
        assert all(phrase.pinned for phrase in catalogue.phrases())


def test_foreign_phrases_are_exported_only_with_all(full: Settings, tmp_path: Path) -> None:
    keep(server_store(full), "Hello.", voice_digest="w" * 64)
    result = run("export", str(tmp_path / "ours.zip"))
    assert "3 phrases" in result.stdout
    assert "left out: 1 of another engine, checkpoint or voice; --all" in result.stderr
    assert "4 phrases" in ok("export", "--all", str(tmp_path / "all.zip"))
    assert "1 of 4 sounds would not be asked for here" in fails("import", str(tmp_path / "all.zip"))
    assert "1 phrases" in ok("export", str(tmp_path / "some.zip"), "PABLO")
    assert "nothing to export" in fails("export", str(tmp_path / "none.zip"), "nobody")
    server_store(full).put("0" * 64, b"before metadata")
    assert "left out: 1 that are corrupt, or older than metadata" in run("export", str(tmp_path / "ours.zip")).stderr


def test_bad_bundle_is_one_line_and_changes_nothing(full: Settings, tmp_path: Path) -> None:
    bundle = tmp_path / "evening.zip"
    assert "cannot be written" in fails("export", str(tmp_path / "no" / "a.zip"))
    ok("export", str(bundle))
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr("../evil.wav", b"evil")
    ok("rm", "--text", "a", "--yes")
    assert "'../evil.wav' does not belong there" in fails("import", str(bundle))
    bundle.write_bytes(bundle.read_bytes()[:1000])
    assert "not a bundle, or not all of one" in fails("import", str(bundle))
    assert "cannot be read" in fails("import", str(tmp_path / "none.zip"))
    assert "cannot be read" in fails("import", str(tmp_path))
    assert not list(tmp_path.rglob("*evil*"))
    assert kept() == []


def test_failed_export_leaves_no_half_file(full: Settings, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    bundle = tmp_path / "here" / "evening.zip"
    bundle.write_bytes(b"of yesterday")
    # A real refusal of the kernel: no file of the command may grow beyond 100 kB.
    script = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY));"
        "from monica.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script, "cache", "export", str(bundle)], capture_output=True)
    assert (done.returncode, done.stderr) == (1, f"monica: {bundle} cannot be written: File too large\n".encode())
    assert [path.name for path in bundle.parent.iterdir()] == ["evening.zip"]
    assert bundle.read_bytes() == b"of yesterday"


def test_running_server_remakes_a_phrase(tmp_path: Path, cache: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(cache.cache_dir), "MONICA_API_KEY": "une-clef"}
    with Server(tmp_path, settings) as server:
        server.wait_ready()
        url, allowed = ("--url", server.url), {"Authorization": "Bearer une-clef"}
        assert server.say("Blinds 100/200 !", headers=allowed).headers["X-Monica-Cache"] == "miss"
        (before,) = json.loads(ok("ls", "--json"))
        assert before["text"] == "Blinds 100/200 !"
        assert "the server refused: This needs the API key" in fails("remake", before["key"], *url)
        monkeypatch.setenv("MONICA_API_KEY", "une-clef")
        assert "was made again" in ok("remake", before["key"][:12], *url)
        (after,) = json.loads(ok("ls", "--json"))
        assert (after["key"], after["made"] > before["made"]) == (before["key"], True)

        seeded = keep(server_store(cache), "Avec une graine.", seed=5)
        assert "the seed 5: it would come out the same" in fails("remake", seeded, *url)
        assert "the server refused: No phrase's key begins with 'ffff'." in fails("remake", "ffff", *url)
        for nonsense in ("zz", "../x", "a" * 65):
            assert "the server refused: There is nothing at this path." in fails("remake", nonsense, *url)
    assert "no Monica answers" in fails("remake", before["key"], *url)
    for address in ("ftp://monica", "http://monica:port"):
        assert fails("remake", before["key"], "--url", address)


def test_phrases_that_a_changed_lexicon_says_differently_are_made_again(
    tmp_path: Path, cache: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lexicon = tmp_path / "noms.toml"
    lexicon.write_text('[names]\n"Rusmir" = "Roussmir"\n')
    settings = {
        "MONICA_ENGINE": "espeak",
        "MONICA_CACHE_DIR": str(cache.cache_dir),
        "MONICA_API_KEY": "une-clef",
        "MONICA_LEXICON": str(lexicon),
    }
    monkeypatch.setenv("MONICA_API_KEY", "une-clef")
    with Server(tmp_path, settings) as server:
        server.wait_ready()
        url, allowed = ("--url", server.url), {"Authorization": "Bearer une-clef"}
        for text in ("Rusmir gagne.", "Ana gagne.", "Bravo Rusmir !"):
            server.say(text, headers=allowed)
        before = {phrase["text"]: phrase for phrase in json.loads(ok("ls", "--json"))}
        ok("pin", before["Rusmir gagne."]["key"])
        assert ok("remake", "--affected", *url) == "0 made again.\n"

        lexicon.write_text('[names]\n"Rusmir" = { ipa = "ʁusmiʁ" }\n')
        assert ok("remake", "--affected", *url).splitlines()[-1] == "2 made again."
        after = {phrase["text"]: phrase for phrase in json.loads(ok("ls", "--json"))}
        assert after["Ana gagne."] == before["Ana gagne."]
        assert after["Rusmir gagne."]["said"] == "⟦ʁusmiʁ⟧ gagne."
        assert after["Rusmir gagne."]["pinned"]
        assert len(after) == 3
        assert server.say("Bravo Rusmir !", headers=allowed).headers["X-Monica-Cache"] == "hit"
        assert ok("remake", "--affected", *url) == "0 made again.\n"

        store = server_store(cache)
        gone = keep(store, "Rusmir revient.", said="Roussmir revient.", engine="espeak", fingerprint="espeak of old")
        refused = run("remake", "--affected", *url)
        assert refused.exit_code == 1
        assert refused.stdout == "0 made again, 1 left.\n"
        assert f"{gone:.12} is left: " in refused.stderr
    assert "no Monica answers" in fails("remake", "--affected", *url)


@pytest.mark.parametrize("arguments", [[], ["1a2b", "--affected"]])
def test_remake_needs_a_key_or_affected(cache: Settings, arguments: list[str]) -> None:
    assert run("remake", *arguments).exit_code == 2


def test_cache_commands_import_nothing_heavy(full: Settings) -> None:
    """Ten thousand phrases are counted in less time than importing numpy takes."""
    script = (
        "import sys; from monica.cli import main; main(['cache', 'stats'], standalone_mode=False);"
        "print([name for name in ('numpy', 'num2words', 'flask', 'soundfile') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_installed_command_ends_in_one_line(full: Settings) -> None:
    """Run the installed command in a process of its own."""
    done = monica("cache", "ls", "--limit", "1", MONICA_CACHE_DIR=str(full.cache_dir))
    assert done.returncode == 0
    assert TEXTS[2] in done.stdout.decode()
    done = monica("cache", "rm", "zz", MONICA_CACHE_DIR=str(full.cache_dir))
    assert (done.returncode, done.stderr) == (1, b"monica: No phrase's key begins with 'zz'.\n")
    done = monica("cache", "ls", MONICA_CACHE_DIR=str(full.cache_dir), MONICA_CACHE_MB="0")
    assert done.returncode == 1
    assert done.stderr.startswith(b"monica: MONICA_CACHE_MB='0'")

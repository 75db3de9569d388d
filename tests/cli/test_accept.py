"""monica accept, with an engine of no weight: what it writes, goes on with, refuses and keeps to itself."""

from __future__ import annotations

import base64
import getpass
import hashlib
import json
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from monica.acceptance.folder import without_paths
from monica.acceptance.sentences import SENTENCES
from monica.cli import main
from monica.cli.accept import Bar
from monica.config import Settings
from monica.engine import SynthesisParams
from monica.engine.acceptance import Acceptance, Plan, Tick, Variant
from monica.engine.registry import EngineSpec
from monica.errors import ConfigError, DeviceLost, ModelUnavailable
from tests.support.engines import CloningToy
from tests.support.recordings import recording

WAYS = ("usual", "cfg 0.3", "other weights")
TITLES = ["device", "loading and self-test", "pace", "first sound", "steadiness", "sounds for the ear test"]


class Lab:
    """An engine's part of the examination, which notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.toys: list[CloningToy] = []
        self.fail: dict[str, BaseException] = {}
        """What a part raises, once."""
        self.missing: str | None = None
        self.broken_way: str | None = None

    def spec(self) -> EngineSpec:
        return EngineSpec(
            name="chatterbox",
            title="Toy",
            make=self._make,
            examine=lambda settings: iter(()),
            work_per_sound={"cuda": 0.1},
            acceptance=lambda: Acceptance(
                require=self._require,
                describe_device=self._device,
                measures={"pace": self._pace},
                used_memory=lambda: None,
                release=lambda: self.asked.append("release"),
                variants=self._variants,
                log=("precision:",),
            ),
            accelerators=frozenset({"cuda"}),
        )

    def _note(self, name: str) -> None:
        self.asked.append(name)
        if name in self.fail:
            raise self.fail.pop(name)

    def _require(self, settings: Settings) -> None:
        if self.missing is not None:
            raise ConfigError(self.missing)

    def _make(self, settings: Settings) -> CloningToy:
        toy = CloningToy()
        toy.device = settings.device
        if settings.language != "fr":  # how `_variants` marks the other weights
            toy.name = "other"
        load = toy.load

        def load_and_note() -> None:
            self._note("load")
            if settings.language != "fr" and self.broken_way is not None:
                raise ModelUnavailable(self.broken_way)
            load()

        toy.load = load_and_note  # type: ignore[method-assign]
        self.toys.append(toy)
        return toy

    def _device(self, settings: Settings, plan: Plan) -> dict[str, Any]:
        self._note("device")
        return {"device": settings.device, "memory, GB/s": 231.5}

    def _pace(self, engine: object, plan: Plan, tick: Tick) -> dict[str, Any]:
        self._note("pace")
        tick(0.5)
        return {"rows": [{"takes": 1, "tokens a second": 150.2}, {"takes": 8, "tokens a second": 700.0}]}

    def _variants(self, settings: Settings) -> list[Variant]:
        import dataclasses

        other = dataclasses.replace(settings, language="de")
        usual = SynthesisParams()
        changed = dataclasses.replace(usual, cfg_weight=0.3)
        return [Variant(WAYS[0], settings, usual), Variant(WAYS[1], settings, changed), Variant(WAYS[2], other, usual)]


Accept = Callable[..., Result]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    lab = Lab()
    monkeypatch.setattr("monica.cli.accept.engine_specs", lambda: iter([lab.spec()]))
    monkeypatch.setattr("monica.cli.accept.accelerator", lambda: None)
    monkeypatch.setattr("monica.logs.set_up", lambda level: None)  # it would silence the log of the tests after this
    return lab


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "Jeanne Dupont" / "examination"


@pytest.fixture
def accept(lab: Lab, tmp_path: Path, output: Path) -> Accept:
    reference = tmp_path / "Jeanne Dupont" / "interview-jeanne.wav"
    reference.parent.mkdir()
    reference.write_bytes(recording())

    def accept(*options: str, **environment: str) -> Result:
        settings = {"MONICA_CACHE_DIR": str(tmp_path / "cache"), "REFERENCE_AUDIO": str(reference)}
        runner = CliRunner(env=settings | environment)
        return runner.invoke(main, ["accept", "--quick", "-o", str(output), *options])

    return accept


def report_of(output: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((output / "report.json").read_text())
    return report


def test_examination_of_a_machine(accept: Accept, lab: Lab, output: Path) -> None:
    done = accept("--cpu")
    assert done.exit_code == 0, done.output
    report = report_of(output)
    assert (report["format"], report["ok"], report["quick"]) == ("monica-accept 1", True, True)
    assert [part["title"] for part in report["parts"].values()] == TITLES
    found = {name: part["found"] for name, part in report["parts"].items()}
    assert found["device"]["memory, GB/s"] == 231.5
    assert found["start"]["voice"] == "cloned from REFERENCE_AUDIO"
    assert found["pace"]["rows"][1]["tokens a second"] == 700.0
    assert found["first_audio"]["first sound of a stream, ms"] >= 0
    assert found["steadiness"]["takes"] == 3
    assert found["ear_test"]["variants"] == list(WAYS)
    page = (output / "report.html").read_text()
    for text in ("everything passed", "231.5", "700.0", "steadiness", "figures mean nothing"):
        assert text in page
    assert all(title.split()[0] in done.stderr for title in TITLES)
    assert "notes-monica.json" in done.stdout
    # One engine at a time: the usual one for everything, then the one with other weights.
    assert lab.asked == ["device", "release", "load", "pace", "release", "load"]


def test_report_names_no_person_machine_or_folder(accept: Accept, lab: Lab, output: Path, tmp_path: Path) -> None:
    lab.fail["pace"] = OSError(2, "No such file", str(output / "secret"))
    assert accept("--cpu").exit_code == 1
    for name in ("report.json", "report.html"):
        written = (output / name).read_text()
        for personal in ("Jeanne", "Dupont", "interview", str(tmp_path), platform.node()):
            assert personal not in written, name
        if len(getpass.getuser()) > 4:
            assert getpass.getuser() not in written
        assert "data:audio" not in written
        assert "…/secret" in written


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("MONICA_MODEL_DIR='/home/jeanne/models' lacks ve.pt", "MONICA_MODEL_DIR='…/models' lacks ve.pt"),
        ("/a/b/c.wav: no", "…/c.wav: no"),
        ("~/Jeanne/x is not there", "…/x is not there"),
        ("12 of 24/s, and/or 50 %", "12 of 24/s, and/or 50 %"),
    ],
)
def test_folders_are_taken_out_of_messages(message: str, left: str) -> None:
    assert without_paths(message) == left


def test_interrupted_examination_goes_on(accept: Accept, lab: Lab, output: Path) -> None:
    lab.fail["pace"] = KeyboardInterrupt()
    stopped = accept("--cpu")
    assert stopped.exit_code == 130
    assert "Interrupted. The same command goes on" in stopped.stderr
    assert not (output / "report.json").exists()
    lab.asked.clear()
    done = accept("--cpu")
    assert done.exit_code == 0, done.output
    assert "Going on with the examination" in done.stderr
    assert [each for each in lab.asked if each != "release"] == [
        "load",
        "pace",
        "load",
    ]  # the device is not described again
    assert report_of(output)["parts"]["device"]["ok"]


def test_interrupted_ear_test_keeps_its_sounds(
    accept: Accept, lab: Lab, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.fail["pace"] = KeyboardInterrupt()
    accept("--cpu")
    kept = output / "samples" / "0-0.wav"
    kept.write_bytes(b"made before")
    done = accept("--cpu")
    assert done.exit_code == 0, done.output
    assert kept.read_bytes() == b"made before"


def test_completed_or_different_examination_starts_again(accept: Accept, lab: Lab, output: Path) -> None:
    accept("--cpu")
    lab.asked.clear()
    done = accept("--cpu")
    assert "Going on" not in done.stderr
    assert lab.asked[0] == "device"
    (output / "report.json").unlink()
    lab.asked.clear()
    assert "Going on" not in accept("--cpu", MONICA_T3="v2").stderr
    assert lab.asked[0] == "device"


def test_gpu_that_lies_is_named_and_nothing_is_measured_on_it(accept: Accept, lab: Lab, output: Path) -> None:
    lab.fail["load"] = ConfigError("T3's graph of 4 takes and 512 positions computes wrong numbers.")
    done = accept("--cpu")
    assert done.exit_code == 1
    assert "Something failed" in done.stdout
    parts = report_of(output)["parts"]
    assert parts["start"]["error"] == "T3's graph of 4 takes and 512 positions computes wrong numbers."
    assert lab.asked == ["device", "release", "load"]
    assert parts["ear_test"]["error"] == "Left out, because of: loading and self-test"
    assert "T3&#x27;s graph of 4 takes and 512 positions" in (output / "report.html").read_text()
    assert not (output / "ecoute.html").exists()
    # What failed is tried again: the driver may be another one.
    assert accept("--cpu").exit_code == 0


def test_nothing_follows_on_a_device_that_is_lost(accept: Accept, lab: Lab, output: Path) -> None:
    lab.fail["pace"] = DeviceLost("an illegal memory access")
    assert accept("--cpu").exit_code == 1
    parts = report_of(output)["parts"]
    assert parts["pace"]["error"] == "an illegal memory access"
    assert all(
        parts[name]["error"] == "Left out, because of: pace" for name in ("first_audio", "steadiness", "ear_test")
    )


def test_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bar = Bar()
    bar.show("device", 0.0)
    bar.show("steadiness", 0.5)
    bar.say("Going on.")
    drawn = capsys.readouterr().err
    assert "[------------------------]   0% 0:00 device" in drawn
    assert "[############------------]  50% 0:00 steadiness\nGoing on.\n" in drawn


def test_way_to_speak_that_cannot_be_loaded_leaves_the_others(accept: Accept, lab: Lab, output: Path) -> None:
    lab.broken_way = "t3_v2 is damaged"
    assert accept("--cpu").exit_code == 0
    found = report_of(output)["parts"]["ear_test"]["found"]
    assert found["variants"] == list(WAYS[:2])
    assert found["failed"] == {WAYS[2]: "t3_v2 is damaged"}
    assert all(sorted(order) == [0, 1] for order in found["order"])


def refused(done: Result) -> str:
    assert done.exit_code == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_without_a_gpu_the_cpu_has_to_be_asked_for(accept: Accept, output: Path) -> None:
    assert "No GPU was found or asked for" in refused(accept())
    assert "monica accept --cpu" in refused(accept(MONICA_DEVICE="cpu"))
    assert not output.exists()


def test_without_weights(accept: Accept, lab: Lab, output: Path) -> None:
    lab.missing = "The weights are not on this machine. Run: monica prefetch"
    assert refused(accept("--cpu")) == f"monica: {lab.missing}"
    assert not output.exists()


def test_engine_with_nothing_to_examine(accept: Accept) -> None:
    assert "needs no examination" in refused(accept("--cpu", MONICA_ENGINE="espeak"))


def test_folder_with_something_else_is_left_alone(accept: Accept, output: Path) -> None:
    output.mkdir()
    (output / "photo.jpg").write_bytes(b"a photo")
    assert "holds something else" in refused(accept("--cpu"))
    assert (output / "photo.jpg").read_bytes() == b"a photo"
    assert list(output.iterdir()) == [output / "photo.jpg"]


def page_of(output: Path) -> str:
    return (output / "ecoute.html").read_text()


def test_page_is_blind_and_loads_nothing(accept: Accept, output: Path) -> None:
    accept("--cpu")
    page = page_of(output)
    assert [text for text in SENTENCES if text.split()[0] in page][:2] == list(SENTENCES[:2])
    assert len(re.findall('<div class="sound" id="([12][A-C])">', page)) == 6
    assert len(set(re.findall("data:audio/wav;base64,([A-Za-z0-9+/=]+)", page))) >= 2
    read = re.sub("base64,[A-Za-z0-9+/=]+", "", page)  # sounds, which may hold any three letters
    for told in (*WAYS, "cfg", "http:", "https:", "Jeanne"):
        assert told not in read
    found = re.search('http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert found is not None
    assert found[1].startswith("default-src 'none'; media-src data:; ")
    for tag in ("style", "script"):
        content = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert content is not None
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in found[1]
    assert not re.search(r"\son\w+=|\sstyle=", page)  # the policy forbids both


def test_scores_are_added_to_the_report(accept: Accept, output: Path, tmp_path: Path) -> None:
    accept("--cpu")
    order = report_of(output)["parts"]["ear_test"]["found"]["order"]
    scores = {
        f"{place + 1}{'ABC'[letter]}": {"natural": 5 - way, "voice": 3, **({"defect": True} if way == 2 else {})}
        for place, ways in enumerate(order)
        for letter, way in enumerate(ways)
    }
    del scores["1A"]
    sheet = tmp_path / "notes-monica.json"
    sheet.write_text(json.dumps({"format": "monica-listening 1", "scores": scores}))
    done = accept("--scores", str(sheet))
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["usual", "cfg", "other"]
    rows = report_of(output)["scores"]
    assert [row["natural"] for row in rows] == [5, 4, 3]
    assert sum(row["heard"] for row in rows) == 5
    assert rows[2]["defects"] == rows[2]["heard"]
    assert "Scores of the ear test" in (output / "report.html").read_text()


def test_wrong_sheets_change_nothing(accept: Accept, output: Path, tmp_path: Path) -> None:
    accept("--cpu")
    sheet = tmp_path / "sheet.json"
    before = report_of(output)
    assert "cannot be read" in refused(accept("--scores", str(sheet)))
    for content in ("", "[]", "{}", '{"format": "other", "scores": {}}', '{"format": 3}', '{"format": []}'):
        sheet.write_text(content)
        assert "is not a sheet" in refused(accept("--scores", str(sheet)))
    assert report_of(output) == before


def test_scores_without_an_examination(accept: Accept, tmp_path: Path) -> None:
    assert "holds no report with an ear test" in refused(accept("--scores", str(tmp_path / "sheet.json")))

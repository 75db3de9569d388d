"""`python -m benchmarks.engine --profile`: a Chrome trace of one take."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import engine


def test_a_chrome_trace_of_one_take_is_written(
    checkpoint_dir: Path,
    tmp_path: Path,
    two_steps: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trace = tmp_path / "trace.json"
    options = ["--profile", str(trace), "--checkpoint", str(checkpoint_dir), "--tokens", "3", "--cpu"]
    monkeypatch.setattr(sys, "argv", ["benchmarks.engine", *options])
    engine.main()
    assert str(trace) in capsys.readouterr().out
    events = json.loads(trace.read_text())["traceEvents"]
    steps = [event for event in events if event.get("name") == "engine step"]
    assert len(steps) == 3 + 2 + 2  # the tokens, the last of them with the encoder; Euler steps, vocoder, watermark
    assert any(event.get("name") == "aten::scaled_dot_product_attention" for event in events)


def test_a_profile_needs_a_number_of_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks.engine", "--profile", str(tmp_path / "trace.json"), "--tokens"])
    with pytest.raises(SystemExit):
        engine.main()

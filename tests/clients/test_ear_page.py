"""The page of monica accept's ear test in a browser, opened as a file: its policy lets it work, and nothing else."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from monica.acceptance import ear_page
from monica.audio.wav import encode_wav
from tests.support.system import program

VISITOR = """
URL.createObjectURL = blob => { blob.text().then(text => {
  const told = document.createElement("p");
  told.id = "told";
  told.textContent = text;
  document.body.append(told);
}); return "#"; };
HTMLAnchorElement.prototype.click = () => {};
const click = selector => document.querySelector(selector).click();
click('[name="1B-natural"][value="4"]');
click('[name="1B-voice"][value="2"]');
click('[name="1B-voice"][value="3"]');
click('[id="2A"] [data-score="defect"]');
click("#save");
fetch("https://example.com/").catch(() => { document.body.dataset.blocked = "yes"; });
"""


def test_scores_are_counted_and_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ear_page, "SCRIPT", ear_page.SCRIPT + VISITOR)
    wav = encode_wav(np.zeros(2400, np.float32), 24_000)
    sentences = [("Qui suit ?", [("1A", wav), ("1B", wav)]), ("Tapis & « payé » !", [("2A", wav), ("2B", wav)])]
    page = tmp_path / "ecoute.html"
    page.write_text(ear_page.render_page(sentences, "monica-listening 1"), encoding="utf-8")
    chromium = program("chromium")
    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    assert "Sons notés : 1 sur 4" in done.stdout
    told = re.search('<p id="told">(.*?)</p>', done.stdout, re.DOTALL)
    assert told is not None
    assert json.loads(html.unescape(told[1])) == {
        "format": "monica-listening 1",
        "scores": {"1B": {"natural": 4, "voice": 3}, "2A": {"defect": True}},
    }
    assert 'data-blocked="yes"' in done.stdout

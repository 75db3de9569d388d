"""The ear test: the same sentences said in several ways, in blind order, and what the listener thought of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from string import ascii_uppercase
from typing import Any

from monica.acceptance.ear_page import render_page
from monica.acceptance.folder import Folder, without_paths
from monica.acceptance.parts import VOICE
from monica.audio.finish import Finisher
from monica.audio.wav import encode_wav
from monica.config import Settings
from monica.engine import Engine, SynthesisParams, speak
from monica.engine.acceptance import Result, Tick, Variant
from monica.errors import ConfigError, MonicaError

FORMAT = "monica-listening 1"
SCORES = ("natural", "voice")
"""What each sound is given one to five points for."""
SEED = 7
"""Every way says a sentence with the same seed, so that they differ in one thing."""


def make_samples(
    variants: Sequence[Variant],
    sentences: Sequence[str],
    said: Callable[[str], str],
    engine_of: Callable[[Settings], Engine],
    folder: Folder,
    max_tokens: int,
    settings: Settings,
    tick: Tick,
) -> Result:
    """Make every sentence in every way, except those an interrupted run has made.

    They are made as loud as each other: the louder of two sounds always seems better. Returns what the page and the
    evaluation need: the ways, the sentences, and which way is behind each letter.
    """
    finisher = Finisher.from_settings(settings)
    wrong: dict[str, str] = {}
    ended, total = 0, len(variants) * len(sentences)
    for number, variant in enumerate(variants):
        for place, sentence in enumerate(sentences):
            path = folder.sample(f"{number}-{place}")
            if not path.exists() and variant.name not in wrong:
                try:
                    _make(path, engine_of(variant.settings), said(sentence), variant.params, max_tokens, finisher)
                except (ConfigError, MonicaError) as error:
                    if number == 0:
                        raise
                    wrong[variant.name] = without_paths(str(error))  # the others can be compared all the same
            ended += 1
            tick(ended / total)
    heard = [number for number, variant in enumerate(variants) if variant.name not in wrong]
    return {
        "variants": [variants[number].name for number in heard],
        "sentences": list(sentences),
        "failed": wrong,
        "order": _blind_order(heard, len(sentences), folder.seed),
    }


def page(found: Result, folder: Folder) -> str:
    """Return the page that plays the samples and takes the scores. found: what `make_samples` returned."""
    numbers = {letter: place for place, letter in enumerate(ascii_uppercase)}
    sentences = []
    for place, (text, order) in enumerate(zip(found["sentences"], found["order"], strict=True)):
        sounds = [
            (f"{place + 1}{letter}", folder.sample(f"{order[numbers[letter]]}-{place}").read_bytes())
            for letter in ascii_uppercase[: len(order)]
        ]
        sentences.append((text, sounds))
    return render_page(sentences, FORMAT)


def evaluate(found: Mapping[str, Any], scores: Path) -> list[dict[str, Any]]:
    """Return, for each way to speak, the means of its points and the number of its defects.

    found: the part of the report. scores: the file that the page saved. Raises ConfigError if it is another one.
    """
    try:
        given = json.loads(scores.read_text(encoding="utf-8"))
        # A sheet of another format has no scores of this one.
        sheet: Mapping[str, Mapping[str, Any]] = {FORMAT: given["scores"]}[given["format"]]
        points: dict[int, list[Mapping[str, Any]]] = {number: [] for order in found["order"] for number in order}
        for place, order in enumerate(found["order"]):
            for letter, number in zip(ascii_uppercase, order, strict=False):
                points[number].append(sheet.get(f"{place + 1}{letter}", {}))
        names = dict(zip(sorted(points), found["variants"], strict=True))
        return [_summary(names[number], sheets) for number, sheets in sorted(points.items())]
    except OSError as error:
        raise ConfigError(f"{scores} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{scores} is not a sheet that the listening page has saved.") from error


def _summary(name: str, sheets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    summary: dict[str, Any] = {"variant": name}
    for score in SCORES:
        given = [int(sheet[score]) for sheet in sheets if sheet.get(score)]
        summary[score] = round(mean(given), 2) if given else None
    summary["defects"] = sum(bool(sheet.get("defect")) for sheet in sheets)
    summary["heard"] = sum(bool(sheet) for sheet in sheets)
    return summary


def _make(path: Path, engine: Engine, text: str, params: SynthesisParams, max_tokens: int, finisher: Finisher) -> None:
    limited = replace(params, max_tokens=max_tokens)
    samples = speak(engine, text, voice=VOICE, params=limited, seed=SEED)
    wav = encode_wav(finisher.finish_take(samples, engine.sample_rate), engine.sample_rate)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(wav)
    unfinished.replace(path)


def _blind_order(variants: Sequence[int], sentences: int, seed: int) -> list[list[int]]:
    """Return for each sentence the number of the variant behind the letters A, B, C ..."""
    generator = random.Random(seed)  # noqa: S311
    return [generator.sample(variants, len(variants)) for _ in range(sentences)]

"""Streams: heard in pieces that fit, made of the tokens that would have been said anyway, marked, and forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from monica.engine import SynthesisParams, Utterance
from monica.engine.chatterbox import utterances
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.hift import HiFT
from monica.engine.chatterbox.s3gen import Decoder
from monica.engine.chatterbox.streaming import (
    FIRST_HOP,
    FRAME,
    LOOK_AHEAD,
    MARK_REACH,
    PITCH_REACH,
    PROMPTS,
    VOCODER_REACH,
    Sliding,
    Stream,
    Streamer,
)
from monica.engine.chatterbox.watermark import Watermark
from monica.errors import SynthesisFailed

from .conftest import load_shallow
from .house import House
from .test_hift import seeded

SAID = [(7 * i) % 6561 for i in range(1, 70)]
FRAMES = 60
CUTS = st.lists(st.integers(30, FRAMES - 5), max_size=2, unique=True).map(lambda cuts: [*sorted(cuts), FRAMES])


@pytest.fixture(scope="module")
def streamer(decoder: Decoder) -> Iterator[Streamer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monica.engine.chatterbox.s3gen.EULER_STEPS", 2)
        yield Streamer(decoder, Watermark())


@pytest.fixture(scope="module")
def hift(checkpoint_dir: Path) -> HiFT:
    return HiFT(load_shallow(checkpoint_dir).mel2wav.double())


def hop(stream: Stream, tokens: Sequence[int], *, last: bool = False) -> Any:
    """Go through one hop. Returns its samples."""
    stages = stream.sound(tokens, last=last)
    while True:
        try:
            next(stages)
        except StopIteration as sounded:
            return sounded.value


def whole(stream: Stream, ends: Sequence[int]) -> list[Any]:
    return [hop(stream, SAID[:end], last=end == ends[-1]) for end in ends]


def slid(sliding: Sliding, cuts: Sequence[int], unit: int = 1) -> Tensor:
    return torch.cat([sliding(cut * unit, cut == cuts[-1]) for cut in cuts], dim=-1)


@hypothesis_settings(max_examples=6, deadline=None)
@given(CUTS)
@torch.inference_mode()
def test_the_vocoder_makes_of_parts_what_it_makes_of_the_whole(hift: HiFT, cuts: list[int]) -> None:
    mel = torch.randn(1, 80, FRAMES, generator=seeded(), dtype=torch.float64)
    pitch = slid(Sliding(PITCH_REACH, lambda part: hift.pitch(mel[..., part])), cuts)
    torch.testing.assert_close(pitch, hift.pitch(mel), atol=1e-9, rtol=0)

    source = torch.randn(1, FRAME * FRAMES, generator=seeded(), dtype=torch.float64)
    parts = Sliding(
        VOCODER_REACH * FRAME,
        lambda part: hift.decode(mel[..., part.start // FRAME : part.stop // FRAME], source[:, part])[0],
    )
    made, expected = slid(parts, cuts, FRAME), hift.decode(mel, source)[0]
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(made, expected, atol=1e-9, rtol=0)


@torch.inference_mode()
def test_harmonics_go_on_from_part_to_part(hift: HiFT) -> None:
    """Without the noise, which is drawn anew for every part."""
    f0 = torch.linspace(120, 180, FRAMES, dtype=torch.float64)[None]
    silent = torch.Generator()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", lambda shape, **_: torch.zeros(shape))
        phase = hift.start(seeded())
        parts = torch.cat([hift.source(f0[:, part], phase, silent) for part in (slice(23), slice(23, 60))], dim=1)
        expected = hift.source(f0, hift.start(seeded()), silent)
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(parts, expected, atol=1e-9, rtol=0)


@torch.inference_mode()
def test_the_watermark_of_parts_is_that_of_the_whole(reference: Any) -> None:
    watermark = Watermark()
    sound = torch.from_numpy(reference.samples[: FRAMES * FRAME])
    cuts = [31, 44, FRAMES]
    parts = Sliding(MARK_REACH * FRAME, lambda part: watermark.apply(sound[part]))
    made, expected = slid(parts, cuts, FRAME), watermark.apply(sound)
    assert (expected - sound).abs().max() > 1e-3
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


def test_the_first_piece_comes_early_and_all_of_them_are_the_take(streamer: Streamer, voice: Conditionals) -> None:
    pieces = whole(streamer.stream(voice, seeded()), [FIRST_HOP, 60, 69])
    certain = 2 * (FIRST_HOP - LOOK_AHEAD) - PITCH_REACH - VOCODER_REACH - MARK_REACH
    assert len(pieces[0]) == certain * FRAME >= 0.5 * 24_000
    assert sum(map(len, pieces)) == 69 * 2 * FRAME
    sound = np.concatenate(pieces)
    assert np.abs(sound).max() > 0.01
    assert streamer.watermark.read(sound, 24_000) == 1.0


def test_where_pieces_meet_nothing_is_heard(streamer: Streamer, voice: Conditionals) -> None:
    """The bend of the sound at a seam is no sharper than what is usual around it."""
    pieces = whole(streamer.stream(voice, seeded()), [FIRST_HOP, 44, 69])
    bend = np.abs(np.diff(np.concatenate(pieces), 2))
    for seam in np.cumsum([len(piece) for piece in pieces])[:-1]:
        at, around = bend[seam - 3 : seam + 2].max(), bend[seam - 480 : seam + 480]
        assert at <= np.quantile(around, 0.999)


def test_what_was_heard_of_a_stream_does_not_depend_on_what_comes(streamer: Streamer, voice: Conditionals) -> None:
    first, other = (streamer.stream(voice, seeded()) for _ in range(2))
    np.testing.assert_array_equal(hop(first, SAID[:FIRST_HOP]), hop(other, SAID[:FIRST_HOP]))
    others = [*SAID[:FIRST_HOP], *reversed(SAID[FIRST_HOP:60])]
    one, another = hop(first, SAID[:60], last=True), hop(other, others, last=True)
    assert np.abs(one - another).max() > 0.01


def test_a_stream_is_nearly_the_take_made_whole(streamer: Streamer, voice: Conditionals) -> None:
    """Random weights: only that it is of the same length and level. How near it is `make bench-stream` prints."""
    streamed = np.concatenate(whole(streamer.stream(voice, seeded()), [FIRST_HOP, 69]))
    made = streamer.decoder.decode(torch.tensor(SAID), voice, generator=seeded()).numpy()
    assert streamed.shape == made.shape
    assert 0.5 < np.sqrt(np.mean(streamed**2) / np.mean(made**2)) < 2


def test_a_voices_prompt_is_heard_once(
    decoder: Decoder, voice: Conditionals, two_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[int] = []
    call = Estimator.__call__

    def called(self: Estimator, x: Tensor, *others: Any, **named: Any) -> Tensor:
        frames.append(x.size(1))
        return call(self, x, *others, **named)

    monkeypatch.setattr(Estimator, "__call__", called)
    streamer = Streamer(decoder, Watermark())
    prompt, certain = voice.s3gen_mel.size(1), 2 * (FIRST_HOP - LOOK_AHEAD)
    hop(streamer.stream(voice, seeded()), SAID[:FIRST_HOP])
    assert frames == [prompt] * 2 + [certain] * 2
    hop(streamer.stream(voice, seeded()), SAID[:FIRST_HOP])
    assert frames[4:] == [certain] * 2
    for _ in range(PROMPTS):
        hop(streamer.stream(voice.to("cpu"), seeded()), SAID[:FIRST_HOP])
    assert len(streamer._prompts) == PROMPTS
    assert all(prompt.voice is not voice for prompt in streamer._prompts)


def test_no_numbers_end_a_stream(streamer: Streamer, voice: Conditionals, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = streamer.stream(voice, seeded())
    hop(stream, SAID[:FIRST_HOP])
    decode = HiFT.decode
    monkeypatch.setattr(HiFT, "decode", lambda *arguments: decode(*arguments).fill_(torch.nan))
    with pytest.raises(SynthesisFailed, match="S3Gen gave no numbers"):
        hop(stream, SAID, last=True)


@pytest.fixture
def studio(house: House, decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> House:
    """The house, where streams are sounded in two Euler steps too."""
    monkeypatch.setattr(house.utterances.model.streamer, "decoder", decoder)
    house.utterances.model.streamer._prompts.clear()
    return house


def begin(house: House, tokens: int, seed: int = 3, *, stream: bool = True) -> Utterance:
    return house.begin(0, params=SynthesisParams(max_tokens=tokens), seed=seed, stream=stream)


def test_a_stream_says_the_same_tokens(studio: House, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Sequence[int]] = []
    model = studio.utterances.model
    sound, hops = model.sound, Stream.sound

    def sounded(tokens: Sequence[int], voice: Conditionals, seed: int) -> Any:
        heard.append(tokens)
        return sound(tokens, voice, seed)

    def hopped(self: Stream, tokens: Sequence[int], *, last: bool) -> Any:
        heard.append(tokens)
        return hops(self, tokens, last=last)

    monkeypatch.setattr(model, "sound", sounded)
    monkeypatch.setattr(Stream, "sound", hopped)
    studio.finish(begin(studio, 40, stream=False))
    streamed = begin(studio, 40)
    samples = studio.finish(streamed)
    entire, first, last = heard
    assert list(entire) == list(last)
    assert list(first) == list(entire)[:FIRST_HOP]
    assert len(samples) == 40 * 2 * FRAME
    np.testing.assert_array_equal(samples, np.concatenate(streamed.pieces))
    assert len(streamed.pieces) == 2


def test_a_piece_is_there_while_t3_still_says_the_rest(studio: House) -> None:
    utterance = begin(studio, 60)
    studio.step(FIRST_HOP + 10)
    assert not utterance.done
    assert len(utterance.pieces) == 1
    studio.finish(utterance)


def test_the_first_sound_of_a_stream_goes_before_what_was_said_earlier(studio: House) -> None:
    streamed, whole = begin(studio, 60), begin(studio, FIRST_HOP - 1, stream=False)
    studio.step(FIRST_HOP - 1)
    assert not whole.done  # said a step before the first hop is
    studio.step(2)
    assert len(streamed.pieces) == 1
    studio.step_until_done(streamed, whole)


def test_what_is_over_before_its_first_hop_is_made_whole(studio: House) -> None:
    streamed = begin(studio, FIRST_HOP)
    np.testing.assert_array_equal(studio.finish(streamed), studio.finish(begin(studio, FIRST_HOP, stream=False)))
    assert streamed.pieces == []


def test_more_streams_than_there_is_room_for_are_made_whole(studio: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterances, "STREAMS", 1)
    first, second = begin(studio, 41), begin(studio, 41)
    studio.step_until_done(first, second)
    assert len(first.pieces) == 2
    assert second.pieces == []
    studio.finish(third := begin(studio, 41))
    assert len(third.pieces) == 2


@pytest.mark.parametrize("steps", [0, 5, FIRST_HOP, FIRST_HOP + 2, FIRST_HOP + 8, 46])
def test_a_stream_is_set_aside_or_dropped_at_any_step(studio: House, steps: int) -> None:
    expected = studio.finish(begin(studio, 43))
    utterance = begin(studio, 43)
    studio.step(steps)
    studio.engine.pause(utterance)
    studio.assert_alone(studio.begin(1), 1)
    studio.engine.resume(utterance)
    np.testing.assert_array_equal(studio.finish(utterance), expected)
    dropped = begin(studio, 43)
    studio.step(steps)
    studio.engine.drop(dropped)
    assert studio.t3.decoding == []
    studio.assert_alone(studio.begin(2), 2)


def test_streams_beside_each_other_are_what_each_is_alone(studio: House) -> None:
    alone = [studio.finish(begin(studio, tokens, seed=tokens)) for tokens in (44, 57)]
    first, second = begin(studio, 44, seed=44), begin(studio, 57, seed=57)
    studio.step_until_done(first, second)
    for utterance, expected in zip((first, second), alone, strict=True):
        np.testing.assert_allclose(studio.finish(utterance), expected, atol=1e-4)


def test_out_of_memory_in_a_hop_ends_the_stream_alone(studio: House, monkeypatch: pytest.MonkeyPatch) -> None:
    other, utterance = studio.begin(1), begin(studio, 40)
    with monkeypatch.context() as patch:
        patch.setattr(Stream, "_solve", _no_memory)
        studio.step_until_done(utterance)
    assert isinstance(utterance.error, SynthesisFailed)
    assert "not enough memory" in str(utterance.error)
    studio.assert_alone(other, 1)


def _no_memory(*_: object) -> Iterator[None]:
    raise MemoryError
    yield

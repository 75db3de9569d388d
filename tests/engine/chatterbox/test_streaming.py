"""Streams: chunks without seams, the same tokens as the whole take, a watermark, and nothing left behind."""

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

from benchmarks.single_take import run_passes, synthesize_tokens
from monica.engine import SynthesisParams, Utterance
from monica.engine.chatterbox import utterances
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.harmonic_source import FRAME
from monica.engine.chatterbox.hift import PITCH_REACH, VOCODER_REACH, HiFT
from monica.engine.chatterbox.s3gen import Token2Wav
from monica.engine.chatterbox.streaming import (
    FIRST_HOP,
    LOOK_AHEAD,
    MAX_PROMPTS,
    SlidingWindow,
    StreamingToken2Wav,
    StreamState,
)
from monica.engine.chatterbox.watermark import WATERMARK_REACH, Watermark
from monica.errors import SynthesisFailed

from .conftest import load_shallow
from .engine_harness import EngineHarness
from .test_hift import seeded

TOKENS = [(7 * i) % 6561 for i in range(1, 70)]
FRAMES = 60
CUTS = st.lists(st.integers(30, FRAMES - 5), max_size=2, unique=True).map(lambda cuts: [*sorted(cuts), FRAMES])


@pytest.fixture(scope="module")
def streamer(token2wav: Token2Wav) -> Iterator[StreamingToken2Wav]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monica.engine.chatterbox.euler.EULER_STEPS", 2)
        yield StreamingToken2Wav(token2wav, Watermark())


@pytest.fixture(scope="module")
def hift(checkpoint_dir: Path) -> HiFT:
    return HiFT(load_shallow(checkpoint_dir).mel2wav.double())


def hop(stream: StreamState, tokens: Sequence[int], *, last: bool = False) -> Any:
    """Synthesize one hop. Returns its samples."""
    return run_passes(stream.synthesize_hop(tokens, last=last))


def whole(stream: StreamState, ends: Sequence[int]) -> list[Any]:
    return [hop(stream, TOKENS[:end], last=end == ends[-1]) for end in ends]


def in_parts(window: SlidingWindow, cuts: Sequence[int], unit: int = 1) -> Tensor:
    return torch.cat([window(cut * unit, cut == cuts[-1]) for cut in cuts], dim=-1)


@hypothesis_settings(max_examples=6, deadline=None)
@given(CUTS)
@torch.inference_mode()
def test_vocoding_in_parts_equals_vocoding_the_whole(hift: HiFT, cuts: list[int]) -> None:
    mel = torch.randn(1, 80, FRAMES, generator=seeded(), dtype=torch.float64)
    pitch = in_parts(SlidingWindow(PITCH_REACH, lambda part: hift.predict_f0(mel[..., part])), cuts)
    torch.testing.assert_close(pitch, hift.predict_f0(mel), atol=1e-9, rtol=0)

    source = torch.randn(1, FRAME * FRAMES, generator=seeded(), dtype=torch.float64)
    parts = SlidingWindow(
        VOCODER_REACH * FRAME,
        lambda part: hift.vocode(mel[..., part.start // FRAME : part.stop // FRAME], source[:, part])[0],
    )
    made, expected = in_parts(parts, cuts, FRAME), hift.vocode(mel, source)[0]
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(made, expected, atol=1e-9, rtol=0)


def test_parts_have_the_lengths_that_are_liked() -> None:
    """A part begins earlier for it; what is made of it is the same."""
    reach, sizes, total = 3, (12, 20), torch.arange(70.0)
    lengths = []

    def blur(part: slice) -> Tensor:
        lengths.append(part.stop - part.start)
        padded = torch.nn.functional.pad(total[part], (reach, reach))
        return padded.unfold(0, 2 * reach + 1, 1).sum(dim=1)

    cuts = [10, 24, 30, 40, 70]
    assert torch.equal(in_parts(SlidingWindow(reach, blur, sizes), cuts), blur(slice(0, 70)))
    assert lengths == [10, 20, 12, 20, 36, 70]  # too few; one of the sizes; more than any of them; the whole


@torch.inference_mode()
def test_harmonics_continue_from_part_to_part(hift: HiFT) -> None:
    """Without the noise, which differs from part to part."""
    f0 = torch.linspace(120, 180, FRAMES, dtype=torch.float64)[None]
    silent = torch.Generator()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", lambda shape, **_: torch.zeros(shape))
        phase = hift.draw_phase(seeded())
        parts = torch.cat([hift.make_source(f0[:, part], phase, silent) for part in (slice(23), slice(23, 60))], dim=1)
        expected = hift.make_source(f0, hift.draw_phase(seeded()), silent)
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(parts, expected, atol=1e-9, rtol=0)


@torch.inference_mode()
def test_watermarking_in_parts_equals_watermarking_the_whole(reference: Any) -> None:
    watermark = Watermark()
    sound = torch.from_numpy(reference.samples[: FRAMES * FRAME])
    cuts = [31, 44, FRAMES]
    parts = SlidingWindow(WATERMARK_REACH * FRAME, lambda part: watermark.apply(sound[part]))
    made, expected = in_parts(parts, cuts, FRAME), watermark.apply(sound)
    assert (expected - sound).abs().max() > 1e-3
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


def test_the_first_chunk_comes_early_and_all_chunks_make_up_the_take(
    streamer: StreamingToken2Wav, voice: Conditionals
) -> None:
    chunks = whole(streamer.start_stream(voice, seeded()), [FIRST_HOP, 60, 69])
    certain = 2 * (FIRST_HOP - LOOK_AHEAD) - PITCH_REACH - VOCODER_REACH - WATERMARK_REACH
    assert len(chunks[0]) == certain * FRAME >= 0.5 * 24_000
    assert sum(map(len, chunks)) == 68 * 2 * FRAME
    sound = np.concatenate(chunks)
    assert np.abs(sound).max() > 0.01
    assert streamer.watermark.detect(sound, 24_000) == 1.0


def test_chunks_join_without_an_audible_seam(streamer: StreamingToken2Wav, voice: Conditionals) -> None:
    """The second difference of the sound at a seam is no larger than is usual around it."""
    chunks = whole(streamer.start_stream(voice, seeded()), [FIRST_HOP, 44, 69])
    bend = np.abs(np.diff(np.concatenate(chunks), 2))
    for seam in np.cumsum([len(chunk) for chunk in chunks])[:-1]:
        at, around = bend[seam - 3 : seam + 2].max(), bend[seam - 480 : seam + 480]
        assert at <= np.quantile(around, 0.999)


def test_a_chunk_does_not_depend_on_later_tokens(streamer: StreamingToken2Wav, voice: Conditionals) -> None:
    first, other = (streamer.start_stream(voice, seeded()) for _ in range(2))
    np.testing.assert_array_equal(hop(first, TOKENS[:FIRST_HOP]), hop(other, TOKENS[:FIRST_HOP]))
    others = [*TOKENS[:FIRST_HOP], *reversed(TOKENS[FIRST_HOP:60])]
    one, another = hop(first, TOKENS[:60], last=True), hop(other, others, last=True)
    assert np.abs(one - another).max() > 0.01


def test_a_stream_is_close_to_the_whole_take(streamer: StreamingToken2Wav, voice: Conditionals) -> None:
    """With random weights, only length and level can be compared. `make bench-stream` prints how close it is."""
    streamed = np.concatenate(whole(streamer.start_stream(voice, seeded()), [FIRST_HOP, 69]))
    made = synthesize_tokens(streamer.token2wav, torch.tensor(TOKENS), voice, generator=seeded()).numpy()[: -2 * FRAME]
    assert streamed.shape == made.shape
    assert 0.5 < np.sqrt(np.mean(streamed**2) / np.mean(made**2)) < 2


def test_a_voices_prompt_is_computed_once(
    token2wav: Token2Wav, voice: Conditionals, two_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[int] = []
    call = Estimator.__call__

    def counted_call(self: Estimator, x: Tensor, *others: Any, **named: Any) -> Tensor:
        frames.append(x.size(1))
        return call(self, x, *others, **named)

    monkeypatch.setattr(Estimator, "__call__", counted_call)
    streamer = StreamingToken2Wav(token2wav, Watermark())
    prompt, certain = voice.s3gen_mel.size(1), 2 * (FIRST_HOP - LOOK_AHEAD)
    hop(streamer.start_stream(voice, seeded()), TOKENS[:FIRST_HOP])
    assert frames == [prompt] * 2 + [certain] * 2
    hop(streamer.start_stream(voice, seeded()), TOKENS[:FIRST_HOP])
    assert frames[4:] == [certain] * 2
    for _ in range(MAX_PROMPTS):
        hop(streamer.start_stream(voice.to("cpu"), seeded()), TOKENS[:FIRST_HOP])
    assert len(streamer._prompts) == MAX_PROMPTS
    assert all(prompt.voice is not voice for prompt in streamer._prompts)


def test_values_not_finite_end_a_stream(
    streamer: StreamingToken2Wav, voice: Conditionals, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = streamer.start_stream(voice, seeded())
    hop(stream, TOKENS[:FIRST_HOP])
    vocode = HiFT.vocode
    monkeypatch.setattr(HiFT, "vocode", lambda *arguments: vocode(*arguments).fill_(torch.nan))
    with pytest.raises(SynthesisFailed, match="S3Gen produced values that are not finite"):
        hop(stream, TOKENS, last=True)


@pytest.fixture
def harness(harness: EngineHarness, token2wav: Token2Wav, monkeypatch: pytest.MonkeyPatch) -> EngineHarness:
    """The harness, in which streams take two Euler steps, too."""
    monkeypatch.setattr(harness.utterances.model.streaming, "token2wav", token2wav)
    harness.utterances.model.streaming._prompts.clear()
    return harness


def begin(harness: EngineHarness, tokens: int, seed: int = 3, *, stream: bool = True) -> Utterance:
    return harness.begin(0, params=SynthesisParams(max_tokens=tokens), seed=seed, stream=stream)


def test_a_stream_has_the_same_tokens(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    synthesized: list[Sequence[int]] = []
    model = harness.utterances.model
    synthesize, synthesize_hop = model.synthesize, StreamState.synthesize_hop

    def recorded_synthesize(tokens: Sequence[int], voice: Conditionals, seed: int) -> Any:
        synthesized.append(tokens)
        return synthesize(tokens, voice, seed)

    def recorded_hop(self: StreamState, tokens: Sequence[int], *, last: bool) -> Any:
        synthesized.append(tokens)
        return synthesize_hop(self, tokens, last=last)

    monkeypatch.setattr(model, "synthesize", recorded_synthesize)
    monkeypatch.setattr(StreamState, "synthesize_hop", recorded_hop)
    harness.finish(begin(harness, 40, stream=False))
    streamed = begin(harness, 40)
    samples = harness.finish(streamed)
    entire, first, last = synthesized
    assert list(entire) == list(last)
    assert list(first) == list(entire)[:FIRST_HOP]
    assert len(samples) == 39 * 2 * FRAME
    np.testing.assert_array_equal(samples, np.concatenate(streamed.chunks))
    assert len(streamed.chunks) == 2


def test_a_chunk_is_ready_while_t3_generates_the_rest(harness: EngineHarness) -> None:
    utterance = begin(harness, 60)
    harness.step(FIRST_HOP + 10)
    assert not utterance.done
    assert len(utterance.chunks) == 1
    harness.finish(utterance)


def test_the_first_hop_of_a_stream_precedes_earlier_takes(harness: EngineHarness) -> None:
    streamed, whole = begin(harness, 60), begin(harness, FIRST_HOP - 1, stream=False)
    harness.step(FIRST_HOP - 1)
    assert not whole.done  # generated one step before the first hop
    harness.step(2)
    assert len(streamed.chunks) == 1
    harness.step_until_done(streamed, whole)


def test_a_stream_that_ends_before_its_first_hop_is_made_whole(harness: EngineHarness) -> None:
    streamed = begin(harness, FIRST_HOP)
    np.testing.assert_array_equal(harness.finish(streamed), harness.finish(begin(harness, FIRST_HOP, stream=False)))
    assert streamed.chunks == []


def test_streams_beyond_the_limit_are_made_whole(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterances, "MAX_STREAMS", 1)
    first, second = begin(harness, 41), begin(harness, 41)
    harness.step_until_done(first, second)
    assert len(first.chunks) == 2
    assert second.chunks == []
    harness.finish(third := begin(harness, 41))
    assert len(third.chunks) == 2


@pytest.mark.parametrize("steps", [0, 5, FIRST_HOP, FIRST_HOP + 2, FIRST_HOP + 8, 46])
def test_a_stream_can_be_paused_or_dropped_at_any_step(harness: EngineHarness, steps: int) -> None:
    expected = harness.finish(begin(harness, 43))
    utterance = begin(harness, 43)
    harness.step(steps)
    harness.engine.pause(utterance)
    harness.assert_alone(harness.begin(1), 1)
    harness.engine.resume(utterance)
    np.testing.assert_array_equal(harness.finish(utterance), expected)
    dropped = begin(harness, 43)
    harness.step(steps)
    harness.engine.drop(dropped)
    assert harness.t3.running == []
    harness.assert_alone(harness.begin(2), 2)


def test_two_streams_together_equal_each_one_alone(harness: EngineHarness) -> None:
    alone = [harness.finish(begin(harness, tokens, seed=tokens)) for tokens in (44, 57)]
    first, second = begin(harness, 44, seed=44), begin(harness, 57, seed=57)
    harness.step_until_done(first, second)
    for utterance, expected in zip((first, second), alone, strict=True):
        np.testing.assert_allclose(harness.finish(utterance), expected, atol=1e-4)


def test_out_of_memory_in_a_hop_ends_only_that_stream(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    other, utterance = harness.begin(1), begin(harness, 40)
    with monkeypatch.context() as patch:
        patch.setattr(StreamState, "_predict_mel", _no_memory)
        harness.step_until_done(utterance)
    assert isinstance(utterance.error, SynthesisFailed)
    assert "not enough memory" in str(utterance.error)
    harness.assert_alone(other, 1)


def _no_memory(*_: object) -> Iterator[None]:
    raise MemoryError
    yield

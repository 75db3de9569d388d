"""The sound of a stream's hop on CUDA: pitch, source, vocoder, fade-in and watermark in one graph.

A graph works on a window: the last frames of the mel, as many as it was captured for. What it makes of them lags
behind, because each stage depends on frames to either side. So a window reaches back to what is not marked yet, and as
far before that as the watermark depends on. What earlier hops have made of the same frames comes in again: the source,
whose noise is drawn only once, and the samples, of which a window without their context would make others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monica.engine.chatterbox.harmonic_source import FRAME, HarmonicPhase
from monica.engine.chatterbox.hift import PITCH_REACH, VOCODER_REACH
from monica.engine.chatterbox.s3gen import TOKEN_SAMPLES, Token2Wav
from monica.engine.chatterbox.watermark import WATERMARK_REACH, Watermark
from monica.engine.torch.captured import CapturedFunction, upload
from monica.engine.torch.graphs import Graphs
from monica.errors import SynthesisFailed

SIZES = (58, 120, 192, 256)
"""Frames of the windows: the first hop has 58 from the beginning, the second 122 without the first 12, and so on."""
CUT = TOKEN_SAMPLES // FRAME
"""Frames at the end of a take that are not heard. A window is marked without them: its end may be the take's."""


class Made(NamedTuple):
    """What a graph makes of a window of T frames. Joined in one tensor, it is kept and brought to the host at once."""

    damaged: Tensor
    """(1,): 1 if a sample is not finite, otherwise 0."""
    marked: Tensor
    """(480 (T - CUT),): watermarked samples."""
    past: Tensor
    """(2, 480 T): the source, and the samples before the watermark."""
    phase: Tensor
    """(2, 1, 9, 1): the harmonics' initial phase and their cycles at the end of the source."""

    @classmethod
    def split(cls, joined: Tensor, frames: int) -> Made:
        samples = FRAME * frames
        sizes = [1, samples - FRAME * CUT, 2 * samples]
        damaged, marked, past, phase = torch.split(joined, [*sizes, len(joined) - sum(sizes)])
        return cls(damaged, marked, past.view(2, samples), phase.view(2, 1, -1, 1))

    def join(self) -> Tensor:
        return torch.cat([part.flatten() for part in self])


class CapturedSounds:
    """The sounds of all streams of a model. For one thread."""

    def __init__(self, token2wav: Token2Wav, watermark: Watermark, graphs: Graphs) -> None:
        self.hift, self._watermark, self._fade = token2wav.hift, watermark, token2wav.fade
        self.captured: dict[int, CapturedFunction] = {}
        """By the number of frames."""
        like = self._fade
        with torch.inference_mode():
            harmonics = self.hift.source.harmonics
            for frames in reversed(SIZES):
                inputs = [
                    like.new_zeros(1, self.hift.channels, frames),
                    like.new_zeros(2, FRAME * frames),
                    like.new_zeros(2, 1, harmonics, 1),
                    like.new_zeros(1, harmonics, FRAME * frames),
                    torch.arange(4, device=like.device) * (frames // 4),
                ]
                name = f"the sound of a hop of {frames} frames"
                if graphs.available:
                    self.captured[frames] = CapturedFunction(graphs, name, self._make, inputs)

    @property
    def complete(self) -> bool:
        """Whether there was memory for all of the graphs."""
        return len(self.captured) == len(SIZES)

    def _make(self, mel: Tensor, past: Tensor, phase: Tensor, noise: Tensor, numbers: Tensor) -> Tensor:
        """Make all of a window. It neither waits for the device nor brings data from the host.

        mel: (1, 80, T). past, phase: of `Made`. noise: (1, 9, 480 T), where the source is new. numbers: frame numbers
        in the window: that of the take's first frame or of an earlier one, those where the new source starts and
        stops, and where new samples start. Returns `Made`, joined.
        """
        beginning, source_from, source_until, samples_from = numbers.unbind()
        frame = torch.arange(mel.size(2), device=mel.device)
        sample = frame.repeat_interleave(FRAME)
        f0 = self.hift.predict_f0_of_tiles(mel)
        f0.masked_fill_((frame < source_from) | (frame >= source_until), 0)  # where the phase does not advance
        state = HarmonicPhase(*phase)
        source = self.hift.source(f0, state, noise).masked_fill_(sample >= source_until, 0)
        source = torch.where(sample < source_from, past[0], source)
        samples = self.hift.vocode_tiles(mel, source)[0]
        faded = samples.clone()
        faded[: self._fade.numel()].mul_(self._fade)
        samples = torch.where(beginning == 0, faded, samples)
        samples = torch.where(sample < samples_from, past[1], samples)
        damaged = (1 - samples.isfinite().all().to(samples.dtype))[None]
        marked = self._watermark.apply(samples[: -FRAME * CUT])
        return Made(
            damaged, marked, torch.stack([source[0], samples]), torch.stack([state.offset, state.cycles])
        ).join()


class SoundState:
    """How far the sound of a take has got."""

    def __init__(self, sounds: CapturedSounds, phase: HarmonicPhase) -> None:
        self._sounds = sounds
        self._phase = torch.stack([phase.offset, phase.cycles])
        self._past: Tensor | None = None
        self._start = 0  # of the last window, and how far each stage has got, in frames
        self._sourced = self._sounded = self._marked = 0

    def advance(self, mel: Tensor, last: bool, generator: torch.Generator) -> NDArray[np.float32]:
        """Make what no later frame can change. mel: (1, 80, T), of the whole take so far. last: whether it ends there.

        Returns the samples that follow those returned before, watermarked; after the last, without CUT frames. Raises
        SynthesisFailed if samples are not finite.
        """
        parts, stop = [], 0
        while stop < mel.size(2):
            start, stop = next_window(self._marked, mel.size(2))
            parts.append(self._make(mel[..., start:stop], start, last and stop == mel.size(2), generator))
        return np.concatenate(parts)

    def _make(self, mel: Tensor, start: int, last: bool, generator: torch.Generator) -> NDArray[np.float32]:
        captured, stop = self._sounds.captured[mel.size(2)], start + mel.size(2)
        sourced = stop if last else max(self._sourced, stop - PITCH_REACH)
        sounded = stop if last else max(self._sounded, sourced - VOCODER_REACH)
        marked = stop - CUT if last else max(self._marked, sounded - WATERMARK_REACH)
        its_mel, its_past, its_phase, its_noise, numbers = captured.inputs
        its_mel.copy_(mel)
        its_phase.copy_(self._phase)
        if self._past is not None:
            past = self._past[:, FRAME * (start - self._start) :]
            its_past[:, : past.size(1)].copy_(past)
        noise = self._sounds.hift.source.draw_noise(sourced - self._sourced, generator)
        its_noise[..., FRAME * (self._sourced - start) : FRAME * (sourced - start)].copy_(noise)
        upload([start, *(frame - start for frame in (self._sourced, sourced, self._sounded))], numbers)
        joined = captured.run()
        made = Made.split(joined, mel.size(2))
        on_host: NDArray[np.float32] = joined[: 1 + FRAME * (marked - start)].cpu().numpy()
        damaged, samples = on_host[0], on_host[1:]
        if damaged:
            raise SynthesisFailed("S3Gen produced values that are not finite: the weights are damaged or overflow.")
        new = samples[FRAME * (self._marked - start) :]
        self._past, self._phase, self._start = made.past, made.phase, start
        self._sourced, self._sounded, self._marked = sourced, sounded, marked
        return new


def next_window(marked: int, length: int) -> tuple[int, int]:
    """Return where the next window starts and stops. marked, length: frames of a take that are marked, and all so far.

    It stops at the end, if there is a size that reaches back far enough and not beyond the beginning. Otherwise it
    stops before, and another window follows. There must be as many frames as the smallest window has.
    """
    latest = max(0, marked - WATERMARK_REACH)
    for size in SIZES:
        if length - latest <= size <= length:
            return length - size, length
    return latest, latest + max(size for size in SIZES if size <= length)

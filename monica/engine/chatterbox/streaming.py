"""A take that is heard while T3 still says it: its tokens reach S3Gen in hops, and samples leave it for good.

The estimator hears the prompt and what the take has said so far through what these left in it (past.py), as upstream's
does under a chunk mask: S3Gen descends from CosyVoice 2 (arxiv.org/abs/2412.10117, section 2.3), whose estimator was
trained with such masks so that it can stream. The prompt, being the same for every take of a voice, is heard once.
Vocoder and watermark reach only so far: with that much on either side, what they make of a part is what they would
have made of it in the whole, so that there are no seams to hide.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.estimator import MEL
from monica.engine.chatterbox.s3gen import Decoder, Pasts
from monica.engine.chatterbox.watermark import Watermark
from monica.errors import SynthesisFailed
from monica.metrics import stage_duration

FIRST_HOP, LONGEST_HOP = 32, 100
"""Tokens, 25 a second. The first makes 0.5 s of sound, enough to tell its loudness; then 32, 64, 100 and so on."""
LOOK_AHEAD = 3
"""Tokens that the encoder hears beyond the one it encodes."""
FRAME = 480
"""Samples; two frames a token."""
PITCH_REACH, VOCODER_REACH, MARK_REACH = 5, 15, 13
"""Frames to either side that a frame of sound depends on. A test finds that farther ones change nothing."""
PROMPTS = 2
"""Of how many voices what the prompt left is kept: it is 4.6 MB a frame in float32, 2.3 GB for one of ten seconds."""
PROMPT_SEED = 0


@dataclass(eq=False, frozen=True, slots=True)
class Prompt:
    """What a voice's prompt has left in the estimator, for every take of the voice."""

    voice: Conditionals
    speaker: Tensor  # (1, 80)
    pasts: Pasts


class Streamer:
    """Begins streams. For one thread."""

    def __init__(self, decoder: Decoder, watermark: Watermark) -> None:
        self.decoder = decoder
        self.watermark = watermark
        self._prompts: deque[Prompt] = deque(maxlen=PROMPTS)

    def stream(self, voice: Conditionals, generator: torch.Generator) -> Stream:
        """Begin a take."""
        return Stream(self, voice, generator)

    def prompt(self, voice: Conditionals) -> Generator[None, None, Prompt]:
        """Let the estimator hear a voice's prompt, in stages, unless it has."""
        for prompt in self._prompts:
            if prompt.voice is voice:
                return prompt
        decoder, mel = self.decoder, voice.s3gen_mel
        mu = decoder.encoder(voice.s3gen_tokens)[:, : mel.size(1)]  # (1, T, 80)
        prompt = Prompt(voice, decoder.speaker(voice), Pasts())
        noise = _noise(mu, torch.Generator(mu.device).manual_seed(PROMPT_SEED))
        yield from decoder.solver.follow(noise, mu, prompt.speaker, mel[:, : mu.size(1)].to(mu), prompt.pasts)
        self._prompts.append(prompt)
        return prompt


class Stream:
    """A take on its way through S3Gen and the watermark, hop by hop."""

    def __init__(self, streamer: Streamer, voice: Conditionals, generator: torch.Generator) -> None:
        self._streamer = streamer
        self._voice = voice
        self._generator = generator
        self._pasts: Pasts | None = None
        self._hop = FIRST_HOP
        self.wanted = FIRST_HOP
        """How many tokens there must be for the next hop."""
        self.begun = self.ended = False
        """Whether the first hop, and the last, has been asked for."""
        self._mel = torch.empty(0)  # (1, 80, T)
        self._source = torch.empty(0)  # (1, 480 T)
        self._sound = torch.empty(0)  # (N,), not marked yet
        self._phase = streamer.decoder.hift.start(generator)
        self._pitched = Sliding(PITCH_REACH, self._pitch)
        self._voiced = Sliding(VOCODER_REACH * FRAME, self._vocode)
        self._marked = Sliding(MARK_REACH * FRAME, self._mark)

    def sound(self, tokens: Sequence[int], *, last: bool) -> Generator[None, None, NDArray[np.float32]]:
        """Sound what has been said, in stages, as far as it is certain; to the end where it is the last.

        tokens: all of the take so far. Returns (N,) samples that follow those returned before, marked, in [-1, 1].
        Raises SynthesisFailed.
        """
        self.begun, self.ended = True, last
        self.wanted = len(tokens) + self._hop
        self._hop = min(2 * self._hop, LONGEST_HOP)
        return self._sounded(tokens, last)

    @torch.inference_mode()
    def _sounded(self, tokens: Sequence[int], last: bool) -> Generator[None, None, NDArray[np.float32]]:
        began = time.perf_counter()
        mel = yield from self._solve(tokens, last)
        self._mel = torch.cat([self._mel.to(mel), mel], dim=-1) if self._mel.numel() else mel
        yield
        f0 = self._pitched(self._mel.size(-1), last)
        source = self._streamer.decoder.hift.source(f0, self._phase, self._generator)
        self._source = torch.cat([self._source, source], dim=1) if self._source.numel() else source
        samples = self._voiced(self._source.size(1), last)
        if not bool(samples.isfinite().all()):
            raise SynthesisFailed("S3Gen gave no numbers: the weights are damaged or overflow.")
        fade = self._streamer.decoder.fade[self._sound.numel() :][: samples.numel()]
        samples[: fade.numel()] *= fade
        self._sound = torch.cat([self._sound.to(samples), samples])
        stage_duration.labels("s3gen").observe(time.perf_counter() - began)
        yield
        with stage_duration.labels("watermark").time():
            marked: NDArray[np.float32] = self._marked(self._sound.numel(), last).cpu().numpy()
        return marked

    def _solve(self, tokens: Sequence[int], last: bool) -> Generator[None, None, Tensor]:
        """Make the mel of what is certain and has not been made yet. Returns (1, 80, T)."""
        decoder, voice = self._streamer.decoder, self._voice
        prompt = yield from self._streamer.prompt(voice)
        if self._pasts is None:
            self._pasts = Pasts(prompt.pasts)
        ids = torch.tensor(tokens, device=voice.s3gen_tokens.device)[None]
        mu = decoder.encoder(torch.cat([voice.s3gen_tokens, ids], dim=1))  # (1, T, 80)
        made = self._mel.size(-1) if self._mel.numel() else 0
        certain = mu.size(1) if last else mu.size(1) - 2 * LOOK_AHEAD
        mu = mu[:, voice.s3gen_mel.size(1) + made : certain]
        noise = _noise(mu, self._generator)
        mel = yield from decoder.solver.follow(noise, mu, prompt.speaker, torch.zeros_like(mu), self._pasts)
        return mel.transpose(1, 2)

    def _pitch(self, part: slice) -> Tensor:
        return self._streamer.decoder.hift.pitch(self._mel[..., part])

    def _vocode(self, part: slice) -> Tensor:
        frames = slice(part.start // FRAME, part.stop // FRAME)
        return self._streamer.decoder.hift.decode(self._mel[..., frames], self._source[:, part])[0]

    def _mark(self, part: slice) -> Tensor:
        return self._streamer.watermark.apply(self._sound[part])


class Sliding:
    """Work that hears `reach` to either side of what it makes, done on a sequence that grows.

    work: takes a part of the sequence, and returns as much along its last axis.
    """

    def __init__(self, reach: int, work: Callable[[slice], Tensor]) -> None:
        self._reach = reach
        self._work = work
        self._done = 0

    def __call__(self, length: int, last: bool) -> Tensor:
        """Go on to where nothing that may follow changes it; to the end, `length`, where it is the last."""
        until = length if last else max(self._done, length - self._reach)
        start = max(0, self._done - self._reach)
        made = self._work(slice(start, length))[..., self._done - start : until - start]
        self._done = until
        return made


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw where the frames of a mel begin. Returns (1, T, 80)."""
    shape = (1, like.size(1), MEL)
    return torch.randn(shape, generator=generator, device=generator.device, dtype=like.dtype).to(like.device)

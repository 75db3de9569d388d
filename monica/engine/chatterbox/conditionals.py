"""The conditionals of a voice: what T3 and S3Gen know about it. Immutable; emotion is a parameter of each take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import safetensors.torch
import torch
from chatterbox.models.s3gen import S3GEN_SR
from chatterbox.models.s3tokenizer import S3_SR, SPEECH_VOCAB_SIZE
from safetensors import SafetensorError
from torch import Tensor

from monica.engine import Reference
from monica.engine.chatterbox.weights import quiet_upstream, read_pickle
from monica.errors import ConfigError, ModelUnavailable

T3_PROMPT_S = 6
S3GEN_PROMPT_S = 10
MIN_REFERENCE_S = 0.5

SHAPES = {
    "speaker_embedding": (1, 256),
    "prompt_tokens": (1, None),
    "s3gen_tokens": (1, None),
    "s3gen_mel": (1, None, 80),
    "x_vector": (1, 192),
}
IDS = ("prompt_tokens", "s3gen_tokens")


@dataclass(frozen=True, slots=True)
class Conditionals:
    """A voice as the model knows it. Ids are int64 below 6561, the rest is float32.

    Raises ValueError if a tensor has another shape, another type or invalid contents.
    """

    speaker_embedding: Tensor
    """(1, 256): T3's speaker embedding, from the whole reference."""
    prompt_tokens: Tensor
    """(1, P): T3's prompt, P <= 150."""
    s3gen_tokens: Tensor
    """(1, N): S3Gen's prompt, 25 tokens a second."""
    s3gen_mel: Tensor
    """(1, T, 80): the mel of S3Gen's prompt, 50 frames a second."""
    x_vector: Tensor
    """(1, 192): S3Gen's speaker embedding."""

    def __post_init__(self) -> None:
        for name, shape in SHAPES.items():
            tensor: Tensor = getattr(self, name)
            ok = tensor.dim() == len(shape) and tensor.numel() > 0
            ok = ok and all(want in (None, size) for want, size in zip(shape, tensor.shape, strict=True))
            if name in IDS:
                ok = ok and tensor.dtype == torch.int64
                ok = ok and int(tensor.min()) >= 0 and int(tensor.max()) < SPEECH_VOCAB_SIZE
            else:
                ok = ok and tensor.dtype == torch.float32 and bool(tensor.isfinite().all())
            if not ok:
                raise ValueError(f"{name} of the conditionals is not what it should be")

    def to(self, device: str | torch.device) -> Conditionals:
        return Conditionals(**{name: getattr(self, name).to(device) for name in SHAPES})

    def to_bytes(self) -> bytes:
        """Serialize as safetensors."""
        return safetensors.torch.save({name: getattr(self, name).cpu().contiguous() for name in SHAPES})

    @classmethod
    def from_bytes(cls, data: bytes) -> Conditionals:
        """Read what `to_bytes` wrote. Raises ValueError if it is anything else."""
        try:
            tensors = safetensors.torch.load(data)
        except SafetensorError as error:
            raise ValueError(f"these are not conditionals: {error}") from error
        if tensors.keys() != SHAPES.keys():
            raise ValueError(f"these are not conditionals of Chatterbox: they hold {sorted(tensors)}")
        return cls(**tensors)


@torch.inference_mode()
def encode_reference(reference: Reference, voice_encoder: Any, s3gen: Any) -> Conditionals:
    """Make the conditionals of a recording, as upstream's prepare_conditionals does.

    Upstream's prompts are the first seconds of a recording; here they are those of its prompt. T3's speaker embedding
    is made from the whole recording, as upstream's is.

    Raises ConfigError if the recording is too short, silent or not finite.
    """
    if len(reference.samples) < MIN_REFERENCE_S * reference.sample_rate:
        raise ConfigError(
            f"The reference recording is shorter than {MIN_REFERENCE_S} s: no voice can be cloned from it."
        )
    if not np.isfinite(reference.samples).all():
        raise ConfigError("The reference recording holds samples that are not finite.")
    wav_24k = librosa.resample(reference.samples, orig_sr=reference.sample_rate, target_sr=S3GEN_SR)
    wav_16k = librosa.resample(wav_24k, orig_sr=S3GEN_SR, target_sr=S3_SR)
    start_s = reference.prompt_start_s
    heard = wav_24k[round(start_s * S3GEN_SR) : round(min(reference.prompt_end_s, start_s + S3GEN_PROMPT_S) * S3GEN_SR)]
    first = wav_16k[round(start_s * S3_SR) : round(min(reference.prompt_end_s, start_s + T3_PROMPT_S) * S3_SR)]

    with quiet_upstream():
        prompt = s3gen.embed_ref(heard, S3GEN_SR, device=s3gen.device)
    tokens, _ = s3gen.tokenizer.forward([first], max_len=T3_PROMPT_S * 25)
    speaker = torch.from_numpy(voice_encoder.embeds_from_wavs([wav_16k], sample_rate=S3_SR))  # (1, 256)
    try:
        return Conditionals(
            speaker_embedding=speaker,
            prompt_tokens=tokens.cpu(),
            s3gen_tokens=prompt["prompt_token"].cpu(),
            s3gen_mel=prompt["prompt_feat"].cpu(),
            x_vector=prompt["embedding"].cpu(),
        )
    except ValueError as error:
        raise ConfigError(f"No voice can be cloned from the reference recording ({error}): is it silent?") from error


def read_builtin_voice(path: Path) -> Conditionals:
    """Read the checkpoint's own voice. Raises ModelUnavailable if the file does not hold one."""
    stored = read_pickle(path)
    try:
        t3, gen = stored["t3"], stored["gen"]
        length = int(gen["prompt_token_len"])
        return Conditionals(
            speaker_embedding=t3["speaker_emb"].float(),
            prompt_tokens=t3["cond_prompt_speech_tokens"].view(1, -1).long(),
            s3gen_tokens=gen["prompt_token"].view(1, -1)[:, :length].long(),
            s3gen_mel=gen["prompt_feat"].float(),
            x_vector=gen["embedding"].float(),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelUnavailable(f"{path.name} does not hold a voice. Download it again.") from error

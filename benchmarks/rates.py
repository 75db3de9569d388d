"""What a thousand takes cost at stated rates, and what a fleet stores and sends.

    python -m benchmarks.rates [--gpu-seconds-per-sound S] [--dollars-an-hour D]

One rate was measured with Monica, on an H100 with random weights; the others are stated elsewhere. Give it the rate of
your machine, which `monica accept` measures, and the price you pay.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from benchmarks.table import head, row

SOUND_S = 3.0
"""Seconds of sound in a phrase."""
WAV_BYTES = round(SOUND_S * 24_000 * 2)
OPUS_BYTES = round(SOUND_S * 32_000 / 8)
"""Monica's bit rate for Opus is 32 kbit/s (monica/audio/formats.py)."""
TOKENS_A_SECOND, BYTES_A_TOKEN, GB10 = 25, 1.09e9, 273e9
"""docs/hardware.md: what T3 reads for a token in bf16, and how fast a GB10 can read."""


@dataclass(frozen=True)
class Rate:
    """gpu_s: seconds of a whole GPU for a second of sound. dollars: the price of an hour of it, if it is rented."""

    name: str
    gpu_s: float
    dollars: float | None
    source: str

    def gpu_seconds(self, takes: float) -> float:
        return takes * SOUND_S * self.gpu_s

    def cost(self, takes: float) -> str:
        return "–" if self.dollars is None else f"{self.gpu_seconds(takes) * self.dollars / 3600:.2g} $"


FLOOR = Rate(
    "GB10, one take at a time, at the limit of its memory",
    TOKENS_A_SECOND * BYTES_A_TOKEN / GB10,
    None,
    "arithmetic, docs/hardware.md: no T3 can be faster, and S3Gen is not counted",
)
OTHERS = Rate(
    "RTX 3090, many takes at a time",
    87 / (39 * 60 + 54),
    0.18,
    "chatterbox-vllm 0.1.3, its README: 39 min 54 s of sound in 87 s; price: openrelay.inc, 2026-09-20",
)
MEASURED = Rate(
    "H100, Monica, eight takes at a time",
    0.783 / (8 * 3.96),
    2.69,
    "benchmarks/RESULTS.md, On an H100; price: RunPod Community, H100 SXM, 2026-11-09",
)
RATES = (FLOOR, OTHERS, MEASURED)
CATALOGUES = (10_000, 100_000, 1_000_000)
ANSWERS = (10, 100, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--gpu-seconds-per-sound", type=float, help="of your machine: GPU-seconds for a second of sound"
    )
    parser.add_argument("--dollars-an-hour", type=float, help="what an hour of it costs")
    options = parser.parse_args()
    rates = list(RATES)
    if options.gpu_seconds_per_sound is not None:
        rates.append(Rate("yours", options.gpu_seconds_per_sound, options.dollars_an_hour, "given"))
    sys.stdout.write(f"\nModelled: a thousand takes of {SOUND_S:g} s at stated rates\n\n")
    head("rate", "GPU-seconds for a second of sound", "GPU-seconds", "cost", "source")
    for rate in rates:
        row(rate.name, f"{rate.gpu_s:.3f}", f"{rate.gpu_seconds(1000):.0f}", rate.cost(1000), rate.source)
    sys.stdout.write("\nStorage, one copy\n\n")
    head("phrases", "WAV", "Opus beside it")
    for phrases in CATALOGUES:
        row(
            f"{phrases:,}".replace(",", " "),
            f"{phrases * WAV_BYTES / 1e9:.1f} GB",
            f"{phrases * OPUS_BYTES / 1e9:.1f} GB",
        )
    sys.stdout.write("\nNetwork, from the nodes to the clients\n\n")
    head("answers a second", "WAV", "Opus")
    for answers in ANSWERS:
        row(str(answers), f"{answers * WAV_BYTES * 8 / 1e6:.0f} Mbit/s", f"{answers * OPUS_BYTES * 8 / 1e6:.1f} Mbit/s")


if __name__ == "__main__":
    main()

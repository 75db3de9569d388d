"""The voices that `monica prefetch` downloads, pinned by commit and checksum.

Source: the repository rhasspy/piper-voices. Each of its MODEL_CARD files states the licence of the recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

REPOSITORY = "rhasspy/piper-voices"
REVISION = "c10ece1aade47bb51c153c893d14e5bf8e5b7117"


@dataclass(frozen=True, slots=True)
class PublishedVoice:
    """A voice of the repository: a model, and its configuration beside it."""

    path: str
    """The model's path in the repository."""
    model_sha256: str
    config_sha256: str
    license: str

    @property
    def files(self) -> dict[str, str]:
        """The checksums of its files, by their paths in the repository."""
        return {self.path: self.model_sha256, f"{self.path}.json": self.config_sha256}


PUBLISHED = {
    # Female, French.
    "fr_FR-siwis-medium": PublishedVoice(
        "fr/fr_FR/siwis/medium/fr_FR-siwis-medium.onnx",
        "641d1ab097da2b81128c076810edb052b385decc8be3381814802a64a73baf99",
        "39479916c2db192b5ac9764daddd0c744d83e023ad890c6976c0633ae4df8959",
        "CC BY 4.0",
    ),
    # Female and male, French: the speakers jessica and pierre.
    "fr_FR-upmc-medium": PublishedVoice(
        "fr/fr_FR/upmc/medium/fr_FR-upmc-medium.onnx",
        "9abb3800c199148897a9ed64e100d224f3de83579f100044174ad19418f1786f",
        "e8636ec15dfd5d72db37a02cb5320a20f2b8d339f2a0e4337da64c58a33a5868",
        "CC BY-SA 4.0",
    ),
    # Male, American.
    "en_US-joe-medium": PublishedVoice(
        "en/en_US/joe/medium/en_US-joe-medium.onnx",
        "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
        "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
        "CC0",
    ),
}

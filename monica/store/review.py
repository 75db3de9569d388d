"""What a person hears: the phrases that are doubtful, the takes of a phrase side by side, and the choice of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from monica.store.cache import CacheError
from monica.store.catalogue import Catalogue, UnknownPhrase
from monica.store.hearing import Hearing, Misheard, Verdict
from monica.store.metadata import Metadata
from monica.store.phrase import KeptPhrase, shown
from monica.store.side_takes import SideTake, SideTakes, UnknownTake


@dataclass(frozen=True, slots=True)
class Choice:
    """A phrase with its takes. It is kept, or has takes."""

    key: str
    kept: KeptPhrase | None
    """What is kept of it; None if no take was worth keeping, or if it was evicted."""
    takes: list[SideTake]
    """None are here if it was made and listened to on another machine, or if no other take was made."""
    hearing: Hearing | None
    """What was heard of what is kept, or else of the best take; None if it has not been listened to."""

    @classmethod
    def of(cls, key: str, kept: KeptPhrase | None, takes: list[SideTake]) -> Choice:
        if kept is not None:
            return cls(key, kept, takes, kept.hearing)
        heard = [take.metadata.heard for take in takes if take.metadata.heard is not None]
        return cls(key, kept, takes, min(heard, key=lambda hearing: hearing.order, default=None))

    @property
    def text(self) -> str:
        """As it was asked for."""
        return self.kept.text if self.kept is not None else shown(self.takes[0].metadata.recipe.text)

    def metadata(self) -> Metadata:
        """Return the metadata of what is kept, or else of the first take. Raises ValueError if there is none."""
        return self.kept.metadata() if self.kept is not None else self.takes[0].metadata

    def is_kept(self, take: SideTake) -> bool:
        return self.kept is not None and self.kept.sha256 == take.sha256

    def as_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "text": self.text,
            "kept": self.kept is not None,
            "pinned": self.kept is not None and self.kept.pinned,
            "hearing": _describe(self.hearing),
            "takes": [
                {
                    "number": take.number,
                    "kept": self.is_kept(take),
                    "seconds": take.metadata.seconds,
                    "hearing": _describe(take.metadata.heard),
                }
                for take in self.takes
            ],
        }


def find_doubtful(catalogue: Catalogue, side_takes: SideTakes) -> list[Choice]:
    """List the phrases to review, the weightiest first: those with wrong numbers and names. Raises CacheError."""
    aside = side_takes.all()
    kept = catalogue.kept(aside)
    doubtful = [Choice.of(phrase.key, phrase, aside.get(phrase.key, [])) for phrase in catalogue.in_doubt()]
    unkept = [Choice.of(key, None, takes) for key, takes in aside.items() if key not in kept]
    found = [choice for choice in (*doubtful, *unkept) if choice.hearing and choice.hearing.verdict.needs_review]
    return sorted(found, key=_urgency)


def find_choice(catalogue: Catalogue, side_takes: SideTakes, prefix: str) -> Choice:
    """Return the phrase whose key begins with `prefix`, with its takes. Raises UnknownPhrase or CacheError."""
    try:
        (kept,) = catalogue.find_by_prefix([prefix])
    except UnknownPhrase:
        keys = side_takes.keys_with(prefix)
        if len(keys) != 1 or catalogue.has_key_with(prefix):
            raise
        return Choice.of(keys[0], None, side_takes.of(keys[0]))
    return Choice.of(kept.key, kept, side_takes.of(kept.key))


def keep(catalogue: Catalogue, side_takes: SideTakes, phrase: Choice, number: int | None) -> None:
    """Keep a take of a phrase, because a person has heard it, and forget the others. No job makes it again.

    number: of the take; None for the one that is kept already. Raises UnknownTake, UnknownPhrase or CacheError.
    """
    if number is None:
        if phrase.kept is None:
            raise UnknownTake(f"No take of phrase {phrase.key:.12} is kept: say which one to keep.", param="take")
        sound, sha256 = catalogue.read_sound(phrase.kept), phrase.kept.sha256
        try:
            metadata = phrase.metadata()
        except ValueError:
            raise UnknownPhrase(f"Phrase {phrase.key:.12} has no metadata: make it again.", param="key") from None
    else:
        take = next((take for take in phrase.takes if take.number == number), None)
        if take is None:
            raise UnknownTake(f"Phrase {phrase.key:.12} has no take {number}.", param="take")
        sound, metadata, sha256 = side_takes.sound(phrase.key, number), take.metadata, take.sha256
    if not catalogue.put(phrase.key, sound, replace(metadata, heard=_accept(metadata, sha256))):
        raise CacheError(f"The take of phrase {phrase.key:.12} cannot be kept.")
    side_takes.forget(phrase.key)


def mark(expected: str, differences: Sequence[Misheard]) -> str:
    """Write a text with what was heard otherwise: "La table [sept: douze] attend [Rusmir: –]."."""
    left, marked = expected, ""
    for each in (each for each in differences if each.said):
        before, found, after = left.partition(each.said)
        if found:
            marked += f"{before}[{each.said}: {each.heard or '–'}]"
            left = after
    added = "".join(f" [+ {each.heard}]" for each in differences if not each.said)
    return shown(marked + left + added)


def _urgency(choice: Choice) -> tuple[tuple[int, ...], str]:
    order = choice.hearing.order if choice.hearing is not None else ()
    return tuple(-part for part in order), choice.text


def _accept(metadata: Metadata, sha256: str) -> Hearing:
    """Return what was heard of a take by a person: a recogniser that was in doubt about it was wrong."""
    heard = metadata.heard
    if heard is None or heard.sound != sha256:
        return Hearing(Verdict.ACCEPTED, sha256, "", metadata.recipe.said, "", None, ())
    return replace(heard, verdict=Verdict.ACCEPTED) if heard.verdict.needs_review else heard


def _describe(hearing: Hearing | None) -> dict[str, Any] | None:
    if hearing is None:
        return None
    return {
        "verdict": hearing.verdict,
        "fault": hearing.fault,
        "expected": shown(hearing.expected),
        "heard": shown(hearing.told),
        "heard_freely": None if hearing.free is None else shown(hearing.free),
        "differences": [{name: shown(text) for name, text in asdict(each).items()} for each in hearing.differences],
        "marked": mark(hearing.expected, hearing.differences),
    }

"""The phrases that a person should hear, with what was heard of them, and the choice of a take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from monica.store.cache import CacheError
from monica.store.catalogue import Catalogue, UnknownPhrase
from monica.store.hearing import Hearing, Misheard, Verdict
from monica.store.phrase import KeptPhrase, shown
from monica.store.side_takes import SideTake, SideTakes, UnknownTake


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A phrase that a person should hear."""

    key: str
    text: str
    """As it was asked for."""
    kept: KeptPhrase | None
    """What is kept of it; None if no take was worth keeping."""
    hearing: Hearing
    """What was heard of what is kept, or else of the best take."""
    takes: list[SideTake]
    """The takes that were set aside; none if it was listened to on another machine."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "text": shown(self.text),
            "kept": self.kept is not None,
            "pinned": self.kept is not None and self.kept.pinned,
            **_describe(self.hearing),
            "takes": [
                {
                    "number": take.number,
                    "kept": self.kept is not None and self.kept.sha256 == take.sha256,
                    "seconds": take.metadata.seconds,
                    **_describe(take.metadata.heard or self.hearing),
                }
                for take in self.takes
            ],
        }


def find_doubtful(catalogue: Catalogue, side_takes: SideTakes) -> list[Doubtful]:
    """List the phrases to review, the weightiest first: those with wrong numbers and names. Raises CacheError."""
    aside = side_takes.all()
    found = []
    for phrase in catalogue.phrases():
        takes = aside.pop(phrase.key, [])
        hearing = phrase.hearing
        if hearing is not None and hearing.verdict.needs_review:
            found.append(Doubtful(phrase.key, phrase.text, phrase, hearing, takes))
    for key, takes in aside.items():  # of these, nothing is kept
        heard = [take.metadata.heard for take in takes if take.metadata.heard is not None]
        if heard:
            best = min(heard, key=lambda hearing: hearing.order)
            found.append(Doubtful(key, takes[0].metadata.recipe.text, None, best, takes))
    return sorted(found, key=lambda each: (*(-part for part in each.hearing.order), each.text))


def find_one(catalogue: Catalogue, side_takes: SideTakes, prefix: str) -> Doubtful:
    """Return the phrase to review whose key begins with `prefix`. Raises UnknownPhrase or CacheError."""
    matching = [each for each in find_doubtful(catalogue, side_takes) if each.key.startswith(prefix.lower())]
    if len(matching) != 1:
        many = f"{len(matching)} phrases' keys begin" if matching else "No phrase to review has a key that begins"
        raise UnknownPhrase(f"{many} with {shown(prefix[:64])!r}.", param="key")
    return matching[0]


def keep(catalogue: Catalogue, side_takes: SideTakes, phrase: Doubtful, number: int | None) -> None:
    """Keep a take of a phrase, because a person has heard it, and forget the others.

    number: of the take; None for the one that is kept already. Raises UnknownTake or CacheError.
    """
    if number is None:
        if phrase.kept is None:
            raise UnknownTake(f"No take of phrase {phrase.key:.12} is kept: say which one to keep.", param="take")
        sound, metadata = catalogue.read_sound(phrase.kept), phrase.kept.metadata()
    else:
        take = next((take for take in phrase.takes if take.number == number), None)
        if take is None:
            raise UnknownTake(f"Phrase {phrase.key:.12} has no take {number} set aside.", param="take")
        sound, metadata = side_takes.sound(phrase.key, number), take.metadata
    heard = replace(metadata.heard or phrase.hearing, verdict=Verdict.ACCEPTED)
    if not catalogue.put(phrase.key, sound, replace(metadata, heard=heard)):
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


def _describe(hearing: Hearing) -> dict[str, Any]:
    return {
        "verdict": hearing.verdict,
        "fault": hearing.fault,
        "expected": shown(hearing.expected),
        "heard": shown(hearing.told),
        "heard_freely": None if hearing.free is None else shown(hearing.free),
        "differences": [{name: shown(text) for name, text in asdict(each).items()} for each in hearing.differences],
        "marked": mark(hearing.expected, hearing.differences),
    }

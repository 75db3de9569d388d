"""What is kept, for people: listed, searched, counted, checked, pinned and removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from monica.config import Settings
from monica.errors import MonicaError
from monica.store.cache import CacheFault, Store
from monica.store.card import Card, fold, shown
from monica.store.label import Label

SORTS = ("made", "hits", "size", "text")
MOST = 5
"""How many of the phrases asked for most are shown."""


class UnknownEntry(MonicaError):
    """No entry, or more than one, has a key that begins so."""

    status, code = 404, "entry_unknown"


class TooManyPins(MonicaError):
    """What is pinned would leave no room for what is not."""

    status, code = 409, "pins_full"


@dataclass(frozen=True, slots=True)
class Share:
    """What one voice of one engine has in the cache. seconds: of sound."""

    engine: str
    voice: str
    entries: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Stats:
    """The cache in numbers.

    bytes: of the sounds. volume: of the folder, which is what `limit` bounds. seconds: of sound.
    oldest, newest: when made, in seconds since the epoch. most: those asked for most, the most asked for first.
    """

    entries: int
    bytes: int
    volume: int
    limit: int
    seconds: float
    hits: int
    pinned: int
    pinned_bytes: int
    oldest: float | None
    newest: float | None
    shares: list[Share]
    most: list[Card]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"most": [card.as_dict() for card in self.most]}


class Catalogue:
    """The cards of a store. store: None where there is none yet; limit: its bytes.

    Safe beside a server that uses the same folder: what is removed here is gone there within ten seconds.
    Every method raises CacheFault where the disk fails.
    """

    def __init__(self, store: Store | None, limit: int) -> None:
        self._store = store
        self._limit = limit

    @classmethod
    def open(cls, settings: Settings, *, create: bool = False) -> Catalogue:
        """Open the takes of these settings; where there is no folder, none is made unless `create`.

        Raises ConfigError where it cannot be used.
        """
        folder = settings.cache_dir / "takes"
        there = create or _exists(folder)
        store = Store("takes", folder, megabytes=settings.cache_mb, visiting=True) if there else None
        return cls(store, settings.cache_mb * 2**20)

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *_: object) -> None:
        if self._store is not None:
            self._store.close()

    @property
    def limit(self) -> int:
        """Bytes that the folder may take."""
        return self._limit

    def volume(self) -> int:
        """Bytes that the folder takes."""
        return self._store.volume() if self._store else 0

    def cards(self, search: str = "", sort: str = "made") -> list[Card]:
        """List what is kept: the newest, most asked for or largest first, or by text (SORTS).

        search: part of the text, as it was asked for or as it is said; case and accents do not matter.
        """
        cards = [Card.of(entry) for entry in self._store.entries()] if self._store else []
        if search:
            wanted = fold(search)
            cards = [card for card in cards if wanted in fold(card.text) or wanted in fold(card.said)]
        if sort == "text":
            return sorted(cards, key=lambda card: (fold(card.text), card.key))
        return sorted(cards, key=lambda card: (-getattr(card, sort), card.key))

    def pick(self, prefixes: list[str]) -> list[Card]:
        """Find entries by the beginnings of their keys. Raises UnknownEntry where one names none, or several."""
        entries = {entry.key: entry for entry in self._store.entries()} if self._store else {}
        picked = {}
        for prefix in prefixes:
            wanted = prefix.lower()
            found = [wanted] if wanted in entries else [key for key in entries if wanted and key.startswith(wanted)]
            if not found:
                raise UnknownEntry(f"No entry's key begins with {shown(prefix[:64])!r}.", param="key")
            if len(found) > 1:
                few = ", ".join(key[:12] for key in sorted(found)[:3])
                raise UnknownEntry(f"{len(found)} entries' keys begin with {prefix}: {few}...", param="key")
            picked[found[0]] = Card.of(entries[found[0]])
        return list(picked.values())

    def stats(self) -> Stats:
        cards = self.cards()
        pinned = [card for card in cards if card.pinned]
        shares: dict[tuple[str, str], list[Card]] = {}
        for card in cards:
            shares.setdefault((card.engine, card.voice), []).append(card)
        return Stats(
            entries=len(cards),
            bytes=sum(card.size for card in cards),
            volume=self.volume(),
            limit=self._limit,
            seconds=_seconds(cards),
            hits=sum(card.hits for card in cards),
            pinned=len(pinned),
            pinned_bytes=sum(card.size for card in pinned),
            oldest=cards[-1].made if cards else None,
            newest=cards[0].made if cards else None,
            shares=[
                Share(engine, voice, len(some), sum(card.size for card in some), _seconds(some))
                for (engine, voice), some in sorted(shares.items())
            ],
            most=[card for card in sorted(cards, key=lambda card: -card.hits)[:MOST] if card.hits],
        )

    def read(self, card: Card) -> bytes:
        """Return the sound, as if nobody had asked. Raises UnknownEntry where it is gone, CacheFault where corrupt."""
        sound = self._store.read(card.key) if self._store else None
        if sound is None:
            raise UnknownEntry(f"Entry {card.key:.12} is gone.", param="key")
        return sound

    def verify(self) -> Iterator[tuple[Card, str | None]]:
        """Read every entry; give each with what is wrong with it, or None."""
        for card in self.cards():
            try:
                self.read(card)
            except UnknownEntry:
                continue  # gone since it was listed
            except CacheFault:
                # Once more: a server that makes it anew at this moment has removed its old file.
                try:
                    self.read(card)
                except UnknownEntry:
                    continue
                except CacheFault as fault:
                    yield card, fault.message
                    continue
            yield card, None

    def put(self, key: str, sound: bytes, label: Label) -> bool:
        """Keep a sound. Returns whether it is kept; a failure is logged."""
        return self._store is not None and self._store.put(key, sound, label.written())

    def pin(self, cards: list[Card]) -> None:
        """Keep entries from being evicted. Raises TooManyPins where what is pinned would take more than half."""
        pinned = {card.key: card.size for card in self.cards() if card.pinned}
        total = sum((pinned | {card.key: card.size for card in cards}).values())
        if total > self._limit / 2:
            raise TooManyPins(
                f"What is pinned would take {total / 2**20:.0f} MB, more than half of MONICA_CACHE_MB="
                f"{self._limit // 2**20}: new phrases would not be kept for long."
            )
        if self._store is not None:
            self._store.pin(card.key for card in cards)

    def unpin(self, cards: list[Card]) -> None:
        if self._store is not None:
            self._store.pin((card.key for card in cards), pinned=False)

    def remove(self, cards: list[Card]) -> None:
        """Remove entries, and their pins."""
        self.unpin(cards)
        for card in cards:
            if self._store is not None and not self._store.remove(card.key):
                raise CacheFault(f"Entry {card.key:.12} cannot be removed; those before it are gone.")


def _seconds(cards: list[Card]) -> float:
    return round(sum(card.seconds or 0 for card in cards), 2)


def _exists(folder: Path) -> bool:
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # something is; what it is, is said where it is opened
    return True

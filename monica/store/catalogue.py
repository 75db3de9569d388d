"""The kept phrases, for people: listed, searched, counted, verified, pinned and removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from monica.config import Settings
from monica.errors import MonicaError
from monica.store.cache import CacheError, Store
from monica.store.metadata import Metadata
from monica.store.phrase import (
    COUNT_HEARD,
    IN_DOUBT,
    IS_PHRASE,
    IS_PINNED,
    KEY_CHARACTERS,
    ORDERS,
    SELECT_PHRASES,
    KeptPhrase,
    fold,
    shown,
)
from monica.store.sharing import Change, Sharing
from monica.store.stats import Stats

SORTS = ("made", "hits", "size", "text")


class UnknownPhrase(MonicaError):
    """No kept phrase, or more than one, has a key that begins as asked."""

    status, code = 404, "entry_unknown"


class TooManyPins(MonicaError):
    """The pinned phrases would leave no room for others."""

    status, code = 409, "pins_full"


class Catalogue:
    """The kept phrases of a store.

    Safe beside a server that uses the same folder: what is removed here is gone there within ten seconds.
    Every method raises CacheError if the disk fails.
    """

    def __init__(self, store: Store | None, limit: int, sharing: Sharing | None = None) -> None:
        """store: None if there is none yet. limit: its limit in bytes. sharing: whom to tell of changes."""
        self._store = store
        self._sharing = sharing or Sharing()
        self._limit = limit

    @classmethod
    def open(cls, settings: Settings, *, create: bool = False) -> Catalogue:
        """Open the takes of these settings. If there is no folder, none is made unless `create`.

        Raises ConfigError if the folder cannot be used.
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
        """Return the bytes that the folder takes."""
        return self._store.volume() if self._store else 0

    def phrases(self, search: str = "", sort: str = "made") -> list[KeptPhrase]:
        """List the kept phrases: the newest, most asked for or largest first, or by text (SORTS).

        search: part of the text, as it was asked for or as it is said; case and accents do not matter.
        """
        phrases = self._store.phrases() if self._store else []
        if search:
            wanted = fold(search)
            phrases = [phrase for phrase in phrases if wanted in fold(phrase.text) or wanted in fold(phrase.said)]
        if sort == "text":
            return sorted(phrases, key=lambda phrase: (fold(phrase.text), phrase.key))
        return sorted(phrases, key=lambda phrase: (-getattr(phrase, sort), phrase.key))

    def get(self, key: str) -> KeptPhrase | None:
        """Return what is kept under a whole key, or None."""
        return next(iter(self._store.phrases([key])), None) if self._store else None

    def page(
        self, search: str, sort: str, limit: int, offset: int, *, pinned: bool = False
    ) -> tuple[list[KeptPhrase], int]:
        """Return a part of what `phrases` lists, and how many phrases all parts have. pinned: only those.

        Without a search only that part is read: a large cache takes as little time as a small one.
        """
        if search or sort not in ORDERS:
            found = [phrase for phrase in self.phrases(search, sort) if phrase.pinned or not pinned]
            return found[offset : offset + limit], len(found)
        if self._store is None:
            return [], 0
        where = f"{IS_PHRASE} AND {IS_PINNED}" if pinned else IS_PHRASE
        ((total,),) = self._store.select(f"SELECT COUNT(*) FROM Cache WHERE {where}")  # noqa: S608
        ordered = f"{SELECT_PHRASES} AND {where} ORDER BY {ORDERS[sort]} DESC, key LIMIT ? OFFSET ?"
        return [KeptPhrase.from_row(*row) for row in self._store.select(ordered, (limit, offset))], total

    def find_by_prefix(self, prefixes: list[str]) -> list[KeptPhrase]:
        """Find phrases by the beginnings of their keys. Raises UnknownPhrase if one names none, or several.

        A phrase that only other nodes keep is found by its whole key, and kept here from then on.
        """
        self._sharing.bring(key for key in map(str.lower, prefixes) if len(key) == KEY_CHARACTERS)
        found: dict[str, KeptPhrase] = {}
        for prefix in prefixes:
            matching = self._keys_with(prefix.lower())
            if len(matching) > 1:
                few = ", ".join(key[:12] for key in sorted(matching)[:3])
                raise UnknownPhrase(f"{len(matching)} phrases' keys begin with {prefix}: {few}...", param="key")
            phrases = self._store.phrases(matching) if self._store else []
            if not phrases:
                raise UnknownPhrase(f"No phrase's key begins with {shown(prefix[:64])!r}.", param="key")
            found[phrases[0].key] = phrases[0]
        return list(found.values())

    def has_key_with(self, prefix: str) -> bool:
        """Return whether any key begins so."""
        return bool(self._keys_with(prefix.lower()))

    def _keys_with(self, prefix: str) -> list[str]:
        """Return the keys that begin so; a whole key alone, even if others begin with it."""
        if not prefix or self._store is None:
            return []
        between = f"SELECT key FROM Cache WHERE {IS_PHRASE} AND key >= ? AND key < ?"  # noqa: S608
        keys = [key for (key,) in self._store.select(between, (prefix, prefix + chr(0x10FFFF)))]
        return [prefix] if prefix in keys else keys

    def kept(self, keys: Iterable[str]) -> set[str]:
        """Return which of these whole keys a sound is kept under. It does not count as a use."""
        return {phrase.key for phrase in self._store.phrases(keys)} if self._store else set()

    def count_heard(self) -> dict[str, int]:
        """Count the phrases that were listened to by their verdicts. Ten thousand take less than 0.1 s."""
        rows = self._store.select(COUNT_HEARD) if self._store else []
        return {written.partition('"')[0]: count for written, count in rows}

    def in_doubt(self) -> list[KeptPhrase]:
        """List the phrases that were listened to and that a person should hear."""
        rows = self._store.select(f"{SELECT_PHRASES} AND {IN_DOUBT}") if self._store else []
        phrases = [KeptPhrase.from_row(*row) for row in rows]
        return [phrase for phrase in phrases if phrase.hearing is not None and phrase.hearing.verdict.needs_review]

    def stats(self) -> Stats:
        """Count everything."""
        return Stats.of(self.phrases(), self.volume(), self._limit)

    def read_sound(self, phrase: KeptPhrase) -> bytes:
        """Return the sound, counted neither as a hit nor as a use.

        Raises UnknownPhrase if it is gone, CacheError if it is corrupt.
        """
        sound = self._store.peek(phrase.key) if self._store else None
        if sound is None:
            raise UnknownPhrase(f"Phrase {phrase.key:.12} is gone.", param="key")
        return sound

    def verify_sounds(self) -> Iterator[tuple[KeptPhrase, str | None]]:
        """Read every sound; yield each phrase with what is wrong with it, or None."""
        for phrase in self.phrases():
            try:
                self.read_sound(phrase)
            except UnknownPhrase:
                continue  # gone since it was listed
            except CacheError:
                # Try once more: a server that makes the phrase again at this moment has removed its old file.
                try:
                    self.read_sound(phrase)
                except UnknownPhrase:
                    continue
                except CacheError as error:
                    yield phrase, error.message
                    continue
            yield phrase, None

    def put(self, key: str, sound: bytes, metadata: Metadata) -> bool:
        """Keep a sound, at every node. Returns whether it is kept here; a failure is logged."""
        kept = self._store is not None and self._store.put(key, sound, metadata.to_json())
        if kept:
            self._sharing.publish(Change.REPLACE, key)
        return kept

    def pin(self, phrases: list[KeptPhrase]) -> None:
        """Keep phrases from being evicted. Raises TooManyPins if the pinned ones would take more than half."""
        pinned = {phrase.key: phrase.size for phrase in self.phrases() if phrase.pinned}
        total = sum((pinned | {phrase.key: phrase.size for phrase in phrases}).values())
        if total > self._limit / 2:
            raise TooManyPins(
                f"The pinned phrases would take {total / 2**20:.0f} MB, more than half of MONICA_CACHE_MB="
                f"{self._limit // 2**20}: new phrases would not be kept for long."
            )
        if self._store is not None:
            self._store.pin(phrase.key for phrase in phrases)
        self._publish(Change.PIN, phrases)

    def unpin(self, phrases: list[KeptPhrase]) -> None:
        """Let phrases be evicted again."""
        if self._store is not None:
            self._store.pin((phrase.key for phrase in phrases), pinned=False)
        self._publish(Change.UNPIN, phrases)

    def remove(self, phrases: list[KeptPhrase]) -> None:
        """Remove phrases, and their pins."""
        self.unpin(phrases)
        for phrase in phrases:
            if self._store is not None and not self._store.remove(phrase.key):
                raise CacheError(f"Phrase {phrase.key:.12} cannot be removed; those before it are gone.")
            self._publish(Change.REMOVE, [phrase])

    def _publish(self, change: Change, phrases: list[KeptPhrase]) -> None:
        for phrase in phrases:
            self._sharing.publish(change, phrase.key)


def _exists(folder: Path) -> bool:
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # something is there; opening it says what is wrong with it
    return True

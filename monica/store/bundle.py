"""A bundle: kept sounds and their labels in one file, to be taken to another machine.

It is a ZIP that compresses nothing: every computer opens it; its list stands at its end, so that one that was cut short
is known at once; there are no links in it that could be followed; and what is not compressed cannot burst. It holds
manifest.json, a WAV for each of its entries, named for its key, and nothing else. Nothing of it is ever unpacked into
a folder: what is in order goes into the store, under a key that its label has to give.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from monica.audio.wav import HEADER_BYTES
from monica.errors import MonicaError
from monica.store.cache import CacheFault
from monica.store.card import Card, shown
from monica.store.catalogue import Catalogue, UnknownEntry
from monica.store.identity import Identity
from monica.store.label import Label

MANIFEST = "manifest.json"
FORMAT, VERSION = "monica-bundle", 1
MAX_MANIFEST = 64 * 2**20  # bytes; a label has less than one thousand
ROW = 4096  # bytes that an entry takes in the store at most, beside its sound and its label


class BundleError(MonicaError):
    """A bundle that is not in order."""

    status, code = 422, "bundle_invalid"


class NoRoom(BundleError):
    """A bundle that the cache, or the disk, has no room for."""

    status, code = 507, "no_room"


class ForeignBundle(BundleError):
    """Its sounds are of another engine, checkpoint or voice: nobody would ask for them here."""

    status, code = 409, "bundle_foreign"


@dataclass(frozen=True, slots=True)
class Record:
    """A sound in a bundle. size: bytes."""

    key: str
    sha256: str
    size: int
    label: Label

    @property
    def name(self) -> str:
        return f"{self.key}.wav"

    @classmethod
    def of(cls, label: Label, sound: bytes) -> Record:
        return cls(label.recipe.key, hashlib.sha256(sound).hexdigest(), len(sound), label)

    @classmethod
    def read(cls, found: Any) -> Record:
        """Read what `as_dict` gave. Raises ValueError, KeyError or TypeError."""
        record = cls(found["key"], found["sha256"], found["size"], Label.read(found["label"]))
        if record.key != record.label.recipe.key:
            raise ValueError("an entry's key is not that of its label")
        return record

    def as_dict(self) -> dict[str, Any]:
        return {"key": self.key, "sha256": self.sha256, "size": self.size, "label": self.label.as_dict()}


@dataclass(frozen=True, slots=True)
class Imported:
    """How many sounds of a bundle are new here, took the place of another take, or were here already."""

    new: int
    replaced: int
    known: int


def ours(cards: list[Card], identity: Identity | None) -> list[Card]:
    """Leave out what another engine, checkpoint or voice said; where it is not known who speaks here, nothing is."""
    return [card for card in cards if identity is None or not _is_foreign(card, identity)]


def _is_foreign(card: Card, identity: Identity) -> bool:
    try:
        return identity.differs(card.label().recipe) is not None
    except ValueError:
        return False  # no label: `export` says so


def export(catalogue: Catalogue, cards: list[Card], file: IO[bytes]) -> list[Card]:
    """Write a bundle: the same sounds give the same bytes.

    Returns what was left out: entries that are gone, corrupt, or have no label (those of before labels).
    Raises OSError where the file cannot be written.
    """
    records, left_out = [], []
    with ZipFile(file, "w", ZIP_STORED) as bundle:
        for card in sorted(cards, key=lambda card: card.key):
            try:
                sound = catalogue.read(card)
                record = Record.of(card.label(), sound)
            except (ValueError, CacheFault, UnknownEntry):
                record = None
            if record is None or record.key != card.key or not _is_wav(sound):
                left_out.append(card)
                continue
            bundle.writestr(_member(record.name), sound)
            records.append(record.as_dict())
        manifest = {"format": FORMAT, "version": VERSION, "entries": records}
        bundle.writestr(_member(MANIFEST), json.dumps(manifest, indent=1))
    return left_out


class Bundle:
    """A bundle in which every byte is as its manifest says: it is examined as a whole before anything else."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        """Examine a bundle; nothing is written. limit: bytes that its sounds may have. Raises BundleError or NoRoom."""
        with _in_order():
            self._zip = ZipFile(file)
            self.records = self._read_manifest()
            self._check_members()
            size = sum(record.size for record in self.records)
            if size > limit:
                raise NoRoom(f"There is no room: the bundle has {size / 2**20:.1f} MB of sound.")
            for record in self.records:
                self._sound(record)

    def _read_manifest(self) -> list[Record]:
        found = [member for member in self._zip.infolist() if member.filename == MANIFEST]
        if len(found) != 1 or found[0].file_size > MAX_MANIFEST or not _is_plain(found[0]):
            raise BundleError("This is not a bundle: it has no manifest that can be read.")
        manifest = json.loads(self._zip.read(found[0]))
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise BundleError("This is not a bundle: its manifest is of something else.")
        if manifest.get("version") != VERSION:
            raise BundleError(f"This bundle is of version {reprlib.repr(manifest.get('version'))}, not {VERSION}.")
        return [Record.read(found) for found in manifest["entries"]]

    def _check_members(self) -> None:
        expected = {record.name: record for record in self.records}
        if len(expected) != len(self.records):
            raise BundleError("The bundle is not in order: an entry is there twice.")
        for member in self._zip.infolist():
            if member.filename == MANIFEST:
                continue
            record = expected.pop(member.filename, None)
            if record is None:
                raise BundleError(f"The bundle is not in order: {reprlib.repr(member.filename)} does not belong there.")
            if not _is_plain(member) or member.file_size != record.size:
                raise BundleError(f"The bundle is not in order: {record.key:.12} is not what the manifest says.")
        for record in expected.values():
            raise BundleError(f"The bundle is not whole: {record.key:.12} is not there.")

    def _sound(self, record: Record) -> bytes:
        sound = self._zip.read(record.name)
        if hashlib.sha256(sound).hexdigest() != record.sha256:
            raise BundleError(f"The bundle is not whole: the checksum of {record.key:.12} differs.")
        if not _is_wav(sound):
            raise BundleError(f"The bundle is not in order: {record.key:.12} is no sound.")
        return sound

    def check(self, identity: Identity | None) -> None:
        """Raise ForeignBundle where a sound is not one that `identity` would ask for, or None is known."""
        if identity is None:
            raise ForeignBundle("Monica has not spoken here yet: whether these are sounds of hers cannot be known.")
        reasons = [reason for record in self.records if (reason := identity.differs(record.label.recipe))]
        if reasons:
            raise ForeignBundle(
                f"{len(reasons)} of {len(self.records)} sounds would not be asked for here: {shown(reasons[0]):.300}."
            )

    def put_into(self, catalogue: Catalogue) -> Imported:
        """Keep every sound; one that is there in another take is replaced. Nothing is evicted for them.

        Raises NoRoom, before anything is written, or where the disk fails in the middle: then what was kept until then
        is whole, and importing once more goes on from there.
        """
        kept = {card.key: card for card in catalogue.cards()}
        known = {record.key for record in self.records if _holds(catalogue, kept.get(record.key), record)}
        missing = [record for record in self.records if record.key not in known]
        replaced = [kept[record.key] for record in missing if record.key in kept]
        growth = sum(record.size + len(record.label.written()) + ROW for record in missing)
        growth -= sum(card.size for card in replaced)
        free = catalogue.limit - catalogue.volume()
        if growth > free:
            raise NoRoom(
                f"There is no room: {max(growth, 0) / 2**20:.1f} MB are needed, {max(free, 0) / 2**20:.1f} MB of "
                f"MONICA_CACHE_MB={catalogue.limit // 2**20} are free."
            )
        for number, record in enumerate(missing):
            with _in_order():
                sound = self._sound(record)
            if not catalogue.put(record.key, sound, record.label):
                raise NoRoom(
                    f"The cache could not be written after {number} of {len(missing)} sounds. Those are kept, whole; "
                    "see to the disk, then import once more."
                )
        return Imported(len(missing) - len(replaced), len(replaced), len(known))


def _holds(catalogue: Catalogue, card: Card | None, record: Record) -> bool:
    """Tell whether the very sound is kept, and sound on disk too."""
    if card is None or card.entry.sha256 != record.sha256:
        return False
    try:
        catalogue.read(card)
    except (CacheFault, UnknownEntry):
        return False
    return True


def _member(name: str) -> ZipInfo:
    member = ZipInfo(name)  # of 1980: when it was written is not part of what it is
    member.external_attr = 0o644 << 16  # or who unpacks it may not read it
    return member


def _is_plain(member: ZipInfo) -> bool:
    encrypted = member.flag_bits & 1
    return member.compress_type == ZIP_STORED and member.compress_size == member.file_size and not encrypted


def _is_wav(sound: bytes) -> bool:
    """Tell whether bytes are laid out as `encode_wav` does, which is what reads them counts on."""
    if len(sound) < HEADER_BYTES or sound[:4] + sound[8:16] + sound[36:40] != b"RIFFWAVEfmt data":
        return False
    (rate,) = struct.unpack_from("<I", sound, 24)
    form, (data_bytes,) = struct.unpack_from("<IHHIIHH", sound, 16), struct.unpack_from("<I", sound, 40)
    return rate > 0 and form == (16, 1, 1, rate, 2 * rate, 2, 16) and data_bytes == len(sound) - HEADER_BYTES


@contextmanager
def _in_order() -> Iterator[None]:
    """Raise whatever reading a bundle throws as BundleError."""
    try:
        yield
    except MonicaError:
        raise
    except OSError as error:
        raise BundleError(f"The bundle cannot be read: {error.strerror or error}.") from error
    except Exception as error:
        # The file may come from anyone; zipfile and json throw a dozen kinds at what is not theirs.
        reason = shown(str(error)) or type(error).__name__
        raise BundleError(f"This is not a bundle, or not all of one ({reason:.200}).") from error

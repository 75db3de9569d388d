"""A bundle: kept phrases in one file, to be taken to another machine.

It is a ZIP without compression. Every computer opens it. Its directory stands at its end, so a file that was cut short
is recognised at once. It has no links that could be followed, and since nothing is compressed, nothing can burst. It
holds manifest.json, a WAV for each phrase, named after its key, and nothing else. Nothing is ever unpacked into a
folder: a sound that is in order goes into the store, under the key that follows from its metadata.
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
from monica.store.cache import CacheError
from monica.store.catalogue import Catalogue, UnknownPhrase
from monica.store.identity import Identity
from monica.store.metadata import Metadata
from monica.store.migration import new_key, old_key
from monica.store.phrase import OVERHEAD_BYTES, KeptPhrase, shown

MANIFEST = "manifest.json"
FORMAT, VERSION = "monica-bundle", 2
OLD_VERSION = 1
"""The version with keys of version 1. It is read, but not written."""
MAX_MANIFEST = 64 * 2**20
"""In bytes. The metadata of a phrase has less than a thousand."""


class BundleError(MonicaError):
    """A bundle that is not in order."""

    status, code = 422, "bundle_invalid"


class NoRoom(BundleError):
    """A bundle that the cache, or the disk, has no room for."""

    status, code = 507, "no_room"


class ForeignBundle(BundleError):
    """A bundle of another engine, checkpoint or voice: its sounds would never be asked for here."""

    status, code = 409, "bundle_foreign"


@dataclass(frozen=True, slots=True)
class BundledPhrase:
    """A phrase in a bundle."""

    key: str
    """The key it is imported under."""
    member: str
    """The name of its WAV in the ZIP."""
    sha256: str
    size: int
    """Bytes of the WAV."""
    metadata: Metadata

    @classmethod
    def from_sound(cls, metadata: Metadata, sound: bytes) -> BundledPhrase:
        key = metadata.recipe.key
        return cls(key, f"{key}.wav", hashlib.sha256(sound).hexdigest(), len(sound), metadata)

    @classmethod
    def from_manifest(cls, found: Any, version: int) -> BundledPhrase:
        """Read an entry of the manifest. Raises ValueError, KeyError or TypeError.

        version: that of the bundle. Its key is held against the formula of that version.
        """
        metadata = Metadata.from_fields(found["label"])
        key = metadata.recipe.key
        if found["key"] != (old_key(found["label"]) if version == OLD_VERSION else key):
            raise ValueError("a phrase's key is not that of its metadata")
        return cls(key, f"{found['key']}.wav", found["sha256"], found["size"], metadata)

    def to_manifest(self) -> dict[str, Any]:
        return {"key": self.key, "sha256": self.sha256, "size": self.size, "label": self.metadata.to_fields()}


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the sounds of a bundle."""

    new: int
    """How many were not here before."""
    replaced: int
    """How many took the place of another take."""
    known: int
    """How many were here already."""


def select_ours(phrases: list[KeptPhrase], identity: Identity | None) -> list[KeptPhrase]:
    """Leave out phrases of another engine, checkpoint or voice. identity: None if it is not known; then all stay."""
    return [phrase for phrase in phrases if identity is None or not _is_foreign(phrase, identity)]


def _is_foreign(phrase: KeptPhrase, identity: Identity) -> bool:
    try:
        return identity.differs(phrase.metadata().recipe) is not None
    except ValueError:
        return False  # no metadata: `export` reports it


def export(catalogue: Catalogue, phrases: list[KeptPhrase], file: IO[bytes]) -> list[KeptPhrase]:
    """Write a bundle: the same sounds give the same bytes.

    Returns the phrases that were left out: those that are gone, corrupt, or have no metadata.
    Raises OSError if the file cannot be written.
    """
    bundled: dict[str, BundledPhrase] = {}
    left_out = []
    with ZipFile(file, "w", ZIP_STORED) as bundle:
        for phrase in sorted(phrases, key=lambda phrase: new_key(phrase) or phrase.key):
            try:
                sound = catalogue.read_sound(phrase)
                found = BundledPhrase.from_sound(phrase.metadata(), sound)
            except (ValueError, CacheError, UnknownPhrase):
                left_out.append(phrase)
                continue
            # A server that has not started since an upgrade has not renamed its phrases yet.
            if found.key not in (phrase.key, new_key(phrase)) or found.key in bundled or not _is_wav(sound):
                left_out.append(phrase)
                continue
            bundle.writestr(_zip_info(found.member), sound)
            bundled[found.key] = found
        entries = [found.to_manifest() for found in bundled.values()]
        manifest = {"format": FORMAT, "version": VERSION, "entries": entries}
        bundle.writestr(_zip_info(MANIFEST), json.dumps(manifest, indent=1))
    return left_out


def digest_of(file: IO[bytes]) -> str:
    """Return what two bundles have in common if every byte of them is the same. file: what `export` has written.

    It is the hex SHA-256 of the manifest, which holds the checksums of all sounds: to read those again would take as
    long as to write them.
    """
    with ZipFile(file) as bundle:
        return hashlib.sha256(bundle.read(MANIFEST)).hexdigest()


class Bundle:
    """A bundle in which every byte is as its manifest says: all of it is examined before anything is kept."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        """Examine a bundle; nothing is written. limit: bytes that its sounds may have. Raises BundleError or NoRoom."""
        with _raising():
            self._zip = ZipFile(file)
            self.phrases = self._read_manifest()
            self._check_members()
            size = sum(phrase.size for phrase in self.phrases)
            if size > limit:
                raise NoRoom(f"There is no room: the bundle has {size / 2**20:.1f} MB of sound.")
            for phrase in self.phrases:
                self._read_sound(phrase)

    def _read_manifest(self) -> list[BundledPhrase]:
        found = [member for member in self._zip.infolist() if member.filename == MANIFEST]
        if len(found) != 1 or found[0].file_size > MAX_MANIFEST or not _is_plain(found[0]):
            raise BundleError("This is not a bundle: it has no manifest that can be read.")
        manifest = json.loads(self._zip.read(found[0]))
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise BundleError("This is not a bundle: its manifest is of something else.")
        version = manifest.get("version")
        if version not in (OLD_VERSION, VERSION):
            raise BundleError(f"This bundle is of version {reprlib.repr(version)}, not {OLD_VERSION} or {VERSION}.")
        return [BundledPhrase.from_manifest(found, version) for found in manifest["entries"]]

    def _check_members(self) -> None:
        expected = {phrase.member: phrase for phrase in self.phrases}
        if len({phrase.key for phrase in self.phrases}) != len(self.phrases):
            raise BundleError("The bundle is not in order: a phrase is there twice.")
        for member in self._zip.infolist():
            if member.filename == MANIFEST:
                continue
            phrase = expected.pop(member.filename, None)
            if phrase is None:
                raise BundleError(f"The bundle is not in order: {reprlib.repr(member.filename)} does not belong there.")
            if not _is_plain(member) or member.file_size != phrase.size:
                raise BundleError(f"The bundle is not in order: {phrase.member:.12} is not what the manifest says.")
        for phrase in expected.values():
            raise BundleError(f"The bundle is not whole: {phrase.member:.12} is not there.")

    def _read_sound(self, phrase: BundledPhrase) -> bytes:
        sound = self._zip.read(phrase.member)
        if hashlib.sha256(sound).hexdigest() != phrase.sha256:
            raise BundleError(f"The bundle is not whole: the checksum of {phrase.member:.12} differs.")
        if not _is_wav(sound):
            raise BundleError(f"The bundle is not in order: {phrase.member:.12} is not a WAV as Monica writes it.")
        return sound

    def check_origin(self, identity: Identity | None) -> None:
        """Raise ForeignBundle if a sound would not be asked for here. identity: None if it is not known."""
        if identity is None:
            raise ForeignBundle(
                "Monica has not been ready here yet: it is not known whether these sounds are of her engine and voice."
            )
        reasons = [reason for phrase in self.phrases if (reason := identity.differs(phrase.metadata.recipe))]
        if reasons:
            raise ForeignBundle(
                f"{len(reasons)} of {len(self.phrases)} sounds would not be asked for here: {shown(reasons[0]):.300}."
            )

    def import_into(self, catalogue: Catalogue) -> Imported:
        """Keep every sound; a phrase that is kept in another take is replaced. Nothing is evicted to make room.

        Raises NoRoom before anything is written, or if the disk fails in the middle. In that case what was kept until
        then is whole, and importing once more goes on from there.
        """
        kept = {phrase.key: phrase for phrase in catalogue.phrases()}
        known = {phrase.key for phrase in self.phrases if _is_kept(catalogue, kept.get(phrase.key), phrase)}
        missing = [phrase for phrase in self.phrases if phrase.key not in known]
        replaced = [kept[phrase.key] for phrase in missing if phrase.key in kept]
        growth = sum(phrase.size + len(phrase.metadata.to_json()) + OVERHEAD_BYTES for phrase in missing)
        growth -= sum(phrase.size for phrase in replaced)
        free = catalogue.limit - catalogue.volume()
        if growth > free:
            raise NoRoom(
                f"There is no room: {max(growth, 0) / 2**20:.1f} MB are needed, {max(free, 0) / 2**20:.1f} MB of "
                f"MONICA_CACHE_MB={catalogue.limit // 2**20} are free."
            )
        for number, phrase in enumerate(missing):
            with _raising():
                sound = self._read_sound(phrase)
            if not catalogue.put(phrase.key, sound, phrase.metadata):
                raise NoRoom(
                    f"The cache could not be written after {number} of {len(missing)} sounds. Those are kept, whole; "
                    "see to the disk, then import once more."
                )
        return Imported(len(missing) - len(replaced), len(replaced), len(known))


def _is_kept(catalogue: Catalogue, kept: KeptPhrase | None, phrase: BundledPhrase) -> bool:
    """Tell whether this very sound is kept, and not corrupt on disk."""
    if kept is None or kept.sha256 != phrase.sha256:
        return False
    try:
        catalogue.read_sound(kept)
    except (CacheError, UnknownPhrase):
        return False
    return True


def _zip_info(name: str) -> ZipInfo:
    info = ZipInfo(name)  # dated 1980: when it was written is not part of what it is
    info.external_attr = 0o644 << 16  # or the file could not be read once it is unpacked
    return info


def _is_plain(member: ZipInfo) -> bool:
    encrypted = member.flag_bits & 1
    return member.compress_type == ZIP_STORED and member.compress_size == member.file_size and not encrypted


def _is_wav(sound: bytes) -> bool:
    """Tell whether bytes are laid out as `encode_wav` does, which the code that reads them relies on."""
    if len(sound) < HEADER_BYTES or sound[:4] + sound[8:16] + sound[36:40] != b"RIFFWAVEfmt data":
        return False
    (rate,) = struct.unpack_from("<I", sound, 24)
    form, (data_bytes,) = struct.unpack_from("<IHHIIHH", sound, 16), struct.unpack_from("<I", sound, 40)
    return rate > 0 and form == (16, 1, 1, rate, 2 * rate, 2, 16) and data_bytes == len(sound) - HEADER_BYTES


@contextmanager
def _raising() -> Iterator[None]:
    """Raise whatever reading a bundle raises as BundleError."""
    try:
        yield
    except MonicaError:
        raise
    except OSError as error:
        raise BundleError(f"The bundle cannot be read: {error.strerror or error}.") from error
    except Exception as error:
        # The file may come from anyone; zipfile and json raise a dozen kinds of errors for files that are not theirs.
        reason = shown(str(error)) or type(error).__name__
        raise BundleError(f"This is not a bundle, or not all of one ({reason:.200}).") from error

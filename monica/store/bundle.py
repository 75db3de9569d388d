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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from monica.errors import MonicaError
from monica.store.bundle_writer import BundleWriter
from monica.store.bundled_phrase import FORMAT, MANIFEST, OLD_VERSION, VERSION, BundledPhrase, is_wav
from monica.store.cache import CacheError
from monica.store.catalogue import Catalogue, UnknownPhrase
from monica.store.identity import Identity
from monica.store.migration import new_key
from monica.store.phrase import OVERHEAD_BYTES, KeptPhrase, shown

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
    left_out = []
    with BundleWriter(file) as bundle:
        for phrase in sorted(phrases, key=lambda phrase: new_key(phrase) or phrase.key):
            try:
                sound = catalogue.read_sound(phrase)
                found = BundledPhrase.from_sound(phrase.metadata(), sound)
            except (ValueError, CacheError, UnknownPhrase):
                left_out.append(phrase)
                continue
            # A server that has not started since an upgrade has not renamed its phrases yet.
            if found.key not in (phrase.key, new_key(phrase)) or found.key in bundle or not is_wav(sound):
                left_out.append(phrase)
                continue
            bundle.add(found, sound)
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
        if not is_wav(sound):
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


def _is_plain(member: ZipInfo) -> bool:
    encrypted = member.flag_bits & 1
    return member.compress_type == ZIP_STORED and member.compress_size == member.file_size and not encrypted


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

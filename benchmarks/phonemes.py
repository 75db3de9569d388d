"""Compares what espeak-ng speaks with what French players say: `python -m benchmarks.phonemes` prints a table.

For each word: the native reading, written by hand in IPA; what the library spoke for the respelling that served both
engines before there were phonemes (or for the word itself, if it had no entry); what it speaks for the entry of today.
Beside each reading stands its distance from the native one: phonemes to insert, delete or replace. Stress, pauses and
length do not count.
"""

from __future__ import annotations

import ctypes
import unicodedata

from monica.engine.espeak import VARIANT
from monica.engine.espeak_child import SynthCallback, synthesize
from monica.engine.espeak_ipa import write_for_espeak
from monica.engine.espeak_library import LIBRARY
from monica.text import Normaliser

NATIVE = {  # word: (how French players say it, its respelling of old or None)
    "all-in": ("ɔlin", "oline"),
    "add-on": ("adɔn", "adonne"),
    "addons": ("adɔn", None),
    "bad beat": ("bad bit", "bade bîte"),
    "BB": ("biɡ blajnd", "bigue blaïnede"),
    "BBs": ("biɡ blajnd", None),
    "bet": ("bɛt", "bette"),
    "bets": ("bɛt", None),
    "3-bet": ("tʁwa bɛt", "trois bette"),
    "big blind": ("biɡ blajnd", "bigue blaïnede"),
    "bigblind": ("biɡ blajnd", None),
    "blind": ("blajnd", "blaïnede"),
    "board": ("bɔʁd", "borde"),
    "bounty": ("bawnti", "baouneti"),
    "buy-in": ("bajin", "baille-ine"),
    "call": ("kɔl", "colle"),
    "cbet": ("si bɛt", None),
    "check": ("tʃɛk", "tchèque"),
    "checks": ("tʃɛk", None),
    "check-raise": ("tʃɛk ʁɛz", "tchèque rèze"),
    "chip leader": ("tʃip lidœʁ", "tchip lideur"),
    "coin flip": ("kɔjn flip", None),
    "cutoff": ("kœtɔf", "keutoffe"),
    "deal": ("dil", "dile"),
    "dealer": ("dilœʁ", "dileur"),
    "donkbet": ("dɔ̃k bɛt", None),
    "floor": ("flɔʁ", "flore"),
    "flush": ("flœʃ", "fleuche"),
    "fold": ("fɔld", "folde"),
    "freezeout": ("fʁizawt", "frizaoute"),
    "freeroll": ("fʁiʁɔl", "frirole"),
    "full": ("ful", "foule"),
    "full house": ("ful aws", "foule haousse"),
    "hand for hand": ("and fɔʁ and", None),
    "heads-up": ("ɛdz œp", "hèdz eup"),
    "Head's up": ("ɛdz œp", None),
    "high roller": ("aj ʁɔlœʁ", "haï roleur"),
    "hijack": ("ajdʒak", None),
    "Hold'em": ("ɔldɛm", "Holdème"),
    "kicker": ("kikœʁ", "kikeur"),
    "knockout": ("nɔkawt", None),
    "Las Vegas": ("las veɡas", None),
    "late reg": ("lɛt ʁɛɡ", "lète règue"),
    "level": ("levɛl", None),
    "limp": ("limp", None),
    "main event": ("mɛn evɛnt", "mène évènte"),
    "McDonald": ("mak dɔnald", None),
    "muck": ("mœk", "meuque"),
    "nuts": ("nœts", None),
    "offsuit": ("ɔfsut", None),
    "payout": ("pɛjawt", "péaoute"),
    "player": ("plɛjœʁ", "plèyeur"),
    "prize pool": ("pʁajz pul", "praïze poule"),
    "raise": ("ʁɛz", "rèze"),
    "rebuy": ("ʁibaj", "ribaille"),
    "re-entry": ("ʁiɛntʁi", "ri-ènetri"),
    "river": ("ʁivœʁ", "riveur"),
    "rivers": ("ʁivœʁ", None),
    "runner-runner": ("ʁœnœʁ ʁœnœʁ", None),
    "seat open": ("sit ɔpɛn", "site openne"),
    "showdown": ("ʃodawn", "chodaoune"),
    "shootout": ("ʃutawt", "choutaoute"),
    "short stack": ("ʃɔʁt stak", "chorte stack"),
    "side event": ("sajd evɛnt", "saïde évènte"),
    "Sit'n'Go": ("sit ɛn ɡo", None),
    "small blind": ("smol blajnd", "smôle blaïnede"),
    "straddle": ("stʁadœl", "stradeule"),
    "time bank": ("tajm bɑ̃k", "taïme banque"),
    "turn": ("tœʁn", "teurne"),
    "winner": ("winœʁ", "ouineur"),
}

_PHONEMES_AS_IPA = 2
_NO_PHONEMES = frozenset("ˈˌː.-_|: ‿͡")
_MERGED = str.maketrans({"ɪ": "i", "ɑ": "a"})  # with the tilde apart, ɑ̃ and ã are one
_NASAL = "\N{COMBINING TILDE}"


class Listener:
    """Hears espeak-ng's French voice in phonemes: what it spoke, not what it would."""

    def __init__(self) -> None:
        self._library = LIBRARY.load()
        self._library.espeak_SetPhonemeTrace.argtypes = [ctypes.c_int, ctypes.c_void_p]
        self._libc = ctypes.CDLL(None)
        self._libc.open_memstream.restype = ctypes.c_void_p
        self._libc.open_memstream.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_size_t)]
        self._libc.fclose.argtypes = [ctypes.c_void_p]
        self._libc.free.argtypes = [ctypes.c_void_p]

    def hear(self, prepared: str) -> str:
        """Return the phonemes of a prepared text in IPA, with stress, and spaces between words."""
        heard, size = ctypes.c_char_p(), ctypes.c_size_t()
        stream = self._libc.open_memstream(ctypes.byref(heard), ctypes.byref(size))
        with LIBRARY.lock:
            LIBRARY.set_voice("fr", VARIANT)
            self._library.espeak_SetSynthCallback(_listen)
            self._library.espeak_SetPhonemeTrace(_PHONEMES_AS_IPA, stream)
            try:
                synthesize(self._library, write_for_espeak(prepared))
            finally:
                self._library.espeak_SetPhonemeTrace(0, None)  # it would go on writing to the stream
                self._libc.fclose(stream)
        try:
            return " ".join((heard.value or b"").decode().split())
        finally:
            self._libc.free(heard)


_listen = SynthCallback(lambda wav, count, events: 0)  # referenced here: the library holds only a pointer


def phonemes(ipa: str) -> list[str]:
    """Split IPA into phonemes that count."""
    found: list[str] = []
    for char in unicodedata.normalize("NFD", ipa).translate(_MERGED):
        if char == _NASAL and found:
            found[-1] += char
        elif char not in _NO_PHONEMES:
            found.append(char)
    return found


def distance(one: str, other: str) -> int:
    """Return how many phonemes have to be inserted, deleted or replaced to make one reading of the other."""
    ours, theirs = phonemes(one), phonemes(other)
    row = list(range(len(theirs) + 1))
    for i, mine in enumerate(ours, 1):
        diagonal, row[0] = row[0], i
        for j, his in enumerate(theirs, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (mine != his))
    return row[-1]


def readings(listener: Listener, word: str) -> tuple[str, str]:
    """Return what is heard of a word: as it was respelled of old, and by the entry of today."""
    old = NATIVE[word][1]
    return listener.hear(old or word), listener.hear(Normaliser().normalise(word, "espeak").text)


def main() -> None:
    """Print the table."""
    listener = Listener()
    totals = [0, 0]
    print(f"{'word':16}{'native':16}{'old':>28}{'':4}{'new':>24}")
    for word, (native, _) in NATIVE.items():
        old, new = readings(listener, word)
        apart = distance(native, old), distance(native, new)
        totals = [total + one for total, one in zip(totals, apart, strict=True)]
        print(f"{word:16}{native:16}{old:>28}{apart[0]:4}{new:>24}{apart[1]:4}")
    count = sum(len(phonemes(native)) for native, _ in NATIVE.values())
    print(f"\n{len(NATIVE)} words, {count} phonemes; wrong before: {totals[0]}, now: {totals[1]}")


if __name__ == "__main__":
    main()

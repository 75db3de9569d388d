"""Acronyms, spelled by the names of their letters, and words in capitals, written in lower case.

A voice that reads graphemes may say "TVA" as a word and "f r" as a noise. "té vé a" leaves it no choice.
"""

from __future__ import annotations

import re

LETTERS = {
    "A": "a", "B": "bé", "C": "cé", "D": "dé", "E": "e", "F": "effe", "G": "gé", "H": "ache", "I": "i",
    "J": "ji", "K": "ka", "L": "elle", "M": "aime", "N": "enne", "O": "o", "P": "pé", "Q": "ku",
    "R": "erre", "S": "esse", "T": "té", "U": "u", "V": "vé", "W": "double-vé", "X": "ixe", "Y": "i-grec",
    "Z": "zède",
}  # fmt: skip
UNACCENTED = str.maketrans("ÀÂÄÇÉÈÊËÎÏÔÖÙÛÜŸ", "AAACEEEEIIOOUUUY")

UPPER = "A-ZÀ-ÖØ-ÞŒŸ"
"""The capital letters of French, for use inside the brackets of a regular expression."""
TWO_CAPITALS = re.compile(rf"[{UPPER}]\.?[{UPPER}]")
DOTTED = re.compile(r"(?<![\w.])(?:[A-Z]\.){2,8}(?!\w)")
CAPITALS = re.compile(rf"(?<![\w.])[{UPPER}]{{2,40}}(?!\w)")
RUN = re.compile(rf"(?<![\w.])[{UPPER}]{{1,40}}(?:[ '-][{UPPER}]{{1,40}}){{0,60}}(?!\w)")
PART = re.compile(rf"[{UPPER}]+")

# Acronyms that could be said as French words, and are spelled all the same.
SPELLED = frozenset({
    "ADN", "AG", "APT", "BO", "CO", "CEO", "EP", "EPT", "FAQ", "FPS", "IA", "ID", "IOS", "IP", "IPT",
    "IT", "IUT", "KO", "OPA", "PDG", "PEL", "PKO", "PLO", "RER", "RIP", "SAV", "UDI", "UE", "UFO", "UKIPT",
    "URL", "USA", "VIP", "WSOPC", "WSOPE",
})  # fmt: skip
# Two letters that are words in French.
SHORT_WORDS = frozenset({
    "AI", "AN", "AS", "AH", "AU", "BU", "CA", "CE", "CI", "DE", "DU", "EH", "EN", "ES", "ET", "EU", "EX", "HE",
    "IL", "JE",
    "JO", "LA", "LE", "LI", "LU", "MA", "ME", "MI", "NE", "NI", "NU", "OH", "ON", "OR", "OS", "OU", "PU",
    "RE", "SA", "SE", "SI", "SU", "TA", "TE", "TU", "UN", "VA", "VU", "WU", "ÇA", "ÇÀ", "LÀ", "OÙ", "DÉ",
    "FÉ", "NÉ", "DÛ", "MÛ", "ÈS",
})  # fmt: skip
VOWELS = "AEIOUYÀÁÂÃÄÅÆÈÉÊËÌÍÎÏÒÓÔÕÖØÙÚÛÜÝŒŸ"
CONSONANTS = re.compile(f"[^{VOWELS}]+")
# Consonants that can begin and end a word. A short word that begins or ends with others is an acronym.
ONSETS = frozenset({
    "BL", "BR", "CH", "CHL", "CHR", "CL", "CN", "CR", "DH", "DJ", "DR", "FL", "FR", "GH", "GL", "GN",
    "GR", "KH", "KL", "KN", "KR", "LL", "MB", "MC", "ND", "NG", "NK", "PH", "PHR", "PL", "PN", "PR", "PS",
    "RH", "SC", "SCH", "SCR", "SH", "SK", "SL", "SM", "SN", "SP", "SPH", "SPL", "SPR", "SQ", "ST", "STR",
    "SV", "SW", "TCH", "TH", "THR", "TR", "TS", "TW", "VL", "VR", "WH", "WR", "ZH",
})  # fmt: skip
CODAS = frozenset({
    "CH", "CHS", "CK", "CKS", "CS", "CT", "DS", "FF", "FT", "GH", "GHT", "GS", "GT", "HN", "HR", "KS",
    "LB", "LC", "LD", "LF", "LK", "LL", "LLS", "LM", "LP", "LS", "LT", "LTZ", "MB", "MM", "MP", "MPS",
    "MS", "NC", "ND", "NDS", "NG", "NGS", "NK", "NKS", "NN", "NQ", "NS", "NT", "NTS", "NX", "PH", "PS", "RB",
    "RC", "RD", "RDS", "RF", "RG", "RK", "RL", "RM", "RN", "RP", "RR", "RS", "RT", "RTS", "SCH", "SH",
    "PT", "SK", "SM", "SS", "ST", "TCH", "TH", "THS", "TS", "TT", "TZ", "WN", "WS", "ZZ",
}) | set("BCDFGKLMNPQRSTVWXZ")  # fmt: skip


def spell_out(letters: str) -> str:
    """Say the names of the letters, one by one: "TVA" is "té vé a"."""
    return " ".join(LETTERS.get(letter, letter.lower()) for letter in letters.upper().translate(UNACCENTED))


def is_spelled(word: str) -> bool:
    """Return whether a word in capitals is spelled: no French word looks like it."""
    clusters = CONSONANTS.findall(word)
    if word in SPELLED or clusters == [word]:
        return True
    if len(word) == 2:
        return word not in SHORT_WORDS
    if len(word) > 4:
        return False
    first = clusters[0] if clusters and word.startswith(clusters[0]) else ""
    last = clusters[-1] if clusters and word.endswith(clusters[-1]) else ""
    return (len(first) > 1 and first not in ONSETS) or (last != "" and last not in CODAS)


def spell_acronyms(text: str) -> str:
    """Spell dotted initials, and words in capitals that cannot be pronounced in French."""
    if not TWO_CAPITALS.search(text):
        return text
    text = DOTTED.sub(_spell_dotted, text)
    return CAPITALS.sub(lambda m: spell_out(m[0]) if is_spelled(m[0]) else m[0], text)


def lower_capitals(text: str) -> str:
    """Write capitals in lower case: "PAUL DUPONT" is a name and keeps its initials, a longer run is a sentence."""
    return RUN.sub(_lower_run, text) if TWO_CAPITALS.search(text) else text


def _spell_dotted(match: re.Match[str]) -> str:
    ends = match.end() == len(match.string)
    return spell_out(match[0].replace(".", "")) + "." * ends


def _lower_run(match: re.Match[str]) -> str:
    run = match[0]
    words = PART.findall(run)
    if max(map(len, words)) == 1:
        return run
    if run.count(" ") > 1:
        return run[0] + run[1:].lower()
    return PART.sub(lambda m: m[0].lower() if m.start() and run[m.start() - 1] == "'" else m[0].capitalize(), run)

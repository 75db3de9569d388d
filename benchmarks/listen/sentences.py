"""Announcements with a number and a name that can be said wrongly."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CHOICE = re.compile(r"[{<]([^|]+)\|([^}>]+)[}>]")

# {a number|another one}, <a name|another one>
_WRITTEN = """
<Pablo|Sylvain> élimine Marcel à la table {sept|douze}.
La table {quatre|neuf} attend <Rusmir|Bernard>.
Les blindes passent à {deux cents|six cents}, annonce <Sophie|Karim>.
<Anatole|Julien> remporte la main avec une paire de {huit|dames}.
Il reste {vingt-trois|quarante-deux} joueurs, dont <Nadia|Thomas>.
<Julien|Mehdi> change de siège, place {six|deux}.
<Camille|Laurent> double contre Hugo, table {trois|onze}.
Pause de {quinze|trente} minutes, signé <Olivier|Nathalie>.
<Thierry|Isabelle> gagne {cinq mille|neuf mille} jetons.
Bravo à <Léa|Victor>, qui finit à la {dixième|sixième} place.
La finale commence à {vingt|seize} heures, rappelle <Denis|Claire>.
<Quentin|Amélie> mise {huit cents|deux cents} au bouton.
Siège {un|neuf} ouvert à la table de <Karim|Pierre>.
<Hélène|Antoine> est attendue à la table {cinq|treize}.
Le tapis de <Romain|Chloé> vaut {douze mille|trente mille}.
<Sabrina|Fabien> sort à la {vingtième|huitième} place.
Niveau {neuf|quatre}, et <Yann|Lucie> mène toujours.
<Adrien|Maria> relance à {quatre cents|mille}.
Encore {trois|huit} places pour le tournoi de <Gilles|Emma>.
Le prix de <Céline|Patrick> est de {six cents|neuf cents} euros.
<Bruno|Alice> perd avec un full aux {rois|valets}, place {quatre|sept}.
Merci à <Michel|Sandrine>, croupier de la table {deux|quinze}.
<Xavier|Julie> paie {mille|trois mille} et gagne.
La table {onze|seize} est fermée, suivez <Arnaud|Zoé>.
<Dominique|Samuel> reçoit {dix|quarante} jetons de plus.
Le dîner est servi à {dix-neuf|vingt et une} heures chez <Ludovic|Marine>.
<Stéphane|Caroline> a posé tapis pour {sept mille|deux mille}.
Dernier appel pour <Frédéric|Aurélie>, table {six|quatorze}.
<Charlotte|Régis> est chip leader avec {cent mille|vingt mille}.
Reprise dans {cinq|douze} minutes, <Maxime|Sarah> vous attend.
<Gérard|Élodie> abandonne la main à {trois cents|sept cents}.
Il manque {deux|quatre} joueurs à la table de <Didier|Anna>.
<Philippe|Laura> bat Rusmir avec {deux|trois} paires.
Le niveau {douze|vingt} commence, prévient <Pascal|Valérie>.
<Mickaël|Françoise> s'installe au siège {huit|trois}.
Il y a {quarante|soixante} inscrits, dit <Vincent|Sylvie>.
<Benoît|Amandine> gagne le tournoi numéro {trois|dix}.
L'ante monte à {cinquante|vingt-cinq}, précise <Éric|Jennifer>.
<Rémi|Virginie> retrouve {quinze mille|quatre mille} jetons.
Félicitations à <Patrice|Stéphanie>, {deuxième|cinquième} du tournoi.
<Raphaël|Christine> demande l'arbitre, table {neuf|dix-huit}.
La bulle éclate : <Alain|Hugo> sort {trentième|douzième}.
<Nicolas|Alexandre> joue la main {sept|cent}.
Le bar ferme dans {vingt|dix} minutes, merci <Régis|Paul>.
<Clément|Jérôme> montre une quinte au {dix|valet}, table {une|huit}.
Place {trois|cinq} pour <Lionel|Cédric>, bienvenue.
<Daniel|Franck> prend {quatre mille|huit mille} à Sophie.
Il reste {neuf|sept} minutes à <Mathieu|Louis>.
<Robert|Tristan> tombe face aux {as|dix} de Marie.
La table {huit|deux} casse, <Georges|Ivan> change de place.
<Marco|Bastien> suit pour {deux mille|six mille}.
Rendez-vous à {quatorze|dix-sept} heures avec <Serge|Jacques>.
<Florian|Gabriel> passe à {trente mille|dix mille} points.
Table {treize|six}, <Jonathan|Richard> est absent.
<Arthur|Axel> prend la tête avec {soixante|quinze} blindes.
Une pénalité de {dix|cinq} minutes pour <Kevin|Adam>.
<Luc|Jules> gagne sa place pour {cent|mille} euros.
Le siège {sept|quatre} revient à <Marine|William>.
<Fabrice|Ahmed> tente sa chance à la table {quinze|deux}.
Le jour {deux|trois} commence avec <Christophe|Françoise>.
<Aurélien|Wei> partage le pot de {neuf cents|trois cents}.
On compte {huit|treize} éliminés, dont <David|Jean>.
""".strip()


@dataclass(frozen=True, slots=True)
class Sentence:
    """An announcement, and what might be said in its place."""

    text: str
    wrong_number: str
    wrong_name: str

    def without(self, place: float) -> str:
        """Return the text without the word at a place: 0 for the first, 1 for the last."""
        words = self.text.split()
        # A mark alone, or a word too short to be missed, is not what is left out.
        sayable = [n for n, word in enumerate(words) if len(word.strip(".,:")) > 2] or [0]
        gone = sayable[round(place * (len(sayable) - 1))]
        return " ".join(word for n, word in enumerate(words) if n != gone)


def _read(line: str) -> Sentence:
    def choose(number: int, name: int) -> str:
        return _CHOICE.sub(lambda match: match[number if match[0][0] == "{" else name], line)

    return Sentence(choose(1, 1), choose(2, 1), choose(1, 2))


SENTENCES = tuple(map(_read, _WRITTEN.splitlines()))

"""The French sentences of an examination: what an announcer says, and what a voice stumbles over."""

SENTENCES = (
    "Mesdames et messieurs, bonsoir et bienvenue à la finale du tournoi.",
    "Les blindes passent à 2 000 et 4 000, avec un ante de 4 000.",
    "Rusmir vient d'éliminer Pablo avec une paire d'as !",
    "Attention : la pause se termine dans cinq minutes.",
    "Siège ouvert, table 12, place 7.",
    "Il reste 27 joueurs, et la moyenne est de 185 000 jetons.",
    "Qui a oublié une veste grise près du bar ?",
    "Monsieur Lefèvre est attendu à l'accueil, merci.",
    "À tapis et payé à la table 3 !",
    "Félicitations à Nadia, qui remporte ce soir 8 450 euros.",
)

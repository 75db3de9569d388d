// What is wrong with a phrase book, in French. Monica says it in English: the file, the line, the key, and the fault.

const PLACE = /^(?:[^,:]+), line (\d+)(?:, column \d+)?(?:, ((?:'[^']*'|[^:'])+))?: (.*)$/s;

const FAULTS = [
  [/^there is no roster (.*); known: (.*)$/, "il n’y a pas de liste $1 ; il y a : $2"],
  [/^(\{.*\}) has no roster: add (.*) to the phrase$/, "$1 n’a pas de liste : ajoutez $2 à la phrase"],
  [/^no text has (\{.*\}) in it$/, "aucun texte ne contient $1"],
  [/^must be the name of a roster, in quotes$/, "il faut le nom d’une liste, entre guillemets"],
  [/^(.*) has a meaning of its own; a placeholder needs another name$/, "$1 a déjà un sens : il faut un autre nom"],
  [/^a name has letters, digits, _ and -, (\d+) at most$/, "un nom a des lettres, des chiffres, _ et -, $1 au plus"],
  [/^takes (\d+) different values of roster (.*), which has (\d+)$/,
    "demande $1 valeurs différentes de la liste $2, qui en a $3"],
  [/^a phrase has (\d+) placeholders at most$/, "une phrase a $1 trous au plus"],
  [/^roster (.*) holds plain values, not records: write (.*)$/, "la liste $1 contient des valeurs simples : écrivez $2"],
  [/^roster (.*) has no field (.*): write (.*)$/, "la liste $1 n’a pas de champ $2 : écrivez $3"],
  [/^roster (.*) holds records: write (.*)$/, "la liste $1 contient des fiches : écrivez $2"],
  [/^there is no text$/, "il n’y a pas de texte"],
  [/^must be a text, in quotes, or a list of texts$/, "il faut un texte, entre guillemets, ou une liste de textes"],
  [/^must be a text, in quotes$/, "il faut un texte, entre guillemets"],
  [/^there is nothing to say$/, "il n’y a rien à dire"],
  [/^a ([{}]) stands alone; for a literal brace, write (.*)$/, "une accolade $1 est seule ; pour la dire, écrivez $2"],
  [/^braces hold the name of a placeholder, .*$/, "entre accolades, il faut un nom, {tueur}, ou un champ, {niveau.petite}"],
  [/^must be a name in quotes, at most (\d+) characters$/, "il faut un nom entre guillemets, de $1 caractères au plus"],
  [/^must be the name of a voice, in quotes$/, "il faut le nom d’une voix, entre guillemets"],
  [/^must be a whole number, (.*) to (.*)$/, "il faut un nombre entier, de $1 à $2"],
  [/^must be a number, (.*) to (.*)$/, "il faut un nombre, de $1 à $2"],
  [/^a phrase may come to (\d+) characters, at most (\d+)$/, "une phrase peut atteindre $1 caractères, sur $2 au plus"],
  [/^a roster is a list with at least one value$/, "une liste a au moins une valeur"],
  [/^(.*) is there twice$/, "$1 y est deux fois"],
  [/^a value is text with something to say in it, or a number$/, "une valeur est un texte qui se dit, ou un nombre"],
  [/^a record has at least one field$/, "une fiche a au moins un champ"],
  [/^all values of a roster are plain, or all are records.*$/, "dans une liste, tout est valeur simple, ou tout est fiche"],
  [/^must be a table.*$/, "il faut une table"],
  [/^a book has rosters and phrases.*$/, "un répertoire a des listes (rosters) et des phrases (phrases)"],
  [/^there are none.*$/, "il n’y en a pas"],
  [/^each block begins with \[\[phrases\]\].*$/, "chaque bloc commence par [[phrases]]"],
  [/^a key of too many parts$/, "une clé a trop de parties"],
  [/^a number of too many digits$/, "un nombre a trop de chiffres"],
  [/^not UTF-8 text$/, "ce n’est pas du texte en UTF-8"],
];
const WHOLE = [
  [/: nested too deeply$/, "trop de niveaux imbriqués"],
  [/: more than (\d+) bytes$/, "plus de $1 octets"],
];

/** Says in French what Monica says of a book. Whatever else she finds is about how TOML is written. */
export function bookFault(message) {
  for (const [pattern, french] of WHOLE) {
    const found = message.match(pattern);
    if (found) return found[0].replace(pattern, french);
  }
  const [, line, key, detail] = message.match(PLACE) ?? [];
  if (!line) return message;
  const known = FAULTS.find(([pattern]) => pattern.test(detail));
  const said = known ? detail.replace(...known) : `ce n’est pas du TOML (${detail})`;
  return `ligne ${line}${key ? `, ${key}` : ""} : ${said}`;
}

// What went wrong, in French: a sentence for each code. Nothing here knows of the page.

import { bookFault } from "./faults.mjs";

export const SENTENCES = {
  announcement_not_waiting: "Cette annonce n’attend plus : elle est à l’antenne, ou terminée.",
  announcement_unknown: "Cette annonce n’existe plus.",
  body_too_large: "C’est trop long pour Monica.",
  book_invalid: "Le répertoire contient une faute",
  bundle_foreign: "Ces phrases viennent d’une autre voix ou d’une autre machine.",
  bundle_invalid: "Ce paquet de phrases est abîmé.",
  cache_full: "Le cache est trop petit pour toutes les phrases de ce répertoire.",
  cache_unusable: "Le disque ne répond plus : rien ne peut être gardé.",
  chime_unknown: "Ce carillon n’existe pas, ou son fichier est illisible.",
  clock_off: "L’horloge n’a pas de niveaux : donnez-lui un répertoire.",
  deadline_exceeded: "Monica n’a pas eu le temps de préparer cette phrase.",
  encoding_invalid: "Les données sont arrivées abîmées.",
  encoding_unsupported: "Monica ne sait pas lire ces données.",
  entry_unknown: "Cette phrase n’est plus gardée.",
  expired: "Le moment est passé avant qu’elle ne puisse être dite.",
  forbidden: "Cette page n’en a pas le droit : rechargez-la.",
  internal: "Monica a rencontré une erreur ; son journal dit laquelle.",
  job_unknown: "Cette préparation n’existe plus.",
  jobs_full: "Trop de préparations attendent déjà.",
  json_invalid: "Monica n’a pas compris la demande",
  lexicon_changed: "Quelqu’un d’autre vient de changer le lexique : recommencez.",
  lexicon_invalid: "Le lexique refuse cette entrée",
  lexicon_missing: "Aucun lexique n’est réglé sur cette machine.",
  lexicon_unusable: "Le fichier du lexique ne peut être ni lu ni écrit.",
  listening_failed: "La prise n’a pas pu être réécoutée.",
  listening_unavailable: "Monica n’a pas de quoi réécouter ses phrases sur cette machine.",
  method_not_allowed: "Cette version de Monica ne sait pas faire cela.",
  model_failed: "La voix ne peut pas être chargée ; Monica réessaie.",
  model_loading: "La voix se charge encore : un instant.",
  model_unknown: "Ce modèle n’existe pas.",
  no_room: "Il n’y a plus de place pour ces phrases.",
  not_acceptable: "Monica ne connaît pas ce format.",
  not_found: "Cette version de Monica ne connaît pas cela.",
  not_heard: "Le haut-parleur n’a pas confirmé que la salle l’a entendue.",
  not_kept: "Elle a été faite, mais n’a pas pu être gardée.",
  nothing_to_replay: "Rien n’a encore été dit.",
  overloaded: "Monica a trop à faire : réessayez dans un instant.",
  pins_full: "Trop de phrases sont épinglées.",
  queue_full: "La file est pleine : mille annonces attendent déjà.",
  range_unsatisfiable: "Ce son est plus court que prévu.",
  recording_invalid: "Aucune voix ne peut être tirée de cet enregistrement.",
  remake_impossible: "Cette phrase ne peut pas être refaite autrement.",
  request_invalid: "La demande n’est pas valable",
  request_timeout: "La demande a mis trop de temps à arriver.",
  shutting_down: "Monica est en train de s’arrêter.",
  speaker_failed: "Le haut-parleur n’a pas pu la jouer.",
  synthesis_failed: "La voix a échoué sur cette phrase.",
  take_suspect: "Le son a un défaut : il n’a pas été gardé.",
  take_unintelligible: "La prise ne se comprend pas : elle n’a pas été gardée.",
  take_unknown: "Cette prise n’existe plus.",
  text_empty: "Il n’y a rien à dire dans ce texte.",
  text_too_long: "Ce texte est trop long.",
  unauthorized: "La session a expiré : rechargez la page.",
  voice_exists: "Une voix porte déjà ce nom.",
  voice_unknown: "Cette voix n’existe pas.",
  voices_unusable: "Le dossier des voix ne peut être ni lu ni écrit.",
  words_unknown: "Cette phrase n’a pas été réécoutée : on ne sait pas quand chaque mot est dit.",
};

/** Returns the sentence of a code. One that ends without a full stop needs the details, which are Monica's own words. */
export function sentenceOf(code, message) {
  const sentence = SENTENCES[code];
  if (!sentence) return message || "Monica a répondu par une erreur inconnue.";
  if (sentence.endsWith(".")) return sentence;
  return message ? `${sentence} : ${code === "book_invalid" ? bookFault(message) : message}` : `${sentence}.`;
}

"""The page of the ear test, in French for those who listen. One file that loads nothing and sends nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --line: #8886; --strong: #0b6b52; }
body { font: 17px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem 1rem 7rem; }
h1 { font-size: 1.6rem; margin: 1rem 0 .5rem; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
.sound { display: grid; grid-template-columns: 2.5rem 15rem 1fr; gap: .4rem 1rem; align-items: center;
  border-top: 1px solid var(--line); padding: .6rem 0; }
.letter { font-size: 1.4rem; font-weight: 700; }
audio { width: 15rem; height: 2.4rem; }
.marks { display: flex; flex-wrap: wrap; gap: .2rem 1.6rem; }
fieldset { border: 0; padding: 0; margin: 0; display: flex; align-items: center; gap: .2rem; }
legend { float: left; min-width: 4.6rem; padding: 0; }
fieldset label { padding: .15rem .35rem; }
.bar { position: fixed; left: 0; right: 0; bottom: 0; background: Canvas; border-top: 2px solid var(--strong);
  padding: .7rem 1rem; display: flex; justify-content: center; gap: 1.2rem; align-items: center; flex-wrap: wrap; }
button { font: inherit; font-weight: 600; padding: .5rem 1.2rem; border: 0; border-radius: .4rem;
  background: var(--strong); color: #fff; cursor: pointer; }
button:focus-visible, input:focus-visible { outline: 3px solid Highlight; outline-offset: 2px; }
@media (max-width: 44rem) { .sound { grid-template-columns: 2rem 1fr; } .marks { grid-column: 1 / -1; } }
"""
SCRIPT = """
"use strict";
const form = document.getElementById("sheet");
const key = "monica-listening-" + form.dataset.page;
const remembered = () => { try { return JSON.parse(localStorage.getItem(key)) || {}; } catch { return {}; } };
function read() {
  const scores = {};
  for (const sound of document.querySelectorAll(".sound")) {
    const given = {};
    for (const input of sound.querySelectorAll("input:checked"))
      given[input.dataset.score] = input.type === "checkbox" ? true : Number(input.value);
    if (Object.keys(given).length) scores[sound.id] = given;
  }
  return scores;
}
function count() {
  const all = document.querySelectorAll(".sound").length;
  const done = Object.values(read()).filter(given => given.natural && given.voice).length;
  document.getElementById("count").textContent = "Sons notés : " + done + " sur " + all;
}
for (const [id, given] of Object.entries(remembered()))
  for (const [score, value] of Object.entries(given)) {
    const selector = '[data-score="' + score + '"]' + (value === true ? "" : '[value="' + value + '"]');
    const input = document.getElementById(id)?.querySelector(selector);
    if (input) input.checked = true;
  }
form.addEventListener("change", () => {
  try { localStorage.setItem(key, JSON.stringify(read())); } catch { /* a private window: nothing is remembered */ }
  count();
});
document.addEventListener("play", event => {
  for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
}, true);
document.getElementById("save").addEventListener("click", () => {
  const text = JSON.stringify({ format: form.dataset.format, scores: read() }, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "notes-monica.json";
  document.body.append(link);
  link.click();
  link.remove();
});
count();
"""
MARKS = (("natural", "Naturel"), ("voice", "Voix"))


def render_page(sentences: Sequence[tuple[str, Sequence[tuple[str, bytes]]]], format: str) -> str:
    """Return the page. sentences: the text of each, with the name (its number and a letter) and WAV of each sound.

    format: the name of the format that the scores are saved in.
    """
    body = "".join(_sentence(number, text, sounds) for number, (text, sounds) in enumerate(sentences, 1))
    # Another examination's page must not show this one's scores.
    page_id = hashlib.sha256(b"".join(wav for _, sounds in sentences for _, wav in sounds)).hexdigest()[:16]
    policy = (
        f"default-src 'none'; media-src data:; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return f"""<!doctype html>
<html lang="fr">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Monica : test d'écoute</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Monica : test d'écoute à l'aveugle</h1>
<p>Chaque phrase est dite de plusieurs façons, dans un ordre tiré au sort. Écoutez-les au casque ou sur la sonorisation
de la salle, autant de fois que vous voulez, puis notez chacune de 1 (mauvais) à 5 (excellent) :</p>
<ul>
<li><b>Naturel</b> : dirait-on une personne qui parle ?</li>
<li><b>Voix</b> : est-ce bien la voix de Monica, du début à la fin ?</li>
<li><b>Défaut</b> : cochez s'il manque un mot, s'il y a un bruit, une coupure, un mot mal dit.</li>
</ul>
<p>Rien n'est envoyé. « Enregistrer les notes » crée un petit fichier, sans nom et sans son, à joindre au rapport. Vos
notes restent dans ce navigateur si vous fermez la page avant d'avoir fini.</p>
<form id="sheet" data-format="{escape(format)}" data-page="{page_id}">
{body}</form>
<div class="bar"><span id="count" role="status"></span>
<button type="button" id="save">Enregistrer les notes</button></div>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _sentence(number: int, text: str, sounds: Sequence[tuple[str, bytes]]) -> str:
    return f"<h2>{number}. {escape(text)}</h2>\n" + "".join(_sound(name, wav) for name, wav in sounds)


def _sound(name: str, wav: bytes) -> str:
    data = base64.b64encode(wav).decode()
    marks = "".join(_scale(name, score, title) for score, title in MARKS)
    return f"""<div class="sound" id="{name}"><span class="letter">{name[-1]}</span>
<audio controls preload="none" aria-label="Son {name}" src="data:audio/wav;base64,{data}"></audio>
<div class="marks">{marks}<label><input type="checkbox" data-score="defect"> Défaut</label></div></div>
"""


def _scale(name: str, score: str, title: str) -> str:
    points = "".join(
        f'<label><input type="radio" name="{name}-{score}" data-score="{score}" value="{value}"> {value}</label>'
        for value in range(1, 6)
    )
    return f"<fieldset><legend>{title}</legend>{points}</fieldset>"


def _hash(content: str) -> str:
    """Return a content's source in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"

"""The call the backend makes: Node's fetch, with JSON in and an ArrayBuffer out."""

from __future__ import annotations

import json
import subprocess

from tests.support.server import Server
from tests.support.system import program

SCRIPT = """
const [url] = process.argv.slice(1);
const say = (text) => fetch(`${url}/blabla`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ text }),
});
const found = [];
for (const text of ["Pablo vient de se faire éliminer par Rusmir!", "Pablo vient de se faire éliminer par Rusmir!"]) {
  const answer = await say(text);
  const sound = Buffer.from(await answer.arrayBuffer());
  found.push({
    status: answer.status,
    type: answer.headers.get("content-type"),
    length: Number(answer.headers.get("content-length")) === sound.length,
    riff: sound.toString("latin1", 0, 4),
    seconds: parseFloat(answer.headers.get("x-audio-duration")),
  });
}
const refused = await say("");
found.push({ status: refused.status, code: (await refused.json()).error.code });
const many = await Promise.all([...Array(16).keys()].map((n) => say(`Joueur numéro ${n}`)));
await Promise.all(many.map((answer) => answer.arrayBuffer()));
found.push({ ok: many.every((answer) => answer.ok) });
console.log(JSON.stringify(found));
"""


def test_fetch_of_node(server: Server) -> None:
    node = program("node")
    done = subprocess.run(
        [node, "--input-type=module", "-e", SCRIPT, server.url], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    first, second, refused, many = json.loads(done.stdout)
    assert first == second
    assert first.pop("seconds") > 1
    assert first == {"status": 200, "type": "audio/wav", "length": True, "riff": "RIFF"}
    assert refused == {"status": 400, "code": "text_empty"}
    assert many == {"ok": True}

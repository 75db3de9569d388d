// Have Monica speak a sentence into a file. Node 18 or newer; no package is needed.
//
//   node examples/client.mjs "Rusmir mise tapis." tapis.wav [http://localhost:8080]
//
// MONICA_API_KEY is sent if it is set. The exit code is 1 if there is no sound.
import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const DEADLINE_MS = 10_000; // after that the announcement is of no use; Monica then stops working on it
const ATTEMPTS = 3;
const LONGEST_PAUSE_S = 5;

/** Return the WAV of a text. Throws an Error with Monica's reason, or fetch's own if she cannot be reached. */
export async function speak(text, url) {
  const headers = { "Content-Type": "application/json", "X-Deadline-Ms": String(DEADLINE_MS) };
  if (process.env.MONICA_API_KEY) headers.Authorization = `Bearer ${process.env.MONICA_API_KEY}`;
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(`${url}/blabla`, {
      method: "POST",
      headers,
      body: JSON.stringify({ text }),
      // A little longer than the deadline, so that the error is Monica's, which says more.
      signal: AbortSignal.timeout(DEADLINE_MS + 2000),
    });
    if (answer.ok) return Buffer.from(await answer.arrayBuffer());
    const { error } = await answer.json(); // always {"error": {"code", "message", "param"}}
    // Only a 503 is worth another try. It says when; everything else would end the same way.
    if (answer.status !== 503 || attempt === ATTEMPTS) throw new Error(`${error.code}: ${error.message}`);
    await sleep(1000 * Math.min(Number(answer.headers.get("Retry-After") ?? 1), LONGEST_PAUSE_S));
  }
}

const [text, path, url = "http://localhost:8080"] = process.argv.slice(2);
try {
  const sound = await speak(text, url);
  await writeFile(path, sound);
  console.log(`${path}: ${sound.length} bytes`);
} catch (error) {
  console.error(`no sound: ${error.message}`);
  process.exitCode = 1;
}

// The connection to Monica: events in, requests out.

import { sentenceOf } from "./errors.mjs";
import { nothing, reduce } from "./store.mjs";

const KINDS = ["state", "announcement", "antenna", "speakers", "clock", "health", "job"];
const csrf = document.querySelector("meta[name=csrf]")?.content ?? "";

const root = document.querySelector("meta[name=root]")?.content ?? "";

/** The address of a path of Monica's, who may be mounted under a path of another site. */
export const at = (path) => root + path;

/** Something Monica refused, in words for people. */
export class Refused extends Error {
  constructor(status, error) {
    super(status === 401 || status === 403 ? "La session a expiré : rechargez la page." : sentenceOf(error?.code, error?.message));
    this.status = status;
    this.code = error?.code ?? "unknown";
  }
}

/** Sends a request, and returns the response. headers: more of them. Throws Refused. */
export async function send(method, path, body, headers = {}) {
  let response;
  try {
    response = await fetch(at(path), {
      method,
      headers: { "X-CSRF-Token": csrf, ...headers, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused(0, { message: "Monica ne répond pas : rien n’a été envoyé." });
  }
  if (!response.ok) throw new Refused(response.status, (await response.json().catch(() => null))?.error);
  return response;
}

/** Follows the antenna. changed(state, kind, data) is called after every event. Returns a function that gives the state. */
export function follow(path, changed) {
  let state = nothing;
  const apply = (kind, data) => {
    state = reduce(state, kind, data, performance.now());
    changed(state, kind, data);
  };
  let source;
  const connect = () => {
    source = new EventSource(at(path));
    for (const kind of [...KINDS, "stop"]) source.addEventListener(kind, (event) => apply(kind, JSON.parse(event.data)));
    source.onopen = () => apply("connected", { connected: true });
    source.onerror = () => {
      apply("connected", { connected: false });
      // The browser comes back by itself after a break, but not after an answer that is an error.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
    };
  };
  connect();
  return () => state;
}

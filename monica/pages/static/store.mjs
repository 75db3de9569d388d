// What is known of the antenna: a state, and how each event changes it. Nothing here knows of the page.

export const nothing = Object.freeze({
  connected: false, held: false, onAir: null, endsAt: null, speaker: null, speakers: [], queue: [], history: [],
  clock: Object.freeze({ state: "off" }), levelEndsAt: null, health: null, jobs: [],
});

const RANKS = { urgent: 0, normal: 1, ambient: 2 };
const WAITING = new Set(["queued", "making", "ready"]);
const MAX_HISTORY = 100;

export const waits = (cue) => WAITING.has(cue.state);

const inOrder = (a, b) =>
  RANKS[a.priority] - RANKS[b.priority] || a.position - b.position || a.created - b.created;

function transport(state, data, now) {
  return { ...state, held: data.held, onAir: data.on_air, speaker: data.speaker,
           endsAt: data.left_s === null ? null : now + 1000 * data.left_s };
}

const withClock = (clock, now) => ({ clock, levelEndsAt: clock.left_s === null ? null : now + 1000 * clock.left_s });

/** Returns the state after an event. now: milliseconds of a clock that never goes back. */
export function reduce(state, kind, data, now) {
  switch (kind) {
    case "state":
      return { ...transport(state, data, now), connected: true, speakers: data.speakers,
               queue: [...data.queue].sort(inOrder), history: data.history,
               health: data.health, jobs: data.jobs, ...withClock(data.clock, now) };
    case "antenna":
      return transport(state, data, now);
    case "speakers":
      return { ...state, speakers: data.speakers };
    case "announcement": {
      const queue = state.queue.filter((cue) => cue.id !== data.id);
      const history = state.history.filter((cue) => cue.id !== data.id);
      if (waits(data)) queue.push(data);
      else if (data.state !== "on_air") history.unshift(data);
      return { ...state, queue: queue.sort(inOrder), history: history.slice(0, MAX_HISTORY) };
    }
    case "clock":
      return { ...state, ...withClock(data, now) };
    case "health":
      return { ...state, health: data };
    case "job": {
      const known = state.jobs.some(({ id }) => id === data.id);
      return { ...state, jobs: known ? state.jobs.map((job) => (job.id === data.id ? data : job)) : [data, ...state.jobs] };
    }
    case "connected":
      return { ...state, connected: data.connected };
    default:
      return state;
  }
}

/** What a phrase is doing: "on_air", "making", "waiting", "failed", or when it was last said (seconds since the epoch), or null. */
export function statusOf(state, { key, text }) {
  const says = (cue) => (key ? cue.key === key || cue.sound_key === key : cue.text === text);
  if (state.onAir && says(state.onAir)) return "on_air";
  const waiting = state.queue.filter(says);
  if (waiting.length) return waiting.every((cue) => cue.state === "making") ? "making" : "waiting";
  const last = state.history.find((cue) => says(cue) && ["done", "failed"].includes(cue.state));
  return last?.state === "failed" ? "failed" : last?.ended ?? null;
}

/** How much of what is on air is over: 0 to 1. */
export function progress(state, now) {
  const length = state.onAir?.duration_s;
  if (!length || state.endsAt === null) return 0;
  return Math.min(1, Math.max(0, 1 - (state.endsAt - now) / (1000 * length)));
}

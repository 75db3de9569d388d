// How long a level lasts still. Nothing here knows of the page.

/** How many seconds of the level are left. */
export function leftOf({ clock, levelEndsAt }, now) {
  return clock.state === "running" ? Math.max(0, (levelEndsAt - now) / 1000) : clock.left_s;
}

/** Seconds as a clock shows them: 12:34, 1:02:03. */
export function countdown(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

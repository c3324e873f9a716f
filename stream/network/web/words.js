// What the figures' states and causes are called on the page, and how numbers are written.

export const LEVELS = {
  starting: "wait", running: "ok", lost: "bad", ended: "wait", draining: "wait",
  stalled: "warn", restarting: "warn", failed: "bad", stopped: "wait",
};

export const STATES = {
  starting: "Starting", running: "Running", lost: "Signal lost", ended: "Ended", draining: "Ending",
  stalled: "Stalled", restarting: "Restarting", failed: "Failed", stopped: "Stopped",
};

export const CAUSES = {
  stale: "A newer frame of a live source was there before the line had room for this one.",
  queue_full: "A queue had no room.",
  decode_error: "The frame was damaged.",
  source_reset: "The source was lost or started anew.",
  worker_restart: "A stage was started anew while it held the frame.",
  shutdown: "The run ended before the frame was through.",
};

export const number = (value, digits = 0) =>
  value === null || value === undefined
    ? "–"
    : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  if (hours) return `${hours} h ${minutes} min`;
  return `${minutes} min ${whole % 60} s`;
}

export const total = (counts) => Object.values(counts ?? {}).reduce((sum, count) => sum + count, 0);

// Changes the document only where something differs: a screen reader stays where it was.
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

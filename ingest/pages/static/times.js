// Moments as people read them, as `ingest/pages/times.py` says them.
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

// Seconds that have passed, or, below zero, are to pass.
export function ago(passed) {
  if (Math.abs(passed) < 1) return "just now";
  if (passed < 0) return `in ${lasting(-passed)}`;
  return `${lasting(passed).split(" ").slice(0, 2).join(" ")} ago`;
}

export function left(seconds) {
  return seconds >= 1 ? lasting(seconds) : "any moment now";
}

export function lasting(seconds) {
  let whole = Math.max(Math.floor(seconds), 0);
  const largest = Math.min(UNITS.findIndex(([, size]) => whole >= size) >>> 0, 3);
  const counts = UNITS.slice(largest, largest + 2).map(([unit, size], at) => {
    const count = Math.floor(whole / size);
    whole %= size;
    return count || at === 0 ? `${count} ${unit}` : "";
  });
  return counts.join(" ").trim();
}

// Say anew whatever of a page tells how long ago something was.
export function retell(part, now) {
  for (const one of part.querySelectorAll("time")) put(one, ago((now - Date.parse(one.dateTime)) / 1000));
}

export function put(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

// Keys, and parts that stay true: told that something has changed, the page asks for itself again and takes over what differs.
// Everything works without it.
const SLOW = 15_000; // milliseconds: what nobody tells of, such as a worker's heartbeat
const POLL = 5_000; // while nobody tells anything
const FEW = 10; // new rows that are let in by themselves, where the reader is at the top

const typing = (element) => element.closest("input, textarea, select, [contenteditable]") !== null;
const rowsOf = (part) => [...part.querySelectorAll(".rows tbody tr")];
const named = (part) => [...part.querySelectorAll("tr[data-row]")];

let chosen = -1;
function choose(step) {
  const rows = rowsOf(document);
  if (rows.length === 0) return;
  chosen = Math.min(rows.length - 1, Math.max(0, chosen + step));
  rows.forEach((row, place) => row.classList.toggle("chosen", place === chosen));
  const link = rows[chosen].querySelector("a.open") ?? rows[chosen].querySelector("a");
  link?.focus({ preventScroll: true });
  rows[chosen].scrollIntoView({ block: "nearest" });
}

const KEYS = {
  "/": () => document.getElementById("search")?.focus(),
  j: () => choose(1),
  k: () => choose(-1),
  n: () => document.querySelector(".fresh button")?.click(),
  r: () => document.querySelector("[data-key=r]")?.focus(),
  "?": () => document.getElementById("keys")?.showModal(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

const live = () => document.querySelector("[data-live]");
// Not while somebody selects, presses, or stands in it: what they look at stays where it is.
const busy = (part) => !getSelection().isCollapsed || part.matches(":active") || part.contains(document.activeElement);
const reading = (part) => busy(part) || scrollY > 80 || part.querySelector("tbody:hover") !== null;

function replace(part, fresh) {
  document.querySelector(".fresh")?.remove();
  if (fresh.innerHTML === part.innerHTML) return;
  const places = [...part.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  part.replaceWith(fresh);
  fresh.querySelectorAll(".scroll").forEach((one, place) => (one.scrollLeft = places[place] ?? 0));
}

// Rows that are there change where they stand; new ones come in, or are announced.
function renewList(part, fresh) {
  const known = new Map(named(part).map((row) => [row.dataset.row, row]));
  const found = named(fresh);
  const added = found.filter((row) => !known.has(row.dataset.row));
  if (added.length <= FEW && !reading(part)) return replace(part, fresh);
  for (const row of found) {
    const old = known.get(row.dataset.row);
    if (old && old.innerHTML !== row.innerHTML && !old.contains(document.activeElement)) old.innerHTML = row.innerHTML;
  }
  if (added.length > 0) announce(added.length === found.length ? `${added.length}+ new` : `${added.length} new`, part, fresh);
}

function announce(words, part, fresh) {
  let bar = document.querySelector(".fresh");
  if (!bar) {
    bar = Object.assign(document.createElement("p"), { className: "fresh" });
    bar.setAttribute("role", "status");
    bar.append(Object.assign(document.createElement("button"), { title: "n" }));
    document.getElementById("main").append(bar);
  }
  const button = bar.firstChild;
  if (button.textContent !== words) button.textContent = words;
  button.onclick = () => (replace(part, fresh), scrollTo({ top: 0 }));
}

let looking = false, again = false, looked = Date.now();
async function look() {
  if (document.hidden || !live()) return;
  if (looking) return void (again = true);
  looking = true;
  again = false;
  looked = Date.now();
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" }, redirect: "manual" });
    const page = answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
    const part = live(), fresh = page?.getElementById(part?.id);
    if (part && fresh) {
      if (named(part).length > 0) renewList(part, fresh);
      else if (!busy(part)) replace(part, fresh);
    }
  } catch {
    // The page is left, or the server is away: the next look is soon.
  }
  looking = false;
  if (again) setTimeout(look, 1000);
}

// A hidden page gives its connection back: a browser has six for a host.
let source = null;
function listen() {
  source?.close();
  source = null;
  const part = live();
  if (document.hidden || !part) return;
  source = new EventSource("/console/live" + (part.dataset.live ? `?job=${encodeURIComponent(part.dataset.live)}` : ""));
  source.onopen = look;
  source.addEventListener("change", look);
}
document.addEventListener("visibilitychange", listen);
addEventListener("pagehide", () => source?.close());
setInterval(() => {
  const patience = source?.readyState === EventSource.OPEN ? SLOW : POLL;
  if (Date.now() - looked >= patience) look();
  if (source?.readyState === EventSource.CLOSED || (source && !live())) listen();
}, 1000);
listen();

// Keys, and parts that stay true: told that something has changed, the page asks for itself again and takes over what differs.
// Everything works without it.
import { morph } from "./morph.js";
import { retell } from "./times.js";

const SLOW = 15_000; // milliseconds: what nobody tells of, such as a worker's heartbeat
const POLL = 5_000; // while nobody tells anything
const FEW = 10; // new rows that are let in by themselves, where the reader is at the top

const main = document.getElementById("main");
const skew = Date.parse(main.dataset.now) - Date.now();
const typing = (element) => element.closest("input, textarea, select, [contenteditable]") !== null;
const rowsOf = (part) => [...part.querySelectorAll(".rows tbody tr")];
const named = (part) => [...part.querySelectorAll("tr[data-row]")];

// The row that is stood in is marked by the stylesheet.
function choose(step) {
  const rows = rowsOf(document).filter((row) => row.querySelector("a"));
  if (rows.length === 0) return;
  const at = rows.indexOf(document.activeElement?.closest("tr"));
  const row = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  (row.querySelector("a.open") ?? row.querySelector("a")).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
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
// Not while somebody selects or presses: what they look at stays where it is.
const busy = (part) => !getSelection().isCollapsed || part.matches(":active");
const reading = (part) => scrollY > 80 || part.contains(document.activeElement) || part.querySelector("tbody:hover") !== null;

// Rows that are there change where they stand; new ones come in, or are announced.
function renew(page) {
  const part = live(), fresh = page.getElementById(part?.id);
  if (!part || !fresh || busy(part)) return;
  const known = new Map(named(part).map((row) => [row.dataset.row, row]));
  const found = named(fresh);
  const added = found.filter((row) => !known.has(row.dataset.row));
  if (known.size === 0 || (added.length <= FEW && !reading(part))) return take(part, fresh);
  for (const row of found) if (known.has(row.dataset.row)) morph(known.get(row.dataset.row), row);
  if (added.length > 0) announce(added.length === found.length ? `${added.length}+ new` : `${added.length} new`, part, fresh);
}

function take(part, fresh) {
  document.querySelector(".fresh")?.remove();
  morph(part, fresh);
}

function announce(words, part, fresh) {
  let bar = document.querySelector(".fresh");
  if (!bar) {
    bar = Object.assign(document.createElement("p"), { className: "fresh" });
    bar.setAttribute("role", "status");
    bar.append(Object.assign(document.createElement("button"), { title: "n" }));
    main.append(bar);
  }
  const button = bar.firstChild;
  if (button.textContent !== words) button.textContent = words;
  button.onclick = () => (take(part, fresh), scrollTo({ top: 0 }));
}

// Where a page can't be renewed any more, whoever looks at it is told why, and of when it is.
let renewed = Date.now(), over = false;
function doubt(words) {
  const said = document.querySelector(".stale");
  if (said?.dataset.words === words) return;
  said?.remove();
  if (!words) return;
  const bar = Object.assign(document.createElement("p"), { className: "trouble stale" });
  bar.dataset.words = words;
  bar.setAttribute("role", "alert");
  const link = Object.assign(document.createElement("a"), { href: location.pathname + location.search, textContent: "Load it again" });
  bar.append(`${words}. This is how it stood at ${new Date(renewed).toLocaleTimeString()}. `, link);
  main.append(bar);
}

let looking = false, again = false, looked = Date.now();
async function look() {
  if (document.hidden || !live() || over) return;
  if (looking) return void (again = true);
  looking = true;
  again = false;
  looked = Date.now();
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" }, redirect: "manual" });
    over = answer.type === "opaqueredirect"; // to the door
    if (answer.ok) {
      renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
      renewed = Date.now();
      doubt("");
    } else {
      doubt(over ? "You are signed out" : `The server answers ${answer.status}`);
      if (over) listen();
    }
  } catch {
    if (Date.now() - renewed > 2 * POLL) doubt("The server does not answer");
  }
  looking = false;
  if (again) setTimeout(look, 1000);
}

// A hidden page gives its connection back: a browser has six for a host.
const about = () => live()?.dataset.live;
let source = null, opened = 0, heard;
function listen() {
  source?.close();
  source = null;
  heard = about();
  if (document.hidden || over || heard === undefined) return;
  opened = Date.now();
  source = new EventSource("/console/live" + (heard && `?job=${encodeURIComponent(heard)}`));
  source.onopen = look;
  source.addEventListener("change", look);
}
document.addEventListener("visibilitychange", listen);
addEventListener("pagehide", () => source?.close());
setInterval(() => {
  const patience = source?.readyState === EventSource.OPEN ? SLOW : POLL;
  if (Date.now() - looked >= patience) look();
  const refused = source?.readyState === EventSource.CLOSED && Date.now() - opened >= POLL;
  if (refused || about() !== heard) listen();
}, 1000);
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
setInterval(() => retell(main, Date.now() + skew), 5000);
listen();

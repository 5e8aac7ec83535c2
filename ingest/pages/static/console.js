// Keys, and parts that stay true: the page asks for itself again and takes over what differs. Everything works without it.
const SECONDS = 5;
const typing = (element) => element.closest("input, textarea, select, [contenteditable]") !== null;

let chosen = -1;
function choose(step) {
  const rows = [...document.querySelectorAll(".rows tbody tr")];
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

// Not while somebody selects, or stands in a form of it: what they look at stays where it is.
const busy = (part) => document.hidden || !getSelection().isCollapsed || (part.contains(document.activeElement) && document.activeElement !== document.body);

async function look(part) {
  if (busy(part)) return;
  const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" }, redirect: "manual" });
  const page = answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  const fresh = page?.getElementById(part.id);
  if (!fresh || busy(part) || fresh.innerHTML === part.innerHTML) return;
  const places = [...part.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  part.replaceWith(fresh);
  fresh.querySelectorAll(".scroll").forEach((one, place) => (one.scrollLeft = places[place] ?? 0));
}

// A page that is left, or a server that is away, breaks a look off; the next one is soon.
async function renew() {
  const part = document.querySelector("[data-live]");
  if (!part) return;
  await look(part).catch(() => null);
  setTimeout(renew, SECONDS * 1000);
}
setTimeout(renew, SECONDS * 1000);

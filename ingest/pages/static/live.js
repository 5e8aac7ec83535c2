// Keeps a page true: told by its job's stream, or every few seconds, it asks the server for itself again and takes what differs.
const main = document.getElementById("main");
const note = document.getElementById("live");
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const PAUSE = 500; // milliseconds between two looks, however much happens
const WITHOUT_STREAM = 5; // seconds, where no stream can be had

let skew = Date.parse(main.dataset.now) - Date.now();
let stream = null;
let timer = null;
let wanted = false;
let looking = false;

// -- looking again ------------------------------------------------------------------------------------------------------

async function look() {
  wanted = true;
  if (looking) return;
  looking = true;
  while (wanted) {
    wanted = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), "text/html"));
      else if (answer.status < 500) stop("This page is no longer up to date, and its link no longer works.");
    } catch {
      say("Not connected. Trying again …");
    }
    await new Promise((go) => setTimeout(go, PAUSE));
  }
  looking = false;
}

function take(page) {
  const fresh = page.getElementById("main");
  const lines = document.getElementById("lines");
  const atEnd = lines && lines.scrollTop + lines.clientHeight > lines.scrollHeight - 4;
  skew = Date.parse(fresh.dataset.now) - Date.now();
  document.title = page.title;
  morph(main, fresh);
  if (atEnd) lines.scrollTop = lines.scrollHeight;
  if (!fresh.dataset.stream && !fresh.dataset.every) stop("");
}

function stop(words) {
  wanted = false;
  stream?.close();
  clearInterval(timer);
  timer = null;
  say(words);
}

function say(words) {
  if (note.textContent !== words) note.textContent = words;
}

// Only what differs is touched, so that nothing jumps, and focus, selection and scroll positions stay.
function morph(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const ids = new Set(Array.from(fresh.children, (child) => child.id));
  for (const child of [...old.children]) if (child.id && !ids.has(child.id)) child.remove();
  [...fresh.childNodes].forEach((node, index) => {
    const there = old.childNodes[index];
    if (!there || there.nodeName !== node.nodeName || there.id !== node.id) old.insertBefore(document.importNode(node, true), there ?? null);
    else if (there.isEqualNode(node)) return;
    else if (node.nodeType === Node.ELEMENT_NODE) morph(there, node);
    else there.nodeValue = node.nodeValue;
  });
  while (old.childNodes.length > fresh.childNodes.length) old.lastChild.remove();
}

// -- the stream of a job ------------------------------------------------------------------------------------------------

function follow(url) {
  stream = new EventSource(url);
  stream.addEventListener("open", () => say(""));
  stream.addEventListener("progress", (event) => progressed(JSON.parse(event.data).progress));
  for (const name of ["status", "log", "callback"]) stream.addEventListener(name, look);
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) timer ??= every(WITHOUT_STREAM);
    else say("Not connected. Trying again …");
  });
}

function progressed(told) {
  const bar = document.getElementById("bar");
  if (!bar) return look();
  const counted = told.total === null ? `${told.current}` : `${told.current} of ${told.total}`;
  const words = { done: told.message || counted, percent: told.percent === null ? "" : `${told.percent} %`, item: told.item ?? "", stage: told.stage ?? "" };
  for (const [id, text] of Object.entries(words)) document.getElementById(id).textContent = text;
  if (told.percent === null) bar.removeAttribute("value");
  else bar.setAttribute("value", told.percent);
}

// -- time ---------------------------------------------------------------------------------------------------------------

function every(seconds) {
  return setInterval(() => document.hidden || look(), 1000 * seconds);
}

function tick() {
  const now = Date.now() + skew;
  const seconds = (moment) => (now - Date.parse(moment)) / 1000;
  for (const one of main.querySelectorAll("[data-since]")) put(one, lasting(seconds(one.dataset.since)));
  for (const one of main.querySelectorAll("[data-until]")) put(one, left(-seconds(one.dataset.until)));
  for (const one of main.querySelectorAll("time")) put(one, ago(seconds(one.dateTime)));
}

function put(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function left(seconds) {
  return seconds >= 1 ? lasting(seconds) : "any moment now";
}

function ago(passed) {
  if (Math.abs(passed) < 1) return "just now";
  if (passed < 0) return `in ${lasting(-passed)}`;
  return `${lasting(passed).split(" ").slice(0, 2).join(" ")} ago`;
}

function lasting(seconds) {
  let whole = Math.max(Math.floor(seconds), 0);
  const largest = Math.min(UNITS.findIndex(([, size]) => whole >= size) >>> 0, 3);
  const counts = UNITS.slice(largest, largest + 2).map(([unit, size], at) => {
    const count = Math.floor(whole / size);
    whole %= size;
    return count || at === 0 ? `${count} ${unit}` : "";
  });
  return counts.join(" ").trim();
}

setInterval(tick, 1000);
if (main.dataset.stream) follow(main.dataset.stream);
if (main.dataset.every) timer = every(Number(main.dataset.every));
document.addEventListener("visibilitychange", () => document.hidden || !timer || look());

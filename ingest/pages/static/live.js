// Keeps a page true: told by its job's stream, or every few seconds, it asks the server for itself again and takes what differs.
import { morph } from "./morph.js";
import { lasting, left, put, retell } from "./times.js";

const main = document.getElementById("main");
const note = document.getElementById("live");
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
  retell(main, now);
}

setInterval(tick, 1000);
if (main.dataset.stream) follow(main.dataset.stream);
if (main.dataset.every) timer = every(Number(main.dataset.every));
document.addEventListener("visibilitychange", () => document.hidden || !timer || look());

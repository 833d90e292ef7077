// The live stream of a page: it lights up the picture, refreshes panels, and says when the server does not answer.

import { refresh } from "./swap.js";
import { tick } from "./times.js";
import { append, end, isLive, panels } from "./travel.js";

const SILENCE = 5000; // milliseconds without a sign of life
const PAUSE = 400; // milliseconds between two refreshes
const LOST = "The console does not answer. This page tries again by itself.";

let stream = null;
let seen = "";
let heard = 0;
let pending = 0;
let over = false; // the machine that this page shows has ended, and its key has another one
let refreshed = 0;

export function live() {
  const { live, retry, again: every, panel } = document.body.dataset;
  if (retry !== undefined) return again();
  const look = () => document.hidden || refresh(panel).then((well) => (well ? online(Date.now()) : offline(LOST)));
  if (every) setInterval(look, Number(every));
  if (document.querySelector("[data-soon]")) look();
  if (!live) return;
  const open = () => {
    if (stream || document.hidden || over) return;
    const address = new URL(live, location.href);
    if (seen) { address.searchParams.set("seen", seen); address.searchParams.delete("print"); }
    stream = new EventSource(address);
    heard = Date.now();
    for (const [name, react] of Object.entries(REACTIONS)) stream.addEventListener(name, (event) => {
      if (event.lastEventId) seen = event.lastEventId;
      heard = Date.now();
      react(JSON.parse(event.data));
    });
    stream.onerror = () => offline(LOST);
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  setInterval(() => stream && Date.now() - heard > SILENCE && offline("The console is silent. This page tries again by itself."), 1000);
  open();
}

function close() {
  stream?.close();
  stream = null;
}

const REACTIONS = {
  beat: ({ as_of }) => online(as_of),
  stale: ({ problem }) => offline(`The server does not answer. What you see is old. ${problem}`),
  moved: (moved) => { append(moved); soon(); },
  changed: () => soon(),
  life: ({ at }) => { over = true; end(); close(); news(`A new life of this machine began${at ? ` at ${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC` : ""}. Reload the page to see it.`); },
  gone: () => { end(); news("This machine was deleted. What you see is how it was."); },
  counted: () => refresh(document.body.dataset.panel),
};

/** Refresh the panels soon, but not more often than they can be read: several steps may come at a time. */
function soon() {
  if (pending || !isLive()) return;
  const wait = Math.max(20, PAUSE - (Date.now() - refreshed));
  pending = setTimeout(async () => {
    if (isLive()) await panels();
    refreshed = Date.now();
    pending = 0;
  }, wait);
}

function online(asOf) {
  const pulse = document.getElementById("pulse");
  pulse.className = "pulse live";
  const time = document.createElement("time");
  time.dataset.age = asOf;
  pulse.lastElementChild.replaceChildren("live · ", time);
  tick();
  const banner = document.getElementById("banner");
  if (!banner.classList.contains("news")) banner.hidden = true;
  if (document.body.classList.contains("offline")) {
    document.body.classList.remove("offline");
    document.getElementById("story") ? panels() : refresh(document.body.dataset.panel);
  }
}

function offline(words) {
  const banner = document.getElementById("banner");
  banner.classList.remove("news");
  banner.textContent = words;
  banner.hidden = false;
  document.body.classList.add("offline");
  const pulse = document.getElementById("pulse");
  pulse.className = "pulse off";
  const age = pulse.querySelector("time");
  if (pulse.lastElementChild.firstChild) pulse.lastElementChild.firstChild.textContent = age ? "as of " : "offline";
}

function news(words) {
  const banner = document.getElementById("banner");
  banner.classList.add("news");
  banner.textContent = words;
  banner.hidden = false;
}

/** A page that could not be read loads itself again when the server answers. */
function again() {
  setTimeout(async () => {
    try {
      const answer = await fetch(location.href);
      if (answer.status < 500) return location.reload();
    } catch { /* not yet */ }
    again();
  }, 1500);
}

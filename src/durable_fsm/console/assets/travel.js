// Time travel: walk through the steps of a machine. The picture follows at once; the panels come from the server.

import { refresh } from "./swap.js";
import { drawings } from "./stage.js";

let story = null;
let at = null; // the step that is looked at; null is the present
let waiting = 0;
let painting = 0;
let over = false;
const told = [];

export function travel() {
  const element = document.getElementById("story");
  if (!element) return;
  story = JSON.parse(element.textContent);
  at = document.body.dataset.n ? Number(document.body.dataset.n) : null;
  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const place = event.target.closest?.("[data-do], [data-n]");
    if (!place || place === document.body) return;
    if (place.dataset.n) {
      event.preventDefault();
      go(Number(place.dataset.n));
    } else if (move(place.dataset.do)) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input, textarea, select, [contenteditable]")) return;
    const what = { ArrowLeft: "previous", ArrowRight: "next", Home: "first", End: "last", l: "live" }[event.key];
    if (what && move(what)) event.preventDefault();
    const stage = { f: "fit", o: "follow", "+": "in", "-": "out" }[event.key];
    if (stage) drawings().forEach((one) => one.act(stage));
  });
  reveal();
  document.addEventListener("swapped", () => at !== null && reveal());
  addEventListener("popstate", () => go(Number(new URLSearchParams(location.search).get("n")) || null, false));
}

/** @param {string} what */
function move(what) {
  const steps = story.steps;
  if (what === "live") return go(null), true;
  if (!steps.length || !["first", "previous", "next", "last"].includes(what)) return false;
  const last = steps.length - 1;
  const now = at === null ? last : steps.findIndex((step) => step[0] === at);
  if (what === "next" && at === null) return true;
  const place = { first: 0, previous: Math.max(0, now - 1), next: Math.min(last, now + 1), last }[what];
  go(steps[place][0]);
  return true;
}

/** Look at a step; null is the present. @param {number | null} n */
export function go(n, remember = true) {
  at = n;
  const body = document.body;
  body.classList.toggle("travelling", n !== null);
  if (n === null) delete body.dataset.n;
  else body.dataset.n = n;
  const step = n === null ? story.steps.at(-1) : story.steps.find((one) => one[0] === n);
  if (step) show(step, n === null);
  if (remember) {
    const address = new URL(location.href);
    if (n === null) address.searchParams.delete("n");
    else address.searchParams.set("n", n);
    history.replaceState(null, "", address);
  }
  clearTimeout(waiting);
  waiting = setTimeout(panels, 60);
}

function show([n, when, label, active, taken], isLive) {
  const ids = isLive ? story.active : active.map((place) => story.states[place]);
  for (const one of drawings()) one.light(ids, taken.map((place) => story.keys[place]), isLive ? story.possible : null);
  const last = story.steps.at(-1)[0];
  text("at-step", `Step ${n} of ${last}`);
  text("at-label", `${label} at ${when === null ? "?" : new Date(when).toISOString().slice(11, 19)} UTC · ${isLive ? "live" : "time travel"}`);
  document.getElementById("to-live")?.classList.toggle("off", isLive);
  for (const one of document.querySelectorAll(".track .seg")) {
    one.classList.toggle("past", Number(one.dataset.n) < n);
    one.classList.toggle("now", Number(one.dataset.n) === n);
  }
  for (const row of document.querySelectorAll("#p-history tr[data-n]")) {
    const number = Number(row.dataset.n);
    row.classList.toggle("future", number > n);
    row.classList.toggle("sel", number === n);
  }
  reveal();
}

/** Scroll the history, and nothing else, to the step that is looked at. */
function reveal() {
  const row = document.querySelector("#p-history tr.sel"), place = row?.closest(".scroll");
  if (!place) return;
  const head = place.querySelector("thead").offsetHeight, top = row.offsetTop - head, bottom = row.offsetTop + row.offsetHeight;
  if (top < place.scrollTop) place.scrollTop = top;
  else if (bottom > place.scrollTop + place.clientHeight) place.scrollTop = bottom - place.clientHeight;
}

function text(id, words) {
  const element = document.getElementById(id);
  if (element) element.textContent = words;
}

/** Bring the panels up to date with the step that is looked at. */
export function panels() {
  const address = over ? "" : document.body.dataset.panel;
  return address && refresh(at === null ? address : `${address}&n=${at}`);
}

/** The machine is gone: what is here stays, and there is no more to read of it. */
export function end() {
  over = true;
}

/** A step has just been taken. */
export function append(moved) {
  if (!story) return;
  const place = (name, names) => (names.includes(name) ? names.indexOf(name) : names.push(name) - 1);
  if (!story.steps.length || story.steps.at(-1)[0] < moved.n)
    story.steps.push([moved.n, moved.at, moved.label, moved.active.map((id) => place(id, story.states)), moved.taken.map((key) => place(key, story.keys))]);
  story.active = moved.active;
  if (moved.possible) story.possible = moved.possible;
  told.push(moved);
  painting ||= setTimeout(paint); // one picture for all steps that are here already
}

function paint() {
  painting = 0;
  if (at === null) show(story.steps.at(-1), true);
  for (const moved of told.splice(0)) document.dispatchEvent(new CustomEvent("moved", { detail: moved }));
}

export function isLive() {
  return at === null;
}

// Ages, countdowns and progress, ticking.

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** `1 d 4 h`, `3 min 20 s`, `12 s`. @param {number} ms */
export function words(ms) {
  const whole = Math.floor(Math.max(ms, 0) / 1000);
  for (let place = 0; place < UNITS.length; place++) {
    const [size, unit] = UNITS[place];
    if (whole < size) continue;
    const first = `${Math.floor(whole / size)} ${unit}`;
    const next = UNITS[place + 1];
    const rest = next ? Math.floor((whole % size) / next[0]) : 0;
    return rest ? `${first} ${rest} ${next[1]}` : first;
  }
  return "0 s";
}

/** `12:08` below an hour, words above. @param {number} ms */
function countdown(ms) {
  if (ms <= 0) return "now";
  const seconds = Math.ceil(ms / 1000);
  if (seconds >= 3600) return `in ${words(ms)}`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function tick() {
  const now = Date.now();
  for (const one of document.querySelectorAll("[data-since]")) set(one, words(now - one.dataset.since));
  for (const one of document.querySelectorAll("time[data-until]")) set(one, countdown(one.dataset.until - now));
  for (const one of document.querySelectorAll("progress[data-until]")) one.value = Math.min(one.max, Math.max(0, one.max - (one.dataset.until - now)));
  for (const one of document.querySelectorAll("[data-age]")) {
    const age = now - one.dataset.age;
    set(one, age < 1500 ? "now" : `${words(age)} ago`);
  }
}

export function times() {
  tick();
  setInterval(tick, 1000);
  document.addEventListener("swapped", tick);
}

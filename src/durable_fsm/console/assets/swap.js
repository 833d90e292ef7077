// Put fragments of our own server in the place of elements with the same id. The only place where markup is made of text.

const policy = window.trustedTypes
  ? trustedTypes.createPolicy("fsm", { createHTML: (text) => text })
  : { createHTML: (text) => text };

/** @param {string} text */
export function swap(text) {
  const pieces = document.createElement("template");
  pieces.innerHTML = policy.createHTML(text);
  for (const piece of [...pieces.content.children]) {
    const old = piece.id && document.getElementById(piece.id);
    if (!old) continue;
    const scrolled = [...old.querySelectorAll(".scroll")].map((one) => one.scrollTop);
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    if (focused && focused.closest("[data-keep]")) continue; // somebody is typing there
    const again = focused && (focused.id ? `#${focused.id}` : focused.dataset?.do && `[data-do="${focused.dataset.do}"]`);
    const opened = [...old.querySelectorAll("details[open][id]")].map((one) => one.id);
    old.replaceWith(piece);
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    piece.querySelectorAll(".scroll").forEach((one, place) => (one.scrollTop = scrolled[place] ?? 0));
    if (again) piece.querySelector(again)?.focus({ preventScroll: true });
  }
  document.dispatchEvent(new CustomEvent("swapped"));
}

let latest = 0;

/** Fetch fragments and put them in place; only the latest answer counts. @param {string} address */
export async function refresh(address) {
  const mine = ++latest;
  try {
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    if (!answer.ok) return false;
    const text = await answer.text();
    if (mine === latest) swap(text);
    return true;
  } catch {
    return false; // the banner says so
  }
}

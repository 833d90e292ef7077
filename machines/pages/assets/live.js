// Keeps a page up to date without loading it again. Without JavaScript the page still works; it shows what was when it loaded.
//
//   <div data-live="/orders/o-1/live">     server-sent events from there: pieces of HTML
//   <p id="status">                        a piece with the same id replaces it
//   <li data-into="messages">              a piece without an id is appended to the element with the id `messages`
//   <form data-quietly>                    is posted without leaving the page, then cleared; the answer may be pieces, too

function apply(html) {
  const pieces = document.createElement("template");
  pieces.innerHTML = html;
  for (const piece of [...pieces.content.children]) {
    const old = piece.id && document.getElementById(piece.id);
    if (old) {
      const focused = old.contains(document.activeElement) && document.activeElement.id;
      old.replaceWith(piece);
      if (focused) document.getElementById(focused)?.focus();
    } else if (piece.dataset.into) {
      document.getElementById(piece.dataset.into).append(piece);
      piece.scrollIntoView({ block: "nearest" });
    }
  }
  follow();
}

// Show the innermost active states of a diagram that is taller than its place.
function follow() {
  for (const figure of document.querySelectorAll(".diagram")) {
    const active = [...figure.querySelectorAll(".is-active")].at(-1);
    if (!active) continue;
    const box = active.getBoundingClientRect(), place = figure.getBoundingClientRect();
    figure.scrollTop += box.top + box.height / 2 - place.top - place.height / 2;
    figure.scrollLeft += box.left + box.width / 2 - place.left - place.width / 2;
  }
}

follow();
for (const place of document.querySelectorAll("[data-live]")) {
  const events = new EventSource(place.dataset.live);
  events.onmessage = (event) => apply(event.data);
  events.addEventListener("end", () => events.close());
  addEventListener("pagehide", () => events.close());
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!("quietly" in form.dataset)) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form, event.submitter));
  form.reset();
  const answer = await fetch(form.action, { method: "POST", body });
  apply(await answer.text());
});

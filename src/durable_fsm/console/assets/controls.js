// Buttons that every page may have: theme, copy, rows that lead somewhere.

export function controls() {
  const root = document.documentElement;
  document.getElementById("theme")?.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `theme=${root.dataset.theme};path=${document.body.dataset.root || "/"};max-age=31536000;samesite=strict`;
  });
  const show = () => document.querySelectorAll("[data-copy][hidden], .tools[hidden]").forEach((one) => (one.hidden = false));
  show();
  document.addEventListener("swapped", show);
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const text = button.dataset.copy;
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(text.startsWith("/") ? location.origin + text : text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Cannot copy";
    }
    setTimeout(() => (button.textContent = before), 1500);
  });
  const places = document.getElementById("places");
  const addresses = places && JSON.parse(places.textContent);
  if (addresses) document.querySelector(".stage")?.addEventListener("click", (event) => {
    const part = event.target.closest?.(".fsm-transition, .fsm-state, .badge");
    const address = part && addresses[part.dataset.key ?? part.dataset.state ?? part.dataset.badge];
    const possible = part && (!part.dataset.key || part.classList.contains("is-possible"));
    if (address && possible) location.href = address;
  });
  choosing(document.querySelector("[data-all]"));
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  document.addEventListener("change", (event) => {
    const chosen = event.target.closest?.("select[data-go]");
    if (chosen) location.href = chosen.value;
  });
}

/** Count the machines that are ticked, and tick all of a page. @param {HTMLInputElement | null} all */
function choosing(all) {
  if (!all) return;
  const form = all.closest("form"), boxes = [...form.querySelectorAll('input[name="key"]')], told = form.querySelector("[data-chosen]");
  const before = told.textContent;
  const count = () => {
    const many = boxes.filter((one) => one.checked).length;
    all.checked = many === boxes.length;
    all.indeterminate = many > 0 && !all.checked;
    told.textContent = many ? `${many} chosen` : before;
  };
  all.hidden = false;
  form.addEventListener("change", (event) => {
    if (event.target === all) for (const one of boxes) one.checked = all.checked;
    count();
  });
  addEventListener("pageshow", count);
  count();
}

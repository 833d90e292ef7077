// The diagram: pan, zoom, fit, follow what is active, and a small map.

const SVG = "http://www.w3.org/2000/svg";
const LEAST = 0.2, MOST = 3;

/** @type {Stage[]} */
const all = [];

export function stages() {
  for (const place of document.querySelectorAll(".stage")) {
    if (place.querySelector(".view svg")) all.push(new Stage(place));
  }
  document.addEventListener("swapped", () => all.forEach((one) => one.svg.isConnected || one.again()));
}

/** The diagrams of this page. */
export function drawings() {
  return all;
}

class Stage {
  constructor(place) {
    this.place = place;
    this.view = place.querySelector(".view");
    this.mini = place.querySelector(".mini");
    this.mode = place.dataset.mode || (document.body.classList.contains("machine") ? "follow" : "fit");
    this.take();
    place.classList.add("ready", "dragged");
    new ResizeObserver(() => this.settle()).observe(this.view);
    this.settle();
    requestAnimationFrame(() => requestAnimationFrame(() => place.classList.remove("dragged")));
    this.listen();
  }

  /** Go on with another picture in the same place. */
  again() {
    if (!this.view.querySelector("svg")) return;
    this.place.classList.add("dragged");
    this.take();
    this.settle();
  }

  /** Take the picture that is there now: a fragment may have replaced it. */
  take() {
    this.svg = this.view.querySelector("svg");
    const [, top, width, height] = this.svg.getAttribute("viewBox").split(" ").map(Number);
    this.top = top;
    this.size = { width, height };
    this.map();
  }

  listen() {
    const { view } = this;
    let from = null, moved = false;
    view.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      from = [event.clientX - this.x, event.clientY - this.y];
      moved = false;
    });
    view.addEventListener("pointermove", (event) => {
      if (!from) return;
      const x = event.clientX - from[0], y = event.clientY - from[1];
      if (!moved && Math.hypot(x - this.x, y - this.y) < 4) return;
      if (!moved) view.setPointerCapture(event.pointerId);
      moved = true;
      this.mode = "free";
      this.place.classList.add("dragged");
      this.put(x, y, this.zoom);
    });
    const end = () => { from = null; this.place.classList.remove("dragged"); };
    view.addEventListener("pointerup", end);
    view.addEventListener("pointercancel", end);
    view.addEventListener("click", (event) => moved && event.stopPropagation(), true);
    view.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = view.getBoundingClientRect();
      this.place.classList.add("dragged");
      if (event.ctrlKey || !event.shiftKey) this.scale(Math.exp(-event.deltaY / 500), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    view.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
      if (!step || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.mode = "free";
      this.put(this.x + step[0], this.y + step[1], this.zoom);
    });
    this.place.addEventListener("click", (event) => {
      const what = event.target.closest?.("[data-do]")?.dataset.do;
      if (what) this.act(what);
    });
    this.mini?.addEventListener("click", (event) => {
      const box = this.mini.getBoundingClientRect(), view = this.view.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * this.size.width;
      const y = ((event.clientY - box.top) / box.height) * this.size.height;
      this.mode = "free";
      this.put(view.width / 2 - x * this.zoom, view.height / 2 - y * this.zoom, this.zoom);
    });
  }

  act(what) {
    const box = this.view.getBoundingClientRect();
    this.place.classList.remove("dragged");
    if (what === "fit" || what === "follow") { this.mode = what; this.settle(); }
    if (what === "in") this.scale(1.25, box.width / 2, box.height / 2);
    if (what === "out") this.scale(0.8, box.width / 2, box.height / 2);
  }

  scale(by, x, y) {
    this.mode = "free";
    const zoom = Math.min(MOST, Math.max(LEAST, this.zoom * by));
    this.put(x - ((x - this.x) / this.zoom) * zoom, y - ((y - this.y) / this.zoom) * zoom, zoom);
  }

  settle() {
    const box = this.view.getBoundingClientRect();
    if (!box.width || !box.height) return;
    if (this.mode === "free") this.put(this.x, this.y, this.zoom);
    else if (this.mode === "follow" && this.follow(box)) return;
    else this.fit(box);
  }

  fit(box) {
    const { width, height } = this.size;
    const zoom = Math.min((box.width - 24) / width, (box.height - 24) / height, 1.15);
    this.put((box.width - width * zoom) / 2, (box.height - height * zoom) / 2, zoom);
  }

  /** Show the innermost active states, with what is around them, as large as is readable. */
  follow(box) {
    const lit = [...this.svg.querySelectorAll(".fsm-state.is-active")].filter((one) => !one.matches(".compound, .parallel"));
    const boxes = (lit.length ? lit : [...this.svg.querySelectorAll(".is-active")]).map((one) => this.box(one));
    if (!boxes.length) return false;
    const left = Math.min(...boxes.map((one) => one.x)), right = Math.max(...boxes.map((one) => one.x + one.width));
    const top = Math.min(...boxes.map((one) => one.y)), bottom = Math.max(...boxes.map((one) => one.y + one.height));
    const { width, height } = this.size;
    const whole = Math.min((box.width - 24) / width, (box.height - 24) / height);
    const zoom = Math.max(Math.min(whole, 1.1), Math.min(1, (box.width - 60) / Math.max(right - left + 120, Math.min(width, 620)), (box.height - 60) / (bottom - top + 160)));
    const inside = (at, all, room) => (all * zoom <= room ? (room - all * zoom) / 2 : Math.min(12, Math.max(room - all * zoom - 12, room / 2 - at * zoom)));
    this.put(inside((left + right) / 2, width, box.width), inside((top + bottom) / 2, height, box.height), zoom);
    return true;
  }

  box(element) {
    const shape = element.querySelector(".box, .frame, .hit") || element;
    const found = shape.getBBox(), matrix = shape.getCTM(), base = this.svg.getCTM();
    // Both matrices have the zoom of the page; their quotient is the place within the picture.
    const place = base.inverse().multiply(matrix);
    return { x: found.x + place.e, y: found.y + place.f - this.top, width: found.width, height: found.height };
  }

  put(x, y, zoom) {
    this.x = x; this.y = y; this.zoom = zoom;
    this.svg.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    const box = this.view.getBoundingClientRect(), { width, height } = this.size;
    const window = this.mini?.querySelector(".window");
    if (!window) return;
    const left = Math.max(0, -x / zoom), top = Math.max(0, -y / zoom);
    window.setAttribute("x", left);
    window.setAttribute("y", top);
    window.setAttribute("width", Math.max(0, Math.min(width - left, (box.width - Math.max(x, 0)) / zoom)));
    window.setAttribute("height", Math.max(0, Math.min(height - top, (box.height - Math.max(y, 0)) / zoom)));
    const whole = width * zoom <= box.width + 1 && height * zoom <= box.height + 1;
    this.mini.classList.toggle("on", !whole);
  }

  map() {
    if (!this.mini) return;
    const { width, height } = this.size;
    this.mini.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const shapes = [...this.svg.querySelectorAll(".fsm-state")].map((state) => {
      const shape = document.createElementNS(SVG, "rect");
      for (const [name, value] of Object.entries(this.box(state))) shape.setAttribute(name, value);
      shape.setAttribute("rx", 12);
      shape.dataset.of = state.dataset.state;
      shape.setAttribute("class", state.matches(".compound, .parallel") ? "in" : "leaf");
      return shape;
    });
    const window = document.createElementNS(SVG, "rect");
    window.setAttribute("class", "window");
    this.mini.replaceChildren(...shapes, window);
    this.mark();
  }

  mark() {
    const lit = new Set([...this.svg.querySelectorAll(".fsm-state.is-active")].map((one) => one.dataset.state));
    for (const shape of this.mini?.querySelectorAll(".leaf") ?? []) shape.classList.toggle("lit", lit.has(shape.dataset.of));
  }

  /** Light the picture up: where the machine is, what it took, what it may take. */
  light(active, taken, possible) {
    const states = new Set(active), keys = new Set(taken), may = possible && new Set(possible);
    for (const one of this.svg.querySelectorAll(".fsm-state")) one.classList.toggle("is-active", states.has(one.dataset.state));
    for (const one of this.svg.querySelectorAll(".fsm-transition")) {
      const own = one.dataset.key.split(" ");
      const took = own.some((key) => keys.has(key));
      one.classList.toggle("is-taken", took);
      if (may) one.classList.toggle("is-possible", own.some((key) => may.has(key)));
      if (took) one.parentNode.insertBefore(one, one.parentNode.querySelector(":scope > .fsm-state.atomic, :scope > .fsm-state.final"));
    }
    this.mark();
    if (this.mode === "follow") this.settle();
  }
}

// One tile a source: its picture, its state, and how old the last picture is when it is lost.

import { LEVELS, STATES, duration, make, number, total, write } from "./words.js";

const RETRY_MS = 2000;

export class Tile {
  constructor(source, ask) {
    this.id = source.id;
    this.name = source.name;
    this.ask = ask;
    this.view = "off";
    this.isSeen = false;
    this.isAsked = false;
    this.state = null;
    this.streamCount = 0;
    this.build();
  }

  build() {
    this.veilState = make("strong");
    this.veilAge = make("span");
    this.veil = make("span", { class: "veil", hidden: "" }, this.veilState, this.veilAge);
    this.button = make("button", { type: "button", "aria-pressed": "false" }, this.veil);
    this.title = make("h3", {}, this.name);
    this.badgeText = make("span");
    this.badge = make("span", { class: "badge", "data-level": "wait" },
      make("span", { class: "mark", "aria-hidden": "true" }), this.badgeText);
    this.facts = make("p", { class: "facts" });
    const caption = make("div", { class: "caption" }, this.title, this.badge, this.facts);
    this.element = make("li", { class: "tile", "data-source": this.id }, this.button, caption);
    this.button.setAttribute("aria-label", `${this.name}: enlarge the picture`);
    this.button.addEventListener("click", () => this.enlarge(!this.isLarge));
  }

  get isLarge() {
    return this.element.classList.contains("large");
  }

  enlarge(isLarge) {
    this.element.classList.toggle("large", isLarge);
    this.button.setAttribute("aria-pressed", String(isLarge));
  }

  // Shows pictures by `view` while somebody can see them.
  show(view, isSeen) {
    if (view !== this.view) {
      this.view = view;
      this.picture?.removeAttribute("src"); // ends the stream, which removing the element does not
      this.picture?.remove();
      this.picture = null;
      this.isAsked = false;
    }
    this.isSeen = isSeen;
    if (view === "mjpeg") this.stream(isSeen);
    if (view === "socket" && isSeen) this.next();
  }

  // An <img> keeps its connection until its address changes.
  stream(isOn) {
    if (!this.picture) {
      const picture = make("img", { alt: `Live picture of ${this.name}`, decoding: "sync" });
      picture.addEventListener("error", () => setTimeout(() => this.streamAgain(picture), RETRY_MS));
      this.place(picture);
    }
    const isOnNow = this.picture.hasAttribute("src");
    if (isOn && !isOnNow) this.picture.src = `/stream/${this.id}?${(this.streamCount += 1)}`;
    if (!isOn && isOnNow) this.picture.removeAttribute("src");
  }

  streamAgain(picture) {
    if (picture !== this.picture) return;
    picture.removeAttribute("src");
    this.stream(this.isSeen);
  }

  next() {
    if (!this.picture) {
      const label = `Live picture of ${this.name}`;
      this.place(make("canvas", { role: "img", "aria-label": label, width: "0", height: "0" }));
    }
    if (!this.isAsked) {
      this.isAsked = true;
      this.ask(this.id);
    }
  }

  place(picture) {
    picture.className = "picture";
    this.picture = picture;
    this.button.prepend(picture);
  }

  async draw(blob) {
    let bitmap = null;
    try {
      bitmap = await createImageBitmap(blob);
    } catch {
      return; // torn; the next one will do
    } finally {
      this.isAsked = false;
      if (this.view === "socket" && this.isSeen) this.next();
    }
    if (this.view === "socket" && this.picture) {
      if (this.picture.width !== bitmap.width || this.picture.height !== bitmap.height) {
        [this.picture.width, this.picture.height] = [bitmap.width, bitmap.height];
      }
      this.picture.getContext("2d", { alpha: false }).drawImage(bitmap, 0, 0);
    }
    bitmap.close();
  }

  // The connection is new: whatever was asked for or streamed over the old one will not come.
  reconnect() {
    this.isAsked = false;
    if (this.view === "mjpeg") this.picture?.removeAttribute("src");
    this.show(this.view, this.isSeen);
  }

  // Takes a source's figures; `runState` where the run gives none for it.
  update(figures, runState, nowMs) {
    this.state = figures?.state ?? runState;
    this.lostAtMs = this.state === "lost" ? nowMs - 1000 * (figures.lost_s ?? 0) : null;
    const level = LEVELS[this.state] ?? "wait";
    this.element.dataset.state = this.state;
    this.element.dataset.level = this.badge.dataset.level = level;
    write(this.badgeText, STATES[this.state] ?? this.state);
    if (figures?.width && figures?.height) {
      this.button.style.setProperty("--aspect", `${figures.width} / ${figures.height}`);
    }
    write(this.facts, figures ? facts(figures) : "");
    this.tick(nowMs);
  }

  tick(nowMs) {
    const isOver = this.state === "lost" || this.state === "ended";
    this.veil.hidden = !isOver;
    if (!isOver) return;
    write(this.veilState, STATES[this.state]);
    const age = this.lostAtMs === null ? "" : duration((nowMs - this.lostAtMs) / 1000);
    write(this.veilAge, age && `last picture ${age} ago`);
  }
}

function facts(figures) {
  const parts = [`${number(figures.fps_1s, 1)} frames/s`];
  if (figures.width) parts.push(`${figures.width} × ${figures.height}`);
  if (figures.latency_ms?.p50 != null) parts.push(`${number(figures.latency_ms.p50)} ms`);
  parts.push(`${number(total(figures.dropped))} left out`);
  return parts.join(" · ");
}

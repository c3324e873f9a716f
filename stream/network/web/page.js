// The page: one socket brings the figures; tiles, charts and tables show them.

import { Chart } from "./charts.js";
import { Live } from "./live.js";
import { showDrops, showStages, showTotals } from "./tables.js";
import { Tile } from "./tiles.js";
import { duration, write } from "./words.js";

const HISTORY_COUNT = 180;
const SILENCE_S = 5;
const MJPEG_SOURCES_MAX = 4; // a browser opens six connections to one server

const $ = (id) => document.getElementById(id);
const views = [...document.querySelectorAll("input[name=view]")];

const charts = [
  new Chart({ id: "fps", title: "Frames a second by stage", read: (p) => p.fps, digits: 1 }),
  new Chart({
    id: "busy", title: "Busy share by stage", unit: " %", top: 100,
    read: (p) => Object.fromEntries(Object.entries(p.busy).map(([kind, share]) => [kind, 100 * share])),
  }),
  new Chart({ id: "latency", title: "Capture to delivery", read: (p) => p.latency_ms, unit: " ms" }),
  new Chart({ id: "dropped", title: "Frames left out a second", read: (p) => p.dropped, digits: 1 }),
];

class Page {
  constructor() {
    this.tiles = new Map();
    this.points = [];
    this.figuresMs = null;
    this.isOpen = false;
    this.seen = new IntersectionObserver((entries) => this.look(entries), { rootMargin: "100px" });
    $("charts").append(...charts.map((chart) => chart.element));
    this.restoreView();
    this.listen();
    this.live = new Live(this);
    setInterval(() => this.tick(), 1000);
  }

  listen() {
    views.forEach((input) => input.addEventListener("change", () => {
      localStorage.setItem("view", input.value);
      this.showPictures();
    }));
    document.addEventListener("visibilitychange", () => this.showPictures());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.tiles.forEach((tile) => tile.enlarge(false));
    });
    window.matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => charts.forEach((chart) => chart.paint()));
  }

  restoreView() {
    const kept = views.find((input) => input.value === localStorage.getItem("view"));
    if (kept) kept.checked = true;
  }

  get view() {
    return views.find((input) => input.checked).value;
  }

  // What the socket brings.

  isConnected(isOpen) {
    this.isOpen = isOpen;
    this.showHealth();
  }

  welcome({ sources, history, has_token: hasToken }) {
    this.points = history;
    $("logout").hidden = !hasToken;
    if (sources.map(({ id }) => id).join() !== [...this.tiles.keys()].join()) this.lay(sources);
    this.tiles.forEach((tile) => tile.reconnect());
    charts.forEach((chart) => chart.draw(this.points));
  }

  figures(figures) {
    this.last = figures;
    this.figuresMs = performance.now();
    const sources = new Map(figures.sources.map((source) => [source.source_id, source]));
    this.tiles.forEach((tile) => tile.update(sources.get(tile.id), figures.state, this.figuresMs));
    showTotals($("totals"), figures);
    showStages($("stages").tBodies[0], figures);
    showDrops($("drops"), figures.frames.dropped);
    this.showEngine(figures.engine);
    if (figures.point) {
      this.points = [...this.points, figures.point].slice(-HISTORY_COUNT);
      charts.forEach((chart) => chart.draw(this.points));
    }
    this.showHealth();
  }

  picture(sourceId, blob) {
    this.tiles.get(sourceId)?.draw(blob);
  }

  // What is seen.

  lay(sources) {
    this.tiles.forEach((tile) => this.seen.unobserve(tile.element));
    this.tiles = new Map(sources.map((source) => {
      const tile = new Tile(source, (id) => this.live.ask(id));
      this.seen.observe(tile.element);
      return [source.id, tile];
    }));
    $("tiles").replaceChildren(...[...this.tiles.values()].map((tile) => tile.element));
    const isTooMany = sources.length > MJPEG_SOURCES_MAX;
    const [mjpeg, socket] = views;
    mjpeg.disabled = isTooMany;
    $("view-note").hidden = !isTooMany;
    if (isTooMany && mjpeg.checked) socket.checked = true;
  }

  look(entries) {
    for (const entry of entries) {
      const tile = this.tiles.get(Number(entry.target.dataset.source));
      tile?.show(this.view, entry.isIntersecting && !document.hidden);
      entry.target.dataset.inView = entry.isIntersecting;
    }
  }

  showPictures() {
    for (const tile of this.tiles.values()) {
      tile.show(this.view, tile.element.dataset.inView === "true" && !document.hidden);
    }
  }

  showEngine(engine) {
    if (!engine) return;
    const { name, family, backend, device, precision, reason, input_size: size } = engine;
    const why = reason ? `; ${reason}` : "";
    const on = device ? ` on ${device}` : "";
    write($("engine"), `Engine ${name}: ${family}, ${size} px, ${backend}${on}, ${precision}${why}`);
  }

  tick() {
    const nowMs = performance.now();
    if (this.isOpen) this.tiles.forEach((tile) => tile.tick(nowMs));
    this.showHealth();
  }

  showHealth() {
    const [level, text] = this.health();
    $("health").dataset.level = level;
    write($("health").querySelector(".text"), text);
    document.title = level === "ok" ? "maskstream" : `${text} – maskstream`;
  }

  health() {
    const state = this.last?.state;
    if (!this.isOpen) {
      const isOver = state === "ended" || state === "draining";
      return isOver ? ["wait", "The run has ended"] : ["bad", "No connection; trying again"];
    }
    if (!this.last) return ["wait", "Waiting for figures"];
    const silentS = (performance.now() - this.figuresMs) / 1000;
    // In steps, so that a screen reader is not told every second.
    if (silentS > SILENCE_S) return ["bad", `No figures for ${duration(10 * Math.floor(silentS / 10) || SILENCE_S)}`];
    if (state === "starting") return ["wait", "Starting"];
    if (state === "draining") return ["wait", "Ending: frames in the line are finished"];
    if (state === "ended") return ["wait", "The run has ended"];
    return this.troubles();
  }

  troubles() {
    const bad = this.last.stages.find((stage) => stage.state === "failed");
    if (bad) return ["bad", `${bad.name} failed`];
    const lost = [...this.tiles.values()].filter((tile) => tile.state === "lost");
    if (lost.length === 1) return ["bad", `Signal lost: ${lost[0].name}`];
    if (lost.length) return ["bad", `Signal lost: ${lost.length} of ${this.tiles.size} sources`];
    const odd = this.last.stages.find(({ state }) => state === "stalled" || state === "restarting");
    if (odd) return ["warn", `${odd.name} is ${odd.state === "stalled" ? "stalled" : "restarting"}`];
    return ["ok", "All is well"];
  }
}

new Page();

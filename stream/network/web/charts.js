// Small line charts of the last minutes, drawn anew with each second's point.

import { duration, make, number, write } from "./words.js";

const SHORTEST_S = 30;
const LONGEST_S = 180;
const LEFT_PX = 38;
const BOTTOM_PX = 18;
const TOP_PX = 6;
const COLORS = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6"];

export class Chart {
  // `read(point)` gives {line: value} of a point; values are shown with `digits` and `unit`.
  constructor({ id, title, read, unit = "", digits = 0, top = null }) {
    Object.assign(this, { title, read, unit, digits, top });
    this.canvas = make("canvas", { role: "img", id: `chart-${id}` });
    this.legend = make("ul", { class: "legend" });
    this.element = make("figure", { class: "chart" }, make("h3", {}, title), this.canvas, this.legend);
    this.lines = [];
    this.points = [];
    new ResizeObserver(() => this.paint()).observe(this.canvas);
  }

  draw(points) {
    this.points = points;
    for (const point of points) {
      for (const line of Object.keys(this.read(point))) {
        if (!this.lines.includes(line)) this.lines.push(line);
      }
    }
    this.describe();
    this.paint();
  }

  describe() {
    const newest = this.points.length ? this.read(this.points.at(-1)) : {};
    if (this.legend.children.length !== this.lines.length) {
      this.legend.replaceChildren(...this.lines.map((line, index) => {
        const mark = make("i");
        mark.style.setProperty("--color", `var(${COLORS[index % COLORS.length]})`);
        return make("li", {}, mark, line.replaceAll("_", " "), make("b"));
      }));
    }
    const texts = this.lines.map((line) => `${number(newest[line], this.digits)}${this.unit}`);
    texts.forEach((text, index) => write(this.legend.children[index].lastChild, text));
    const parts = this.lines.map((line, index) => `${line} ${texts[index]}`);
    const label = `${this.title}, now: ${parts.join(", ") || "nothing yet"}`;
    this.canvas.setAttribute("aria-label", label);
  }

  paint() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!width) return;
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const top = this.top ?? niceTop(this.highest());
    const nowS = this.points.length ? this.points.at(-1).t : 0;
    const spanS = Math.min(LONGEST_S, Math.max(SHORTEST_S, nowS - (this.points[0]?.t ?? nowS)));
    const x = (t) => LEFT_PX + (width - LEFT_PX - 4) * (1 - (nowS - t) / spanS);
    const y = (value) => height - BOTTOM_PX - (height - BOTTOM_PX - TOP_PX) * Math.min(1, value / top);
    this.paintGrid(context, style, { width, height, top, x, y, nowS, spanS });
    this.lines.forEach((line, index) => {
      context.strokeStyle = style.getPropertyValue(COLORS[index % COLORS.length]);
      context.setLineDash(index < 4 ? [] : [5, 3]);
      paintLine(context, this.points.map((point) => [x(point.t), this.read(point)[line], y]));
    });
  }

  paintGrid(context, style, { width, height, top, x, y, nowS, spanS }) {
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = style.getPropertyValue("--muted");
    context.strokeStyle = style.getPropertyValue("--line");
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const share of [0, 0.5, 1]) {
      const level = Math.round(y(share * top)) + 0.5;
      context.beginPath();
      context.moveTo(LEFT_PX, level);
      context.lineTo(width - 4, level);
      context.stroke();
      context.fillText(number(share * top, Number.isInteger(top / 2) ? 0 : 1), LEFT_PX - 6, level);
    }
    context.textBaseline = "alphabetic";
    context.textAlign = "left";
    context.fillText(`${duration(spanS)} ago`, LEFT_PX, height - 4);
    context.textAlign = "right";
    context.fillText("now", width - 4, height - 4);
  }

  highest() {
    return Math.max(0, ...this.points.flatMap((point) => Object.values(this.read(point))));
  }
}

function paintLine(context, places) {
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.beginPath();
  let isDown = false;
  for (const [across, value, y] of places) {
    const isGap = value === null || value === undefined || across < LEFT_PX;
    if (!isGap) isDown ? context.lineTo(across, y(value)) : context.moveTo(across, y(value));
    isDown = !isGap;
  }
  context.stroke();
}

// Returns the next of 1, 2, 5, 10, 20 ... at or above the value.
function niceTop(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value);
}

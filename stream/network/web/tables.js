// The run as a whole, its stages, and the frames that were left out.

import { CAUSES, LEVELS, STATES, duration, make, number, total, write } from "./words.js";

const MEGABYTE = 1e6;

export function showTotals(list, figures) {
  const dropped = total(figures.frames.dropped);
  const latency = figures.latency_ms;
  const entries = [
    ["Frames/s", number(figures.fps_1s, 1), `mean ${number(figures.fps, 1)}`],
    ["Latency", `${number(latency.p50)} ms`, `p95 ${number(latency.p95)}`],
    ["Delivered", number(figures.frames.delivered), ""],
    ["Left out", number(dropped), figures.frames.in_flight ? `${figures.frames.in_flight} in the line` : ""],
    ["Running for", duration(figures.wall_s), ""],
  ];
  if (list.children.length !== entries.length) {
    list.replaceChildren(...entries.map(([name]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, make("span"), " ", make("small")))));
  }
  entries.forEach(([, value, detail], index) => {
    const [shown, , small] = list.children[index].lastChild.childNodes;
    write(shown, value);
    write(small, detail);
  });
}

export function showStages(body, figures) {
  const rows = new Map([...body.children].map((row) => [row.dataset.stage, row]));
  const shown = figures.stages.map((stage) => {
    const row = rows.get(stage.name) ?? stageRow(stage.name);
    fillRow(row, stage, figures);
    return row;
  });
  if (shown.length !== body.children.length || shown.some((row) => !row.parentNode)) {
    body.replaceChildren(...shown);
  }
}

function stageRow(name) {
  const meter = make("meter", { min: "0", max: "1" });
  const badge = make("span", { class: "badge" },
    make("span", { class: "mark", "aria-hidden": "true" }), make("span"));
  const numbers = Array.from({ length: 6 }, () => make("td", { class: "number" }));
  return make("tr", { "data-stage": name },
    make("th", { scope: "row" }, name), make("td", {}, badge), make("td", { class: "number" }),
    make("td", {}, meter, " ", make("span")), ...numbers);
}

function fillRow(row, stage, figures) {
  const [, state, fps, busy, ...numbers] = row.children;
  const word = stage.state ?? figures.state;
  const badge = state.firstChild;
  badge.dataset.level = LEVELS[word] ?? "wait";
  write(badge.lastChild, STATES[word] ?? word);
  write(fps, number(stage.fps_1s, 1));
  const share = Math.round(100 * stage.busy);
  busy.firstChild.value = stage.busy;
  busy.firstChild.setAttribute("aria-label", `busy ${share} %`);
  write(busy.lastChild, `${share} %`);
  const values = [
    number(stage.queue_depth), number(stage.work_ms.p50, 1), number(stage.work_ms.p95, 1),
    number(total(stage.dropped)), number(stage.restarts), number(stage.rss_bytes / MEGABYTE),
  ];
  values.forEach((value, index) => write(numbers[index], value));
  row.classList.toggle("bottleneck", stage.name === figures.bottleneck);
}

export function showDrops(place, dropped) {
  const causes = Object.entries(dropped).sort((a, b) => b[1] - a[1]);
  const key = causes.map(([cause]) => cause).join();
  if (place.dataset.key !== key) {
    place.dataset.key = key;
    place.replaceChildren(causes.length ? dropTable(causes) : make("p", {}, "None so far."));
  }
  for (const [cause, count] of causes) {
    write(place.querySelector(`[data-cause="${cause}"] .number`), number(count));
  }
}

function dropTable(causes) {
  const head = make("tr", {}, make("th", { scope: "col" }, "Cause"),
    make("th", { scope: "col", class: "number" }, "Frames"), make("th", { scope: "col" }, "Meaning"));
  const rows = causes.map(([cause]) => make("tr", { "data-cause": cause },
    make("th", { scope: "row" }, cause.replaceAll("_", " ")), make("td", { class: "number" }),
    make("td", {}, CAUSES[cause] ?? "")));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  return make("div", { class: "scroll" }, table);
}

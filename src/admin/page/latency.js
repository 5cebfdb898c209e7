// Both versions' latency by percentile, with room for the tail, and how it went: a strip each.

import { by, field, make, number, row, table } from "./dom.js";
import { Plot, apart, powerMarks } from "./plot.js";
import { at as pathOf } from "./verdict.js";
import * as words from "./words.js";

const QUANTILES = [[0.5, "p50"], [0.9, "p90"], [0.99, "p99"], [0.999, "p99.9"], [0.9999, "p99.99"]];
const NAMED = [["p50", "p50"], ["p90", "p90"], ["p99", "p99"], ["p99_9", "p99.9"]];
const HEIGHT = 220;
const ROWS = 18;
const STRIP = 56;
const LEFT = 58;

let parts;

/** How many powers of ten a quantile is away from the end. */
const depth = quantile => -Math.log10(Math.max(1e-9, 1 - quantile));

export function showLatency(frame, split, memory) {
  if (!parts) {
    parts = {
      curves: make("div", { class: "plot" }), strips: {}, numbers: make("div"),
      scale: make("p", { class: "hint" }),
    };
    const strips = ["stable", "canary"].map(role => {
      const canvas = make("canvas", { role: "img" });
      const label = make("span", { class: "name " + role });
      parts.strips[role] = { canvas, label, drawn: "" };
      return make("div", { class: "strip" }, label, canvas);
    });
    by("latency").querySelector(".body").append(parts.curves, parts.numbers, ...strips,
      parts.scale);
  }
  const versions = split.versions.filter(version => version.curve?.length > 1);
  drawCurves(versions);
  parts.numbers.replaceChildren(numbers(frame, split));
  drawStrips(split, memory);
}

function drawCurves(versions) {
  if (versions.length === 0) {
    parts.curves.replaceChildren(make("p", { class: "quiet" }, "No request in the last minute."));
    return;
  }
  const shown = versions.map(version => ({
    version, points: version.curve.filter(([quantile]) => quantile >= 0.5)
      .map(([quantile, ms]) => [depth(quantile), Math.max(ms, 0.001)]),
  })).filter(it => it.points.length > 0);
  const all = shown.flatMap(it => it.points.map(([, ms]) => ms));
  if (all.length === 0) return;
  const [low, high] = [Math.min(...all) * 0.8, Math.max(...all) * 1.25];
  const plot = new Plot(parts.curves, {
    height: HEIGHT, x: [depth(0.5), depth(0.9999)], y: [low, high], isLog: true,
    pad: { left: LEFT, right: 84 },
    label: "Latency by percentile from p50 to p99.99, stable and canary",
  });
  plot.marksY(powerMarks(low, high), words.latency);
  const saidAt = new Map(QUANTILES.map(([quantile, said]) => [depth(quantile), said]));
  plot.marksX([...saidAt.keys()], mark => saidAt.get(mark));
  for (const { version, points } of shown) plot.line("curve " + version.role, points);
  const names = shown.map(({ version, points }) =>
    [plot.atY(points.at(-1)[1]) + 4, version.version, version.role, plot.atX(points.at(-1)[0])]);
  const right = plot.inner.right;
  for (const [y, said, role, x] of apart(names, plot.inner.top + 8, plot.inner.bottom))
    plot.text(Math.min(x, right) + 6, y, said.length > 11 ? said.slice(0, 10) + "\u2026" : said,
      { class: "name " + role });
  plot.done();
}

function numbers(frame, split) {
  const path = pathOf(frame, split) + ".versions.";
  const rows = split.versions.map((version, place) => row([
    make("th", { scope: "row", class: version.role }, version.version),
    ...NAMED.map(([key]) => number(version.latency_ms
      ? field(path + place + ".latency_ms." + key, words.latency(version.latency_ms[key]))
      : "\u2013")),
  ]));
  const [stable, canary] = ["stable", "canary"].map(role =>
    split.versions.find(it => it.role === role)?.latency_ms);
  if (stable && canary) rows.push(row([make("th", { scope: "row" }, "canary / stable"),
    ...NAMED.map(([key]) => number(words.times(canary[key] / Math.max(1e-6, stable[key]))))],
  { class: "sum" }));
  return table([["", ""], ...NAMED.map(([, said]) => [said, "number"])], rows,
    { "aria-label": "Latency of both versions" });
}

function drawStrips(split, memory) {
  const all = [...memory.heat.stable, ...memory.heat.canary].flatMap(it => it.curve.slice(-1)
    .concat(it.curve.slice(0, 1))).map(([, ms]) => ms);
  const [low, high] = [Math.max(0.01, Math.min(...all)) * 0.9, Math.max(...all, 0.1) * 1.1];
  for (const [role, strip] of Object.entries(parts.strips)) {
    const version = split.versions.find(it => it.role === role);
    strip.label.textContent = version?.version ?? role;
    const columns = memory.heat[role];
    strip.canvas.setAttribute("aria-label", (version?.version ?? role)
      + ": where latencies lay, second by second, from " + words.latency(low) + " below to "
      + words.latency(high) + " above");
    const width = Math.max(100, strip.canvas.parentElement.clientWidth - LEFT);
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const key = [split.name, columns.at(-1)?.at, columns.length, width, low, high, dark].join(" ");
    if (key === strip.drawn) continue;
    strip.drawn = key;
    paint(strip.canvas, columns, [low, high], width);
  }
  parts.scale.textContent = all.length === 0 ? ""
    : "A column each second since this page was opened, from " + words.latency(low) + " below to "
    + words.latency(high) + " above; the darker, the more requests.";
}

function paint(canvas, columns, [low, high], width) {
  const ratio = globalThis.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(STRIP * ratio);
  canvas.style.width = width + "px";
  canvas.style.height = STRIP + "px";
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = getComputedStyle(canvas).color;
  const wide = Math.max(3, width / Math.max(60, columns.length));
  const shown = columns.slice(-Math.floor(width / wide));
  shown.forEach(({ curve }, place) => {
    const x = width - (shown.length - place) * wide;
    density(curve, low, high).forEach((part, rank) => {
      if (part <= 0) return;
      context.globalAlpha = Math.min(1, 0.12 + 0.88 * Math.sqrt(part * 2));
      const tall = STRIP / ROWS;
      context.fillRect(x, STRIP - (rank + 1) * tall, wide - 0.5, tall);
    });
  });
}

/** Which part of the requests lies in each row. */
export function density(curve, low, high) {
  const parts = new Array(ROWS).fill(0);
  const span = Math.log(high / low);
  const rank = ms => Math.max(0, Math.min(ROWS - 1,
    Math.floor(Math.log(Math.max(ms, low) / low) / span * ROWS)));
  let before = 0;
  for (const [quantile, ms] of curve) {
    parts[rank(ms)] += quantile - before;
    before = quantile;
  }
  if (curve.length) parts[rank(curve.at(-1)[1])] += 1 - before;
  return parts;
}

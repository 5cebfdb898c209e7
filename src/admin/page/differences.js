// A chart for each metric: how much worse or better the canary is than stable, and how sure that
// is. Colour comes only when the band lies wholly on one side of what is tolerated.

import { by, field, make, sign } from "./dom.js";
import { Plot, roundMarks, span, timeMarks } from "./plot.js";
import { at as pathOf } from "./verdict.js";
import * as words from "./words.js";

const HEIGHT = 148;
const charts = new Map();

/** Which side of the margin the band is on. */
export function side({ low, high, margin }) {
  if (low > margin) return "bad";
  return high < margin ? "good" : "open";
}

const SAID = {
  bad: ["\u2715", "worse"],
  good: ["\u2713", "fine"],
  open: ["\u2026", "open"],
};

export function showDifferences(frame, split, memory) {
  const body = by("differences").querySelector(".body");
  const metrics = (split.analysis?.metrics ?? []).map(metric => metric.metric);
  for (const name of memory.metrics.keys()) if (!metrics.includes(name)) metrics.push(name);
  const shown = metrics.filter(name => memory.points(name).length > 0);
  const key = split.name + " " + split.epoch + " " + shown.join(" ");
  if (body.dataset.key !== key) {
    body.dataset.key = key;
    charts.clear();
    body.replaceChildren(...shown.map(build));
    if (shown.length === 0) body.append(make("p", { class: "quiet" }, split.canary
      ? "Nothing is judged yet: the canary has no share." : "This split has no canary."));
  }
  const marks = memory.marks;
  for (const name of shown) {
    const place = split.analysis?.metrics.findIndex(metric => metric.metric === name) ?? -1;
    const path = pathOf(frame, split) + ".analysis.metrics." + place;
    const metric = split.analysis?.metrics[place];
    drawOne(charts.get(name), memory.points(name), marks, metric ? { metric, path } : null);
  }
}

function build(name) {
  const chart = {
    title: make("figcaption"), host: make("div", { class: "plot" }), name, hover: null,
    figure: null, again: null,
  };
  chart.host.addEventListener("pointermove", event => {
    const box = chart.host.getBoundingClientRect();
    chart.hover = event.clientX - box.left;
    chart.again?.();
  });
  chart.host.addEventListener("pointerleave", () => {
    chart.hover = null;
    chart.again?.();
  });
  chart.figure = make("figure", { "data-metric": name }, chart.title, chart.host);
  charts.set(name, chart);
  return chart.figure;
}

function caption(chart, points, known) {
  const newest = points.at(-1);
  const tone = side(newest);
  const [glyph, said] = SAID[tone];
  chart.figure.className = tone;
  const of = (key, text) => known ? field(known.path + "." + key, text) : text;
  const told = (key, x) => of(key, words.points(x));
  const counts = known ? [of("canary.hits", words.count(known.metric.canary.hits)), " of ",
    of("canary.trials", words.count(known.metric.canary.trials)), " against ",
    of("stable.hits", words.count(known.metric.stable.hits)), " of ",
    of("stable.trials", words.count(known.metric.stable.trials))] : [];
  chart.title.replaceChildren(
    make("div", { class: "line" }, make("strong", {}, words.metric(chart.name)),
      known?.metric.is_dry_run ? make("span", { class: "tag" }, "dry run") : "",
      make("strong", { class: "value " + tone }, sign(glyph, tone), " ",
        told("estimate", newest.estimate))),
    make("div", { class: "detail" }, make("span", { class: "said " + tone }, said), ": ",
      told("interval.0", newest.low), " to ", told("interval.1", newest.high), ", allowed ",
      told("margin", newest.margin)),
    make("div", { class: "detail" }, ...counts));
}

/** The range that tells most: the band once it has settled; it begins as wide as the world. */
function range(points) {
  const late = points.slice(Math.floor(points.length * 0.6));
  const numbers = [0, ...points.map(it => it.estimate), points.at(-1).margin,
    ...late.map(it => it.low), ...late.map(it => it.high)];
  const newest = points.at(-1);
  const reach = 4 * Math.max(Math.abs(newest.low), Math.abs(newest.high), newest.margin);
  return span(numbers.map(x => Math.max(-reach, Math.min(reach, x))));
}

function drawOne(chart, points, marks, known) {
  caption(chart, points, known);
  chart.again = () => plot(chart, points, marks);
  chart.again();
}

function plot(chart, points, marks) {
  const start = Date.parse(points[0].at);
  const second = at => (Date.parse(at) - start) / 1000;
  const end = Math.max(1, second(points.at(-1).at));
  const y = range(points);
  const newest = points.at(-1);
  const plot = new Plot(chart.host, {
    height: HEIGHT, x: [0, end], y, pad: { left: 58 },
    label: words.metric(chart.name) + ", canary minus stable, over time: now "
      + words.points(newest.estimate) + ", surely " + words.points(newest.low) + " to "
      + words.points(newest.high) + ", allowed " + words.points(newest.margin),
  });
  plot.marksY(roundMarks(y[0], y[1], 5), words.points);
  plot.marksX(timeMarks(0, end, plot.width / 90), mark => mark ? words.duration(mark) : "begin");
  const tone = side(newest);
  plot.band("band " + tone, points.map(it => [second(it.at), it.low, it.high]));
  stepMarks(plot, marks, second);
  plot.level("zero", 0);
  plot.line("limit", points.map(it => [second(it.at), it.margin]));
  plot.line("course " + tone, points.map(it => [second(it.at), it.estimate]));
  if (chart.hover !== null) readOut(plot, chart.hover, points, second);
  plot.done();
}

function stepMarks(plot, marks, second) {
  let free = plot.inner.left;
  for (const mark of marks) {
    const x = plot.atX(second(mark.at));
    const isGrave = mark.what === "rolled_back" || mark.what === "aborted";
    const said = isGrave ? "\u2715 " + mark.weight : mark.what === "paused" ? "\u2016" : mark.weight;
    const isLate = x + 34 > plot.inner.right;
    const hasRoom = x - (isLate ? 40 : 0) >= free;
    plot.upright(isGrave ? "step grave" : "step", second(mark.at), hasRoom ? said : "", isLate);
    if (hasRoom) free = isLate ? x : x + 36;
  }
}

function readOut(plot, x, points, second) {
  const { left, right, top } = plot.inner;
  const wanted = (x - left) / (right - left) * plot.x[1];
  const near = points.reduce((best, it) =>
    Math.abs(second(it.at) - wanted) < Math.abs(second(best.at) - wanted) ? it : best);
  const at = plot.atX(second(near.at));
  plot.upright("pointer", second(near.at));
  const said = words.points(near.estimate) + "  (" + words.points(near.low) + " to "
    + words.points(near.high) + ")  " + words.clock(near.at);
  const isRight = at > (left + right) / 2;
  plot.text(isRight ? at - 6 : at + 6, top + 24, said,
    { class: "read", "text-anchor": isRight ? "end" : "start" });
}

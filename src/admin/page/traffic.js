// Who gets how much: requests a second by version, the share asked and seen, who is exposed.

import { by, field, make, number, row, table } from "./dom.js";
import { Plot, roundMarks, timeMarks } from "./plot.js";
import { at as pathOf } from "./verdict.js";
import * as words from "./words.js";

const HEIGHT = 150;
let parts;

export function showTraffic(frame, split, memory) {
  if (!parts) {
    parts = { plot: make("div", { class: "plot" }), numbers: make("div") };
    by("traffic").querySelector(".body").append(parts.plot, parts.numbers);
  }
  draw(memory.traffic, split);
  parts.numbers.replaceChildren(numbers(frame, split));
}

function draw(points, split) {
  if (points.length < 2) {
    parts.plot.replaceChildren(make("p", { class: "quiet" }, "The picture begins in a second."));
    return;
  }
  const end = Date.parse(points.at(-1).at);
  const ago = at => (Date.parse(at) - end) / 1000;
  const high = Math.max(1, ...points.map(it => it.stable + it.canary)) * 1.12;
  const start = Math.min(-10, ago(points[0].at));
  const plot = new Plot(parts.plot, {
    height: HEIGHT, x: [start, 0], y: [0, high],
    label: "Requests a second of both versions, stacked, over time",
  });
  plot.marksY(roundMarks(0, high, 4), words.rate);
  plot.marksX(timeMarks(start, 0, plot.width / 90), mark =>
    mark ? words.duration(-mark) + " ago" : "now");
  plot.band("area stable", points.map(it => [ago(it.at), 0, it.stable]));
  plot.band("area canary", points.map(it => [ago(it.at), it.stable, it.stable + it.canary]));
  plot.line("curve stable", points.map(it => [ago(it.at), it.stable]));
  if (split.canary) plot.line("curve canary", points.map(it => [ago(it.at), it.stable + it.canary]));
  plot.done();
}

function numbers(frame, split) {
  const path = pathOf(frame, split);
  const { effective, observed } = split.weight;
  const all = Math.max(1e-9, split.versions.reduce((sum, it) => sum + it.rate, 0));
  const rows = split.versions.map((version, place) => {
    const of = path + ".versions." + place + ".";
    const isCanary = version.role === "canary";
    return row([
      make("th", { scope: "row", class: version.role }, version.version, make("small", {},
        " " + version.role)),
      number(field(of + "rate", words.rate(version.rate))),
      number(isCanary ? effective : ""),
      number(isCanary ? observed === null ? "\u2013" : words.percent(observed)
        : observed === null ? words.percent(version.rate / all) : words.percent(1 - observed)),
      number(field(of + "requests", words.count(version.requests))),
      number(version.users === null || version.users === undefined ? "unknown"
        : field(of + "users", words.count(version.users))),
      number(field(of + "streams", words.count(version.streams))),
    ]);
  });
  return table([["", ""], ["per second", "number"], ["asked", "number"], ["seen", "number"],
    ["judged", "number"], ["users", "number"], ["streams open", "number"]], rows,
  { "aria-label": "Traffic of both versions" });
}

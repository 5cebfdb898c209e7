// What fails, and why: the canary upwards, stable downwards, each as a share of its own requests,
// for only so can a small canary be compared. Attempts are what the judge counts; what clients saw
// is less where stable has come to the rescue.

import { by, field, make, number, row, table } from "./dom.js";
import { BIN, key } from "./memory.js";
import { Plot, roundMarks } from "./plot.js";
import { at as pathOf } from "./verdict.js";
import * as words from "./words.js";

const HEIGHT = 170;
const KINDS_MAX = 6;
let parts;

export function showErrors(frame, split, memory) {
  if (!parts) {
    parts = { plot: make("div", { class: "plot" }), numbers: make("div") };
    by("errors").querySelector(".body").append(parts.plot, parts.numbers);
  }
  const kinds = kindsOf(split);
  draw(memory.bins, kinds);
  parts.numbers.replaceChildren(numbers(frame, split, kinds));
}

/** Kinds of errors of both versions, the most frequent first. */
function kindsOf(split) {
  const found = new Map();
  for (const version of split.versions)
    for (const kind of version.errors ?? []) {
      const known = found.get(key(kind)) ?? { ...kind, count: 0 };
      known.count += kind.count;
      found.set(key(kind), known);
    }
  return [...found.values()].sort((a, b) => b.count - a.count);
}

function draw(bins, kinds) {
  if (bins.every(it => it.stable.errors.size + it.canary.errors.size === 0)) {
    const minutes = words.duration(Math.max(BIN, bins.length * BIN));
    parts.plot.replaceChildren(make("p", { class: "quiet" },
      "\u2713 No attempt has failed in the last " + minutes + "."));
    return;
  }
  const share = (side, name) => side.requests ? (side.errors.get(name) ?? 0) / side.requests : 0;
  const sum = side => [...side.errors.keys()].reduce((all, name) => all + share(side, name), 0);
  const most = Math.min(1, Math.max(0.01, ...bins.flatMap(it => [sum(it.canary), sum(it.stable)])));
  const count = Math.max(30, bins.length);
  const first = bins.at(-1).bin - count + 1;
  const plot = new Plot(parts.plot, {
    height: HEIGHT, x: [first, first + count], y: [-most * 1.1, most * 1.1],
    label: "Failed attempts as a share of requests: the canary above, stable below the line",
  });
  plot.marksY(roundMarks(-most, most, 4), mark => words.percent(Math.abs(mark)));
  const names = kinds.map(key);
  for (const bin of bins)
    for (const [side, sense] of [[bin.canary, 1], [bin.stable, -1]]) {
      let from = 0;
      for (const name of [...side.errors.keys()].sort((a, b) => names.indexOf(a) - names.indexOf(b))) {
        const part = share(side, name);
        const rank = Math.min(KINDS_MAX, Math.max(0, names.indexOf(name)));
        plot.bar("kind kind-" + rank, bin.bin, bin.bin + 1, sense * from, sense * (from + part));
        from += part;
      }
    }
  const seconds = count * BIN;
  plot.marksX([first + 0.001, first + count], mark =>
    mark > first + 1 ? "now" : words.duration(seconds) + " ago");
  plot.level("zero", 0);
  plot.text(plot.inner.left + 6, plot.inner.top + 12, "canary \u2191", { class: "name canary" });
  plot.text(plot.inner.left + 6, plot.inner.bottom - 6, "stable \u2193", { class: "name stable" });
  plot.done();
}

function numbers(frame, split, kinds) {
  const path = pathOf(frame, split) + ".versions.";
  const versions = split.versions;
  const rows = kinds.slice(0, KINDS_MAX).map((kind, rank) => row([
    make("th", { scope: "row" }, make("span", { class: "swatch kind-" + rank }), words.reason(kind)),
    ...versions.map((version, place) => {
      const at = (version.errors ?? []).findIndex(it => key(it) === key(kind));
      return number(at < 0 ? "0" : field(path + place + ".errors." + at + ".count",
        words.count(version.errors[at].count)));
    }),
  ]));
  const sums = [
    ["failed, as judged", "failures"],
    ["clients saw fail", "answers_failed"],
    ["rescued by stable", "rescued"],
  ];
  rows.push(...sums.map(([said, name], rank) => row([make("th", { scope: "row" }, said),
    ...versions.map((version, place) =>
      number(field(path + place + "." + name, words.count(version[name] ?? 0))))],
  { class: rank === 0 ? "sum first" : "sum" })));
  const heads = versions.map(version => [version.version, "number " + version.role]);
  return table([["since the rollout began", ""], ...heads], rows,
    { "aria-label": "Failures by reason" });
}

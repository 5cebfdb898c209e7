// Which route, test or endpoint the evidence comes from. What proves nothing yet is grey.

import { by, make, number, row, table } from "./dom.js";
import * as words from "./words.js";

const PARTS_MAX = 8;
let shown = "";

export function showCulprits(split, memory) {
  const analysis = split.analysis;
  const now = JSON.stringify([split.name, split.epoch, analysis?.parts, analysis?.suspect,
    analysis?.first_failed, analysis?.route, memory.evidence?.rollout.id]);
  if (now === shown) return;
  shown = now;
  by("culprits").querySelector(".body").replaceChildren(...content(split, analysis));
}

function content(split, analysis) {
  if (!analysis) return [make("p", { class: "quiet" }, "Nothing is judged yet.")];
  const told = [];
  const { suspect } = analysis;
  if (suspect) told.push(make("p", { class: "suspect" }, make("strong", {}, "One endpoint: "),
    make("code", {}, suspect.endpoint), " failed " + words.count(suspect.counts.hits) + " of "
    + words.count(suspect.counts.trials) + "; all others of the canary together "
    + words.count(suspect.others.hits) + " of " + words.count(suspect.others.trials) + "."));
  const parts = analysis.parts.slice(0, PARTS_MAX);
  if (parts.length) told.push(table([["test", ""], ["route", ""], ["", ""], ["evidence", "number"],
    ["hits", "number"]], parts.map(part => line(part, analysis)),
  { "aria-label": "Parts of the evidence" }));
  else told.push(make("p", { class: "quiet" }, "No test has found anything."));
  if (analysis.first_failed.length) told.push(make("p", { class: "ids" },
    "First failed requests of the canary: ",
    ...analysis.first_failed.flatMap(id => [make("code", {}, id), " "])));
  return told;
}

function line(part, analysis) {
  const way = Math.log(Math.max(1, part.evidence)) / Math.log(Math.max(2, analysis.threshold));
  const bar = make("span", { class: "bar" });
  bar.style.width = Math.round(100 * Math.max(0, Math.min(1, way))) + "%";
  // A proof may be a sum, with no part that is one by itself: then it is the largest that says most.
  const saysMost = analysis.verdict === "fail" && part === analysis.parts[0];
  const isProof = saysMost || part.evidence >= analysis.threshold;
  return row([
    words.cause(part.cause),
    part.route ?? "all",
    make("td", {}, make("span", { class: "gauge", "aria-hidden": "true" }, bar)),
    number(words.evidence(part.evidence)),
    number(words.count(part.hits)),
  ], { class: isProof ? "proof" : "faint" });
}

// After a rollback: when it broke, was found, and was over; what that has cost; and the evidence.

import { follow } from "./acts.js";
import { by, fact, field, make } from "./dom.js";
import { at as pathOf } from "./verdict.js";
import * as words from "./words.js";

let shown = "";

export function showAftermath(frame, split, memory) {
  const section = by("aftermath");
  const isBack = split.phase === "rolled_back";
  section.hidden = !isBack;
  if (!isBack) return;
  const now = JSON.stringify([split.name, split.epoch, split.rollback, split.history.at(-1)?.at,
    split.versions.map(it => [it.failures, it.answers_failed, it.rescued]),
    memory.evidence?.records, memory.evidence?.rollout.ended]);
  if (now === shown) return;
  shown = now;
  const path = pathOf(frame, split) + ".rollback.";
  section.querySelector(".body").replaceChildren(course(split), costs(split, path),
    links(split, memory));
}

/** What is known of the rollback, if it is that of this rollout. */
const rollback = split => split.rollback?.epoch === split.epoch ? split.rollback : null;

/** The decision that took the canary to 0. */
function decision(split) {
  const ends = ["rolled_back", "aborted", "undone"];
  return split.history.findLast(it => ends.includes(it.what));
}

function course(split) {
  const told = rollback(split);
  const back = decision(split);
  const found = told?.found_at ?? back?.at;
  const applied = told?.applied_at ?? back?.at;
  const stages = [
    ["broke", told?.broke_at, "the first failed request of the proof"],
    [back?.what === "aborted" ? "asked for" : "found", found, told?.broke_at
      ? later(told.broke_at, found) : ""],
    ["applied", applied, found && applied
      ? "weight 0, " + later(found, applied) : ""],
    ["complete", told?.complete_at, told?.complete_at
      ? "the last request ended, " + later(applied, told.complete_at) : ""],
  ];
  return make("ol", { class: "stages" }, ...stages.map(([name, at, more]) =>
    make("li", { class: at ? "" : "unknown" }, make("strong", {}, name),
      at ? make("time", { datetime: at }, words.moment(at).slice(11)) : make("span", {}, "unknown"),
      make("small", {}, at ? more : ""))));
}

function later(from, to) {
  const seconds = Math.max(0, words.seconds(from, to));
  if (seconds < 0.001) return "in the same millisecond";
  return (seconds < 1 ? Math.round(1000 * seconds) + " ms" : words.duration(seconds)) + " later";
}

function costs(split, path) {
  const told = rollback(split);
  const canary = split.versions.find(it => it.role === "canary");
  const failed = told ? field(path + "failed_requests", words.count(told.failed_requests))
    : words.count(canary?.failures ?? 0);
  const users = told?.users === null || told?.users === undefined ? "unknown"
    : field(path + "users", words.count(told.users));
  const back = decision(split);
  return make("dl", { class: "facts" },
    fact("Canary requests that failed", make("strong", { class: "big" }, failed)),
    fact("Of them clients saw", make("strong", { class: "big" },
      words.count(canary?.answers_failed ?? 0)), make("small", {},
      words.count(canary?.rescued ?? 0) + " were rescued by stable")),
    fact("Users who paid", make("strong", { class: "big" }, users)),
    fact("Cause", told?.cause === "operator" || !split.analysis?.cause
      ? words.plain(back?.what ?? "") + " by " + (back?.by ?? "unknown")
      : words.cause(split.analysis.cause)));
}

function links(split, memory) {
  const id = encodeURIComponent(split.name + "-" + split.epoch);
  const link = (end, said) => make("a", {
    href: "v1/rollouts/" + id + "/evidence" + end, onclick: follow,
  }, said);
  const record = memory.evidence?.records.at(-1);
  return make("p", { class: "links" }, link(".html", "The evidence as a page"),
    link(".json", "as JSON"), record ? link(".rec", "the record") : "",
    record ? make("code", {}, "serin replay " + record.split("/").at(-1)) : "");
}

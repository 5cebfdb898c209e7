// How the proxy itself is: so that nobody blames it wrongly, or overlooks that it cries for help.

import { by, field, make, put } from "./dom.js";
import * as words from "./words.js";

export function showHealth(frame) {
  const state = frame.is_draining ? ["going down", "wait"]
    : frame.is_ready ? ["ready", "good"] : ["not ready", "bad"];
  const glyph = { good: "\u2713", wait: "\u25bd", bad: "\u2715" }[state[1]];
  const shown = [
    make("span", { class: "pill " + state[1] }, glyph + " " + state[0]),
    make("span", {}, "plan ", field("generation", words.count(frame.generation))),
  ];
  if (frame.workers?.length) {
    const busy = frame.workers.map((part, place) =>
      [place ? " " : "", field("workers." + place, words.percent(part))]).flat();
    shown.push(make("span", { title: "how busy each worker is" }, "busy ", ...busy));
  }
  shown.push(make("time", { datetime: frame.at }, words.clock(frame.at) + " UTC"));
  by("health").replaceChildren(...shown);
}

let shownAlarms = "";

/** What a person should see before anything else. */
export function showAlarms(frame) {
  const alarms = [];
  if (frame.config.problem) alarms.push(["bad", "The newest file is not in force: it has a "
    + "problem. The one before it stays.", frame.config.problem]);
  for (const upstream of frame.upstreams) {
    if (upstream.problem) alarms.push([upstream.usable_endpoints ? "wait" : "bad",
      `Upstream ${upstream.name}: ${upstream.problem}.`, null]);
    else if (upstream.endpoints > 0 && upstream.usable_endpoints === 0) alarms.push(["bad",
      `Upstream ${upstream.name}: none of its ${upstream.endpoints} endpoints can be used.`, null]);
  }
  for (const split of frame.splits) {
    const isOver = split.phase === "rolled_back" || split.phase === "promoted";
    const invalid = split.analysis?.invalid;
    if (invalid && !isOver)
      alarms.push(["wait", `${split.name}: nothing is promoted for now: ${invalid}.`, null]);
    if (split.shadow?.alarms) alarms.push(["bad", `${split.name}: stable was found worse than `
      + `itself ${split.shadow.alarms} times (shadow A/A): verdicts are to be doubted.`, null]);
    for (const text of split.warnings)
      alarms.push(["wait", `${split.name}: ${text}.`, null]);
    for (const metric of split.analysis?.metrics ?? [])
      if (metric.is_dry_run && metric.verdict === "fail")
        alarms.push(["wait", `${split.name}: ${words.metric(metric.metric).toLowerCase()} would `
          + "have rolled back; it is a dry run.", null]);
  }
  const now = JSON.stringify(alarms);
  if (now === shownAlarms) return;
  shownAlarms = now;
  by("alarms").replaceChildren(...alarms.map(([kind, text, detail]) =>
    make("div", { class: "alarm " + kind, role: kind === "bad" ? "alert" : "status" },
      make("p", {}, make("span", { class: "sign", "aria-hidden": "true" },
        kind === "bad" ? "\u2715" : "!"), " ", text),
      detail ? put(make("pre", { tabindex: "0" }), detail) : null)));
}

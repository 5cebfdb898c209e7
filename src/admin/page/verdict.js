// The verdict bar: what is going on, how sure that is, when it will be surer, and what one can do.

import { ACTS, ask, isAllowed, name } from "./acts.js";
import { by, fact, field, make, put, sign } from "./dom.js";
import * as words from "./words.js";

let parts;

/** Builds what stays: buttons must not move under a finger or lose the focus. */
export function setUpVerdict() {
  const buttons = ACTS.map(act => {
    const key = act.key ? make("kbd", {}, act.key) : null;
    return make("button", {
      type: "button", id: "act-" + act.verb, class: act.isGrave ? "grave" : null,
      "aria-keyshortcuts": act.key ?? null, onclick: () => ask(act),
    }, name(act.verb), key);
  });
  parts = {
    headline: make("div", { class: "headline" }),
    why: make("p", { class: "why" }),
    facts: make("dl", { class: "facts" }),
    buttons,
  };
  parts.root = [parts.headline, parts.why, parts.facts,
    make("div", { class: "buttons", role: "group", "aria-label": "Acts" }, ...buttons),
    make("div", { id: "told", role: "status" })];
}

export function showVerdict(frame, split) {
  const section = by("verdict");
  if (by("waiting")) by("waiting").remove();
  if (!section.contains(parts.headline)) section.append(...parts.root);
  const [, , kind] = words.phase(split.phase);
  section.className = kind;
  parts.headline.replaceChildren(...headline(frame, split));
  put(parts.why, why(split));
  parts.facts.replaceChildren(...facts(frame, split));
  ACTS.forEach((act, place) => {
    const button = parts.buttons[place];
    const isPossible = isAllowed(act, split);
    button.disabled = !isPossible;
    button.hidden = Boolean(act.isRare) && !isPossible;
  });
}

function headline(frame, split) {
  const path = at(frame, split);
  const [word, glyph, kind] = words.phase(split.phase);
  const shown = [
    make("span", { class: "phase " + kind }, sign(glyph, kind), field(path + ".phase", word)),
  ];
  if (split.analysis) {
    const [said, mark, tone] = words.verdict(split.analysis.verdict);
    shown.push(make("span", { class: "verdict " + tone }, sign(mark, tone),
      field(path + ".analysis.verdict", said)));
  }
  if (split.step && split.phase !== "promoted" && split.phase !== "rolled_back")
    shown.push(stepOf(frame, split, path));
  return shown;
}

function stepOf(frame, split, path) {
  const { number, of, text, ends_at } = split.step;
  const left = ends_at ? words.seconds(frame.at, ends_at) : null;
  const ends = left === null ? "" : ", at most " + words.duration(Math.max(0, Math.ceil(left)))
    + " more";
  return make("span", { class: "step" }, "Step ", field(path + ".step.number", number), " of ",
    field(path + ".step.of", of), text ? ": " + words.step(text) + ends : "");
}

function why(split) {
  const said = split.phase_reason || split.analysis?.why || "";
  return said ? said[0].toUpperCase() + said.slice(1) : "";
}

function facts(frame, split) {
  const path = at(frame, split);
  const shown = [fact("Canary\u2019s share", ...share(split, path))];
  if (split.analysis) {
    shown.push(fact("Evidence to roll back", ...evidence(split.analysis, path)));
    if (split.phase === "progressing" || split.phase === "paused" || split.forecast)
      shown.push(fact("Time to decision", ...forecast(split)));
  }
  if (split.harm_budget) shown.push(fact("Harm budget", ...budget(split.harm_budget, path)));
  shown.push(fact("Epoch", field(path + ".epoch", split.epoch)));
  const last = split.history.at(-1);
  if (last) {
    const ago = words.duration(Math.max(0, Math.floor(words.seconds(last.at, frame.at))));
    shown.push(fact("Last change", make("strong", {}, words.plain(last.what)), " by ", last.by,
      make("small", {}, ago + " ago")));
  }
  return shown;
}

function share(split, path) {
  const { effective, observed, configured } = split.weight;
  const asked = make("strong", { class: "big" }, field(path + ".weight.effective", effective));
  const seen = observed === null ? "nothing seen yet in this step"
    : field(path + ".weight.observed", words.percent(observed));
  const file = configured && configured !== effective ? ", the file says " + configured : "";
  return [asked, make("small", {}, observed === null ? "" : "seen ", seen, file)];
}

function evidence({ evidence, threshold }, path) {
  const spent = threshold > 0 ? Math.min(1, evidence / threshold) : 0;
  // Evidence multiplies: on this scale equal steps are equal factors.
  const way = threshold > 1 ? Math.log(Math.max(1, evidence)) / Math.log(threshold) : spent;
  return [
    make("strong", {}, field(path + ".analysis.evidence", words.evidence(evidence))), " of ",
    field(path + ".analysis.threshold", words.evidence(threshold)),
    gauge(way, "Evidence on the way to a rollback", evidence >= threshold ? "full" : null),
    make("small", {}, "alpha spent " + words.percent(spent)),
  ];
}

function budget({ spent, failed_requests }, path) {
  const part = failed_requests > 0 ? Math.min(1, spent / failed_requests) : 0;
  return [
    make("strong", {}, field(path + ".harm_budget.spent", words.rate(spent))), " of ",
    field(path + ".harm_budget.failed_requests", words.count(failed_requests)),
    gauge(part, "Harm budget spent"),
    make("small", {}, words.percent(1 - part) + " left"),
  ];
}

function gauge(part, label, kind = null) {
  const now = Math.round(100 * Math.max(0, Math.min(1, part)));
  const bar = make("span", { class: kind ? "bar " + kind : "bar" });
  bar.style.width = now + "%";
  return make("span", {
    class: "gauge", role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100,
    "aria-valuenow": now,
  }, bar);
}

function forecast(split) {
  const { forecast } = split;
  if (!forecast) return [make("small", {}, "nothing is on trial, or there is no traffic")];
  const pass = forecast.to_pass;
  const passes = pass ? "passes in about " + words.about(pass.seconds)
    : "does not pass at this traffic";
  const soon = forecast.to_fail.filter(it => it.need);
  const fails = soon.slice(0, 1).concat(soon.find(it => it.effect === "errors_x2") ?? [])
    .map(it => words.effect(it.effect) + ": " + words.about(it.need.seconds));
  return [make("strong", {}, passes),
    make("small", {}, fails.length ? "fails, if " + fails.join("; ") : "")];
}

/** Where a split stands in the frame. */
export const at = (frame, split) => "splits." + frame.splits.indexOf(split);

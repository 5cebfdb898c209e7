// A cell for each endpoint, or for some neighbours where there are hundreds: is it one bad host, or
// a bad version? Those that are not well are told in words below the cells.

import { by, field, make, put } from "./dom.js";
import * as words from "./words.js";

const GLYPHS = { healthy: "", unhealthy: "!", ejected: "\u2715", warming: "\u25d4",
  draining: "\u25bd" };
const TOLD_MAX = 8;
/** So many times the median is slow, if it is also so many milliseconds more. */
const SLOW_TIMES = 3;
const SLOW_MS = 5;

const grids = new Map();

export function showEndpoints(frame, split, survey) {
  const body = by("endpoints").querySelector(".body");
  const names = upstreamsOf(frame, split);
  const key = names.join(" ");
  if (body.dataset.key !== key) {
    body.dataset.key = key;
    grids.clear();
    body.replaceChildren(...names.map(build));
  }
  for (const name of names) {
    const place = frame.upstreams.findIndex(it => it.name === name);
    const grid = grids.get(name);
    if (place >= 0) grid.head.replaceChildren(...head(frame.upstreams[place], place, split));
    const of = survey?.upstreams.find(it => it.upstream === name);
    if (of && grid.drawn !== of) {
      grid.drawn = of;
      fill(grid, of);
    }
  }
}

/** The split's own upstreams; all of them if it names none that is there. */
function upstreamsOf(frame, split) {
  const all = frame.upstreams.map(it => it.name);
  const own = [split.stable, split.canary].filter(name => all.includes(name));
  return own.length ? own : all;
}

function build(name) {
  const grid = {
    head: make("div", { class: "line" }), cells: make("ul", { class: "cells" }),
    told: make("ul", { class: "unwell" }), drawn: null,
  };
  grids.set(name, grid);
  return make("div", { class: "upstream", "data-upstream": name }, grid.head, grid.cells,
    grid.told);
}

function head(upstream, place, split) {
  const role = upstream.name === split.canary ? "canary" : "stable";
  const path = "upstreams." + place + ".";
  const states = Object.entries(upstream.states ?? {}).filter(([, count]) => count > 0)
    .map(([state, count]) => make("span", { class: "badge " + state },
      GLYPHS[state] + (GLYPHS[state] ? " " : ""),
      field(path + "states." + state, words.count(count)), " " + state));
  const age = upstream.discovery_age_seconds;
  return [
    make("strong", { class: role }, upstream.name),
    make("span", {}, field(path + "usable_endpoints", words.count(upstream.usable_endpoints)),
      " of ", field(path + "endpoints", words.count(upstream.endpoints)), " usable"),
    ...states,
    make("span", { class: "quiet" }, field(path + "in_flight", words.count(upstream.in_flight)),
      " under way" + (age === null ? "" : "; asked " + words.duration(Math.floor(age)) + " ago")),
  ];
}

function fill(grid, of) {
  const known = of.cells.map(cell => cell.latency_ms).filter(ms => ms !== null);
  const median = known.sort((a, b) => a - b)[Math.floor(known.length / 2)] ?? 0;
  while (grid.cells.children.length > of.cells.length) grid.cells.lastChild.remove();
  while (grid.cells.children.length < of.cells.length) grid.cells.append(make("li"));
  of.cells.forEach((cell, place) => {
    const element = grid.cells.children[place];
    const kind = kindOf(cell, median);
    put(element, GLYPHS[cell.state] || (kind === "failing" ? "!" : kind === "slow" ? "~" : ""));
    const name = "cell " + cell.state + " " + kind;
    if (element.className !== name) element.className = name;
    const said = sentence(cell, kind);
    if (element.title !== said) {
      element.title = said;
      element.setAttribute("aria-label", said);
    }
  });
  const unwell = of.cells.filter(cell => cell.state !== "healthy" || kindOf(cell, median) !== "");
  const told = unwell.slice(0, TOLD_MAX).map(cell =>
    make("li", {}, sentence(cell, kindOf(cell, median))));
  if (unwell.length > TOLD_MAX) told.push(make("li", { class: "quiet" },
    words.count(unwell.length - TOLD_MAX) + " more cells are not well"));
  if (of.per_cell > 1) told.push(make("li", { class: "quiet" }, "A cell stands for up to "
    + of.per_cell + " endpoints and looks like the worst of them."));
  grid.told.replaceChildren(...told);
}

function kindOf(cell, median) {
  if (cell.state !== "healthy") return "";
  if (cell.failures > 0) return "failing";
  const isSlow = cell.latency_ms > SLOW_TIMES * median && cell.latency_ms > median + SLOW_MS;
  return isSlow ? "slow" : "";
}

function sentence(cell, kind) {
  const more = cell.count > 1 ? " (the worst of " + cell.count + ")" : "";
  const parts = [cell.address + more + ": " + cell.state];
  if (cell.why) parts.push(cell.why);
  if (cell.ejected_seconds !== null) parts.push("for " + words.duration(cell.ejected_seconds)
    + " more");
  if (cell.failures > 0) parts.push(cell.failures + " failures in a row");
  if (kind === "slow") parts.push("much slower than the others");
  if (cell.latency_ms !== null) parts.push("begins to answer in " + words.latency(cell.latency_ms));
  parts.push(cell.in_flight + " under way");
  return parts.join(", ");
}

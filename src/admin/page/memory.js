// What the page remembers of a split: the course of its numbers. Everything is bounded; a list
// that is full gives up every second point of its past, so both ends and the shape stay.

import { seconds } from "./words.js";

const TRAIL_MAX = 800;
const TRAFFIC_MAX = 600;
const HEAT_MAX = 240;
const BINS_MAX = 120;
/** Of errors: seconds that one bar stands for. */
export const BIN = 2;

/** What changes the canary's share, and gets a mark on the charts. */
const MARKED = ["started", "stepped", "weight_set", "promoted", "rolled_back", "aborted",
  "retried", "undone", "paused", "resumed"];

function push(list, point, most) {
  list.push(point);
  if (list.length <= most) return;
  const newest = list.pop();
  for (let n = 1; n < list.length; n++) list.splice(n, 1);
  list.push(newest);
}

export class Memory {
  constructor() {
    this.epoch = null;
    this.begin();
    // Of the clock, not of the rollout: they go on through epochs.
    this.traffic = [];
    this.heat = { stable: [], canary: [] };
    this.bins = [];
    this.before = null;
  }

  begin() {
    this.started = null;
    this.metrics = new Map();
    this.marks = [];
    this.evidence = null;
    this.asked = 0;
  }

  /** Takes what a frame says. */
  take(split, at) {
    if (split.epoch !== this.epoch) {
      this.begin();
      this.epoch = split.epoch;
    }
    this.takeMetrics(split, at);
    this.takeTraffic(split, at);
    this.takeHeat(split, at);
    this.takeErrors(split, at);
  }

  takeMetrics(split, at) {
    const known = split.history.filter(it => MARKED.includes(it.what));
    const last = this.marks.at(-1)?.at ?? "";
    for (const { at, what, weight } of known) if (at > last) this.marks.push({ at, what, weight });
    if (this.marks.length > 200) this.marks.splice(0, this.marks.length - 200);
    const isOver = split.phase === "rolled_back" || split.phase === "promoted";
    for (const metric of split.analysis?.metrics ?? []) {
      const points = this.points(metric.metric);
      const newest = points.at(-1);
      const [low, high] = metric.interval;
      const point = { at, estimate: metric.estimate, low, high, margin: metric.margin };
      const isSame = newest && newest.estimate === point.estimate && newest.low === low
        && newest.high === high;
      // What the judge said last stands still when a rollout is over.
      if (isOver && isSame) continue;
      if (newest && at <= newest.at) continue;
      push(points, point, TRAIL_MAX);
    }
  }

  points(metric) {
    if (!this.metrics.has(metric)) this.metrics.set(metric, []);
    return this.metrics.get(metric);
  }

  takeTraffic(split, at) {
    const newest = this.traffic.at(-1);
    if (newest && seconds(newest.at, at) < 0.45) return;
    const rates = { stable: 0, canary: 0 };
    for (const version of split.versions) rates[version.role] = version.rate;
    this.traffic.push({ at, ...rates });
    if (this.traffic.length > TRAFFIC_MAX) this.traffic.shift();
  }

  takeHeat(split, at) {
    const newest = this.heat.stable.at(-1);
    if (newest && seconds(newest.at, at) < 0.95) return;
    for (const role of ["stable", "canary"]) {
      const version = split.versions.find(it => it.role === role);
      this.heat[role].push({ at, curve: version?.curve ?? [] });
      if (this.heat[role].length > HEAT_MAX) this.heat[role].shift();
    }
  }

  takeErrors(split, at) {
    const now = new Map();
    for (const version of split.versions) now.set(version.role, version);
    const before = this.before;
    this.before = { epoch: split.epoch, now };
    const bin = Math.floor(Date.parse(at) / 1000 / BIN);
    if (this.bins.at(-1)?.bin !== bin)
      this.bins.push({ bin, stable: fresh(), canary: fresh() });
    if (this.bins.length > BINS_MAX) this.bins.shift();
    if (!before || before.epoch !== split.epoch) return;
    for (const [role, version] of now) {
      const old = before.now.get(role);
      if (!old || version.requests < old.requests) continue;
      const into = this.bins.at(-1)[role];
      into.requests += version.requests - old.requests;
      const known = new Map(old.errors.map(it => [key(it), it.count]));
      for (const kind of version.errors) {
        const more = kind.count - (known.get(key(kind)) ?? 0);
        if (more > 0) into.errors.set(key(kind), (into.errors.get(key(kind)) ?? 0) + more);
      }
    }
  }

  /** Takes the past of the rollout, as its evidence has it. */
  recall(evidence) {
    this.started = evidence.rollout.started;
    this.evidence = evidence;
    const start = Date.parse(this.started);
    const stamp = after => new Date(start + 1000 * after).toISOString();
    evidence.trail.metrics.forEach((name, place) => {
      const past = [];
      for (const spot of evidence.trail.points) {
        const line = spot.lines[place];
        if (!line) continue;
        const [estimate, low, high, margin] = line;
        past.push({ at: stamp(spot.seconds), estimate, low, high, margin });
      }
      const end = past.at(-1)?.at ?? "";
      const since = this.points(name).filter(point => point.at > end);
      this.metrics.set(name, [...past, ...since]);
    });
    const marks = evidence.decisions.filter(it => MARKED.includes(it.what));
    const end = marks.at(-1)?.at ?? "";
    this.marks = [...marks.map(({ at, what, weight }) => ({ at, what, weight })),
      ...this.marks.filter(mark => mark.at > end)];
  }
}

const fresh = () => ({ requests: 0, errors: new Map() });
export const key = ({ reason, code_class }) => reason + " " + code_class;

// Pictures in plain SVG: scales, marks along the sides, lines and bands. Sizes are pixels of the
// place that a picture has, so texts are as large in a narrow window as in a wide one.

const NS = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const round = x => Math.round(10 * x) / 10;

/** Round numbers between two, about so many. */
export function roundMarks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(it => it * power).find(it => it >= rough * 0.999) ?? power;
  const marks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) {
    marks.push(n * step);
    if (marks.length > 50) break;
  }
  return marks;
}

/** Powers of ten between two numbers, with 2 and 5 where they are few. */
export function powerMarks(low, high) {
  const decades = Math.log10(high / low);
  const factors = decades < 0.8 ? [1, 1.5, 2, 3, 5, 7] : decades < 2.2 ? [1, 2, 5] : [1];
  const marks = [];
  for (let n = Math.floor(Math.log10(low)); n <= Math.log10(high); n++)
    for (const factor of factors) {
      const mark = factor * 10 ** n;
      if (mark >= low * 0.999 && mark <= high * 1.001) marks.push(mark);
    }
  return marks;
}

const TIMES = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200,
  86400, 172800, 604800];

/** Marks of time in seconds. */
export function timeMarks(low, high, most) {
  const step = TIMES.find(it => (high - low) / it <= most) ?? (high - low) / most;
  return roundsOf(step, low, high);
}

function roundsOf(step, low, high) {
  const marks = [];
  for (let n = Math.ceil(low / step); n * step <= high && marks.length < 50; n++)
    marks.push(n * step);
  return marks;
}

/** The range of numbers with some room, never of nothing. */
export function span(numbers, room = 0.08) {
  let [low, high] = [Infinity, -Infinity];
  for (const x of numbers) {
    if (x < low) low = x;
    if (x > high) high = x;
  }
  if (!(high > low)) [low, high] = [Math.min(low, 0) || 0, Math.max(high, 0) || 1];
  if (!(high > low)) high = low + 1;
  return [low - room * (high - low), high + room * (high - low)];
}

/** One picture. What is drawn in it is shown by `done`. */
export class Plot {
  constructor(host, { height, x, y, label, isLog = false, pad = {} }) {
    this.host = host;
    this.width = Math.max(200, host.clientWidth);
    this.height = height;
    this.pad = { left: 52, right: 12, top: 8, bottom: 22, ...pad };
    this.x = x;
    this.y = isLog ? y.map(Math.log10) : y;
    this.isLog = isLog;
    this.texts = [];
    this.inner = {
      left: this.pad.left, right: this.width - this.pad.right,
      top: this.pad.top, bottom: height - this.pad.bottom,
    };
    this.root = svg("svg", {
      width: this.width, height, viewBox: `0 0 ${this.width} ${height}`, role: "img",
      "aria-label": label,
    });
    const { left, right, top, bottom } = this.inner;
    // A picture in the picture cuts off what lies outside of the field.
    this.field = svg("svg", {
      x: left, y: top, width: Math.max(1, right - left), height: bottom - top,
      viewBox: `${left} ${top} ${Math.max(1, right - left)} ${bottom - top}`,
    });
  }

  atX(x) {
    const { left, right } = this.inner;
    return left + (x - this.x[0]) / (this.x[1] - this.x[0]) * (right - left);
  }

  atY(y) {
    const { top, bottom } = this.inner;
    const place = this.isLog ? Math.log10(Math.max(y, 1e-12)) : y;
    const part = (place - this.y[0]) / (this.y[1] - this.y[0]);
    return bottom - Math.min(3, Math.max(-3, part)) * (bottom - top);
  }

  text(x, y, said, attributes = {}) {
    this.texts.push(svg("text", { x: round(x), y: round(y), ...attributes }, said));
  }

  marksX(marks, said) {
    let free = 0;
    for (const mark of marks) {
      const x = this.atX(mark);
      this.rule("grid", x, x, this.inner.top, this.inner.bottom);
      const isFirst = x - this.inner.left < 14;
      if (x < free) continue;
      free = x + 40;
      this.text(isFirst ? this.inner.left : x, this.inner.bottom + 15, said(mark),
        { "text-anchor": isFirst ? "start" : this.width - x < 24 ? "end" : "middle" });
    }
  }

  marksY(marks, said) {
    for (const mark of marks) {
      const y = this.atY(mark);
      this.rule("grid", this.inner.left, this.inner.right, y, y);
      this.text(this.inner.left - 6, y + 4, said(mark), { "text-anchor": "end" });
    }
  }

  rule(kind, x1, x2, y1, y2) {
    this.root.append(svg("line", {
      class: kind, x1: round(x1), x2: round(x2), y1: round(y1), y2: round(y2),
    }));
  }

  /** A line from side to side. */
  level(kind, y) {
    this.rule(kind, this.inner.left, this.inner.right, this.atY(y), this.atY(y));
  }

  /** A line from top to bottom, and what is said of it. */
  upright(kind, x, said, isBefore = false) {
    const at = this.atX(x);
    if (at < this.inner.left || at > this.inner.right) return;
    this.rule(kind, at, at, this.inner.top, this.inner.bottom);
    if (said) this.text(isBefore ? at - 3 : at + 3, this.inner.top + 10, said,
      { class: "mark", "text-anchor": isBefore ? "end" : "start" });
  }

  line(kind, points) {
    const path = points.map(([x, y], place) =>
      (place ? "L" : "M") + round(this.atX(x)) + "," + round(this.atY(y)));
    this.field.append(svg("path", { class: kind, d: path.join("") }));
  }

  /** The surface between two lines: `[x, low, high]` each. */
  band(kind, points) {
    if (points.length === 0) return;
    const to = (x, y) => round(this.atX(x)) + "," + round(this.atY(y));
    const there = points.map(([x, , high]) => to(x, high));
    const back = points.map(([x, low]) => to(x, low)).reverse();
    this.field.append(svg("path", { class: kind, d: "M" + [...there, ...back].join("L") + "Z" }));
  }

  bar(kind, x1, x2, y1, y2) {
    const [left, right] = [this.atX(x1), this.atX(x2)];
    const [top, bottom] = [this.atY(Math.max(y1, y2)), this.atY(Math.min(y1, y2))];
    this.field.append(svg("rect", {
      class: kind, x: round(left), width: round(Math.max(1, right - left - 1)),
      y: round(top), height: round(Math.max(0.5, bottom - top)),
    }));
  }

  done() {
    this.root.append(this.field, ...this.texts);
    this.host.replaceChildren(this.root);
  }
}

/** Names at the right ends of lines, apart from each other: `[y, text, class]` each. */
export function apart(places, low, high, least = 14) {
  const sorted = places.slice().sort((a, b) => a[0] - b[0]);
  let last = low - least;
  for (const place of sorted) {
    place[0] = Math.max(Math.min(place[0], high), last + least);
    last = place[0];
  }
  for (let n = sorted.length - 1, next = high + least; n >= 0; n--) {
    sorted[n][0] = Math.min(sorted[n][0], next - least);
    next = sorted[n][0];
  }
  return sorted;
}

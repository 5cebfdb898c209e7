// Numbers and states as people read them; the same words as the page of a rollout's evidence.

const short = x => {
  const size = Math.abs(x);
  if (size < 0.0005) return "0";
  const digits = size < 0.095 ? 3 : size < 9.95 ? 2 : size < 99.5 ? 1 : 0;
  const text = x.toFixed(digits);
  const bare = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  return bare.replace("-", "\u2212");
};

export const count = x => Math.round(x).toString().replace(/\B(?=(\d{3})+$)/g, ",");
export const percent = ratio => short(100 * ratio) + "%";
export const points = difference =>
  (100 * difference >= 0.0005 ? "+" : "") + short(100 * difference) + " pp";
export const rate = x => short(x);
export const times = x => short(x) + "\u00d7";
export const latency = ms => ms >= 1000 ? short(ms / 1000) + " s" : short(ms) + " ms";

export function evidence(x) {
  if (x > 0 && x < 0.01) return "< 0.01";
  if (x >= 1e6) return "> 1,000,000";
  return x >= 1000 ? count(x) : short(x);
}

export function duration(seconds) {
  if (seconds < 0) return "0 s";
  if (seconds < 10) return short(seconds) + " s";
  const all = Math.round(seconds);
  const [d, h, m, s] = [all / 86400, all / 3600 % 24, all / 60 % 60, all % 60].map(Math.floor);
  if (d) return d + " d" + (h ? " " + h + " h" : "");
  if (h) return h + " h" + (m ? " " + m + " min" : "");
  if (m) return m + " min" + (s && m < 10 ? " " + s + " s" : "");
  return s + " s";
}

/** A time that is only guessed: one digit of it says enough. */
export const about = seconds => seconds < 1 ? "1 s" : duration(Math.round(seconds));

export const clock = at => at.slice(11, 19);
export const moment = at => at.slice(0, 10) + " " + at.slice(11, 21) + " UTC";
export const seconds = (from, to) => (Date.parse(to) - Date.parse(from)) / 1000;

/** Word, glyph and class of what the judge says. */
export const VERDICTS = {
  pass: ["PASS", "\u2713", "good"],
  fail: ["FAIL", "\u2715", "bad"],
  inconclusive: ["INCONCLUSIVE", "\u2026", "wait"],
  no_data: ["NO DATA", "\u2013", "none"],
};

/** The same of a phase. */
export const PHASES = {
  idle: ["Idle", "\u25cb", "none"],
  progressing: ["Progressing", "\u25b6", "go"],
  paused: ["Paused", "\u2016", "wait"],
  promoted: ["Promoted", "\u2713", "good"],
  rolled_back: ["Rolled back", "\u2715", "bad"],
};

export const phase = word => PHASES[word] ?? [word, "?", "none"];
export const verdict = word => VERDICTS[word] ?? [word, "?", "none"];

const QUANTILE = /^latency_(p[\d._]+)$/;
const quantile = metric => QUANTILE.exec(metric)?.[1].replace("_", ".");

/** A metric as the heading of its chart. */
export function metric(name) {
  if (name === "error_rate") return "Failed requests";
  const at = quantile(name);
  return at ? "Above stable\u2019s " + at : plain(name);
}

/** What a test looks at. */
export function cause(text) {
  const at = text.lastIndexOf(":");
  const [kind, name] = at < 0 ? ["", text] : [text.slice(0, at), text.slice(at + 1)];
  const isPlain = kind === "absolute" || kind === "rule";
  const of = quantile(name);
  const what = of ? (isPlain ? "latency " + of : "requests slower than stable\u2019s " + of)
    : name === "error_rate" ? "failed requests" : plain(name);
  const kinds = { "": "", critical: " (fast test for gross failures)", slo: " (the promised rate)" };
  return what + (kinds[kind] ?? (isPlain ? " (a plain threshold)" : " (" + kind + ")"));
}

export const plain = word => word.replaceAll("_", " ");

/** What failed attempts of one kind are called. */
export const reason = ({ reason, code_class }) =>
  reason === "none" ? "answered " + code_class : plain(reason);

const EFFECTS = {
  all_fail: "all fail",
  errors_plus_5pp: "5 pp more fail",
  errors_x2: "twice as many fail",
  latency_x2: "all twice as slow",
  latency_plus_20pct: "all 20% slower",
  p99_x2: "p99 twice as slow",
};
export const effect = word => EFFECTS[word] ?? plain(word);

const STEPS = [
  [/^set_weight (.+)$/, share => share + " of users go to the canary"],
  [/^pause$/, () => "waits for a person"],
  [/^pause (.+)$/, time => "waits " + time],
  [/^bake (.+)$/, time => "is watched for " + time + " more"],
  [/^analysis until decided(.*)$/, more => "waits for the verdict" + more],
  [/^auto (\S+) to (\S+),.*$/, (from, to) => "raises itself from " + from + " to " + to],
  [/^gate (.+)$/, how => "waits for its gate to be opened (" + how + ")"],
];

/** A step as a sentence's end. */
export function step(text) {
  for (const [pattern, said] of STEPS) {
    const found = pattern.exec(text);
    if (found) return said(...found.slice(1));
  }
  return text;
}

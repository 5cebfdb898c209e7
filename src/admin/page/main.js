// The page's loop: frames come from the event stream, are remembered, and are shown. Nothing is
// kept that is not in a frame, in news or in a rollout's evidence.

import { askToken, credentials, isOpen, setUpActs, shortcut } from "./acts.js";
import { by, make, put } from "./dom.js";
import { showAftermath } from "./aftermath.js";
import { showAlarms, showHealth } from "./health.js";
import { showCulprits } from "./culprits.js";
import { showDifferences } from "./differences.js";
import { showEndpoints } from "./endpoints.js";
import { showErrors } from "./errors.js";
import { showLatency } from "./latency.js";
import { Memory } from "./memory.js";
import { listen } from "./stream.js";
import { remember, tell } from "./timeline.js";
import { showTraffic } from "./traffic.js";
import { setUpVerdict, showVerdict } from "./verdict.js";
import { phase, verdict } from "./words.js";

/** Splits whose course is remembered; with more only the chosen one's is. */
const REMEMBERED_MAX = 20;
/** So long without a frame means that something is wrong. */
const SILENCE_MS = 4000;
/** Between two questions for the evidence of one rollout. */
const ASK_MS = 5000;

const state = {
  frame: null,
  survey: null,
  chosen: new URLSearchParams(location.search).get("split"),
  memories: new Map(),
  heard: 0,
  isDue: false,
  spoken: "",
};
// For people at the console, and for tests: the frame that is shown.
globalThis.serin = state;

function chosenSplit() {
  const splits = state.frame?.splits ?? [];
  return splits.find(split => split.name === state.chosen) ?? splits[0];
}

function memoryOf(name) {
  if (!state.memories.has(name)) state.memories.set(name, new Memory());
  return state.memories.get(name);
}

function choose(name) {
  state.chosen = name;
  history.replaceState(null, "", "?split=" + encodeURIComponent(name));
  draw();
}

function showChooser(splits, chosen) {
  const nav = by("chooser");
  const names = splits.map(split => split.name);
  const known = [...nav.children].map(child => child.dataset.split);
  if (names.join("\n") !== known.join("\n"))
    nav.replaceChildren(...names.map(name =>
      make("button", { type: "button", "data-split": name, onclick: () => choose(name) },
        make("span", { class: "sign", "aria-hidden": "true" }),
        make("span", { class: "name" }, name),
        make("span", { class: "share" }))));
  splits.forEach((split, place) => {
    const button = nav.children[place];
    const [word, glyph, kind] = phase(split.phase);
    const [mark, name, share] = button.children;
    button.setAttribute("aria-current", split === chosen ? "true" : "false");
    button.title = split.name + ": " + word.toLowerCase() + ", canary " + split.weight.effective;
    put(mark, glyph).className = "sign " + kind;
    put(name, split.name);
    put(share, split.canary ? split.weight.effective : "");
  });
}

/** Says what changed to those who cannot see it. */
function speak(split) {
  const [word] = phase(split.phase);
  const judged = split.analysis ? ", verdict " + verdict(split.analysis.verdict)[0] : "";
  const now = split.name + ": " + word + ", canary " + split.weight.effective + judged;
  if (now !== state.spoken) put(by("spoken"), now);
  state.spoken = now;
  const glyph = phase(split.phase)[1];
  const title = glyph + " " + split.name + " " + word.toLowerCase() + " - Serin";
  if (document.title !== title) document.title = title;
}

function draw() {
  state.isDue = false;
  const frame = state.frame;
  if (!frame) return;
  document.documentElement.dataset.at = frame.at;
  showHealth(frame);
  showAlarms(frame);
  const split = chosenSplit();
  document.body.classList.toggle("empty", !split);
  if (!split) {
    put(by("waiting"), "The file in force has no splits.");
    return;
  }
  const memory = memoryOf(split.name);
  showChooser(frame.splits, split);
  showVerdict(frame, split);
  showAftermath(frame, split, memory);
  showDifferences(frame, split, memory);
  showLatency(frame, split, memory);
  showTraffic(frame, split, memory);
  showErrors(frame, split, memory);
  showCulprits(split, memory);
  showEndpoints(frame, split, state.survey);
  speak(split);
  recall(split, memory);
}

/** Asks for the rollout's past when a split is first looked at, and again when it ends. */
async function recall(split, memory) {
  const isOver = split.phase === "rolled_back" || split.phase === "promoted";
  const isKnown = memory.evidence && (!isOver || memory.evidence.rollout.ended);
  if (isKnown || !split.canary || Date.now() - memory.asked < ASK_MS) return;
  memory.asked = Date.now();
  const id = split.name + "-" + split.epoch;
  try {
    const list = await get("v1/rollouts?split=" + encodeURIComponent(split.name));
    if (!list.rollouts.some(it => it.id === id)) return;
    const evidence = await get("v1/rollouts/" + encodeURIComponent(id) + "/evidence");
    if (memory.epoch === evidence.rollout.epoch) memory.recall(evidence);
    schedule();
  } catch {
    // The page says already that the connection is lost; it asks again later.
  }
}

async function get(path) {
  const answer = await fetch(path, { headers: credentials() });
  if (!answer.ok) throw new Error(path + ": " + answer.status);
  return answer.json();
}

function schedule() {
  if (state.isDue) return;
  state.isDue = true;
  // A page in the background draws when it is looked at.
  requestAnimationFrame(draw);
}

function takeFrame(frame) {
  state.frame = frame;
  state.heard = Date.now();
  found();
  const few = frame.splits.length <= REMEMBERED_MAX;
  const chosen = chosenSplit();
  for (const split of frame.splits)
    if (few || split === chosen) memoryOf(split.name).take(split, frame.at);
  for (const name of state.memories.keys())
    if (!frame.splits.some(split => split.name === name)) state.memories.delete(name);
  remember(few ? frame.splits : [chosen].filter(Boolean));
  schedule();
}

function lost(why) {
  const since = state.heard ? new Date(state.heard).toISOString().slice(11, 19) + " UTC" : "";
  const what = since ? "What you see is as it was at " + since + "." : "Nothing was heard yet.";
  put(by("lost"), why + " " + what + " Trying again.");
  by("lost").hidden = false;
  document.body.classList.add("stale");
}

function found() {
  by("lost").hidden = true;
  document.body.classList.remove("stale");
}

function take(name, data) {
  if (name === "status") takeFrame(JSON.parse(data));
  else if (name === "news") tell(JSON.parse(data));
  else if (name === "endpoints") {
    state.survey = JSON.parse(data);
    schedule();
  } else if (name === "missed") tell({
    at: state.frame?.at ?? "", split: null, event: "missed", by: "this page", is_warning: true,
    text: data + " news were missed; `serin events` and the log have them",
  });
}

/** Says what is the matter; where nobody may read without a token, waits until one is given. */
async function end(status) {
  if (status === 401 || status === 403) {
    lost("Whoever wants to look needs a token.");
    await askToken();
  } else lost(status === 503 ? "Too many pages are open." : "The connection to Serin is lost.");
}

setInterval(() => {
  const isSilent = state.heard && Date.now() - state.heard > SILENCE_MS;
  if (isSilent && !document.hidden && by("lost").hidden) lost("Serin has sent nothing for 4 s.");
}, 1000);

document.addEventListener("keydown", event => {
  const isTyping = event.target instanceof HTMLInputElement;
  if (isTyping || isOpen() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "[" || event.key === "]") {
    const names = (state.frame?.splits ?? []).map(split => split.name);
    const place = names.indexOf(chosenSplit()?.name) + (event.key === "]" ? 1 : -1);
    if (names[place]) choose(names[place]);
  } else if (!shortcut(event.key)) return;
  event.preventDefault();
});
addEventListener("resize", schedule);

setUpVerdict(chosenSplit);
setUpActs(chosenSplit);
listen("v1/events", credentials, take, end);

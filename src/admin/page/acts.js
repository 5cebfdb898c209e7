// What a person can do to a split: buttons, keys, and the dialog that asks why. An act carries the
// epoch that was on the screen, so nobody acts on a rollout that they have not seen.

import { by, make, put } from "./dom.js";

const CANARY = split => "the canary " + split.canary;

/** In the order of the buttons: verb, key, phases, what it does. */
export const ACTS = [
  { verb: "pause", key: "p", phases: ["progressing", "paused"],
    text: split => `Holds ${CANARY(split)} at ${split.weight.effective}. It is judged all the `
      + "same: a fail still takes it to 0." },
  { verb: "resume", key: "r", phases: ["idle", "paused"],
    text: split => `Goes on with the steps of ${CANARY(split)}.` },
  { verb: "promote", key: "m", phases: ["idle", "progressing", "paused"],
    text: split => `Goes on to the next step of ${CANARY(split)} without waiting.` },
  { verb: "abort", key: "a", isGrave: true,
    phases: ["idle", "progressing", "paused", "promoted", "rolled_back"],
    text: split => `Takes all users off ${CANARY(split)}, now. They go to ${split.stable}.` },
  { verb: "retry", key: "t", phases: ["rolled_back", "promoted"],
    text: split => `Begins a new rollout of ${CANARY(split)}, with new evidence.` },
  { verb: "undo", phases: ["promoted"], isRare: true,
    text: split => `Takes back the promotion: all users go to ${split.stable}.` },
  { verb: "open-gate", phases: ["progressing", "paused"], isRare: true, isForGates: true,
    text: () => "Opens the gate that this step waits for." },
];

let chosen;
let open = null;
let token = null;

/** Whether an act makes sense now. */
export function isAllowed(act, split) {
  const isAtGate = split.step?.text.startsWith("gate") ?? false;
  return Boolean(split.canary) && act.phases.includes(split.phase) && (!act.isForGates || isAtGate);
}

export const name = verb => verb[0].toUpperCase() + verb.slice(1).replace("-", " ");
export const isOpen = () => document.querySelector("dialog[open]") !== null;

/** What goes along with every question. */
export const credentials = (known = token) =>
  known ? { Authorization: "Bearer " + known } : {};

/** A link that a token is needed for is fetched and saved: a browser sends none along. */
export async function follow(event) {
  if (!token) return;
  event.preventDefault();
  const link = event.currentTarget;
  const answer = await fetch(link.href, { headers: credentials() });
  const saved = make("a", { download: link.href.split("/").slice(-2).join("-") });
  saved.href = URL.createObjectURL(await answer.blob());
  saved.click();
  URL.revokeObjectURL(saved.href);
}

/** Waits until a token was typed in. */
export function askToken() {
  token = null;
  by("login").showModal();
  return new Promise(given => by("login").addEventListener("close", () => {
    token = by("login-token").value.trim() || null;
    by("login-token").value = "";
    given();
  }, { once: true }));
}

/** Whether this caller may act; a dialog that can say so at once asks for a token. */
async function role() {
  try {
    const answer = await fetch("v1/whoami", { headers: credentials() });
    return answer.ok ? await answer.json() : { role: "none", who: "nobody" };
  } catch {
    return null;
  }
}

async function showRole() {
  const known = await role();
  const mayAct = !known || known.role === "operate" || known.role === "admin";
  by("act-token-row").hidden = mayAct;
  put(by("act-who"), !known ? "" : mayAct ? "As " + known.who + "."
    : known.who + " may not act (role: " + known.role + "); a token with the role operate may.");
}

/** Opens the dialog of an act. */
export function ask(act) {
  const split = chosen();
  if (!split || !isAllowed(act, split)) return;
  open = { act, split: split.name, epoch: split.epoch };
  put(by("act-heading"), name(act.verb) + " " + split.name);
  put(by("act-text"), act.text(split) + " Epoch " + split.epoch + ".");
  put(by("act-do"), name(act.verb)).className = act.isGrave ? "grave" : "main";
  by("act-do").disabled = false;
  by("act-full-row").hidden = act.verb !== "promote";
  by("act-full").checked = false;
  by("act-token-row").hidden = true;
  put(by("act-who"), "");
  by("act-refusal").hidden = true;
  by("act-reason").value = "";
  by("act").showModal();
  by("act-reason").focus();
  showRole();
}

/** Does what a key means; whether it means something. */
export function shortcut(key) {
  if (key === "?") {
    by("help").showModal();
    return true;
  }
  const act = ACTS.find(it => it.key === key);
  if (act) ask(act);
  return Boolean(act);
}

function refuse(text) {
  put(by("act-refusal"), text);
  by("act-refusal").hidden = false;
  by("act-do").disabled = false;
}

async function send(event) {
  event.preventDefault();
  const { act, split, epoch } = open;
  const tried = by("act-token").value.trim() || token;
  const headers = { "Content-Type": "application/json", "If-Match": `"${epoch}"`,
    ...credentials(tried) };
  const body = {};
  const reason = by("act-reason").value.trim();
  if (reason) body.reason = reason;
  if (act.verb === "promote" && by("act-full").checked) body.full = true;
  by("act-do").disabled = true;
  const path = "v1/splits/" + encodeURIComponent(split) + ":" + act.verb;
  try {
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) {
      token = tried;
      by("act").close();
      done(said.message ?? name(act.verb) + ": done");
      return;
    }
    const { message = "the answer was " + answer.status, help = "" } = said.error ?? {};
    if (answer.status === 401 || answer.status === 403) {
      by("act-token-row").hidden = false;
      by("act-token").focus();
    }
    refuse("Refused: " + message + (help ? ". " + help[0].toUpperCase() + help.slice(1) : "")
      + ".");
  } catch {
    refuse("Serin could not be reached; nothing was changed as far as this page knows.");
  }
}

function done(text) {
  const told = make("p", { class: "told" }, "\u2713 " + text);
  by("told").replaceChildren(told);
}

export function setUpActs(chosenSplit) {
  chosen = chosenSplit;
  by("act").querySelector("form").addEventListener("submit", send);
  by("act-cancel").addEventListener("click", () => by("act").close());
  by("act").addEventListener("close", () => {
    // It is told a little later, and the dialog of another act may be open by then.
    if (by("act").open) return;
    by("act-token").value = "";
    open = null;
  });
  by("help-open").addEventListener("click", () => by("help").showModal());
}

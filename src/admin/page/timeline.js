// What has happened, the newest first: decisions of all splits, and news as they come.

import { by, make } from "./dom.js";
import * as words from "./words.js";

const LINES_MAX = 120;
/** More than the histories that are looked at hold together. */
const SEEN_MAX = 8000;
const GRAVE = ["rolled_back", "aborted", "failed", "config_rejected", "missed", "shadow_alarm"];
const seen = new Set();

const id = ({ at, split, event }) => [at, split, event].join(" ");

/** Takes decisions that were made before the page was opened, or while it had no connection. */
export function remember(splits) {
  const missed = splits.flatMap(split => split.history.map(entry => ({
    at: entry.at, split: split.name, event: entry.what, weight: entry.weight, by: entry.by,
    text: entry.why, is_warning: false,
  }))).filter(news => !seen.has(id(news)));
  missed.sort((a, b) => a.at < b.at ? -1 : 1).forEach(tell);
}

/** Adds a line in its place. */
export function tell(news) {
  if (seen.has(id(news))) return;
  seen.add(id(news));
  const list = by("timeline").querySelector("ol");
  const isGrave = GRAVE.includes(news.event);
  const kind = isGrave ? "bad" : news.event === "promoted" ? "good" : news.is_warning ? "wait" : "";
  const glyph = { bad: "\u2715", good: "\u2713", wait: "!" }[kind] ?? "\u00b7";
  const line = make("li", { class: kind || null, "data-at": news.at },
    make("time", { datetime: news.at, title: words.moment(news.at) }, words.clock(news.at)),
    make("span", { class: "sign", "aria-hidden": "true" }, glyph),
    make("span", { class: "what" }, make("strong", {}, words.plain(news.event)),
      news.split ? " " + news.split : "", news.weight ? " " + news.weight : ""),
    make("span", { class: "text" }, news.text, news.by ? make("small", {}, " " + news.by) : ""));
  const older = [...list.children].find(it => it.dataset.at <= news.at);
  list.insertBefore(line, older ?? null);
  while (list.children.length > LINES_MAX) list.lastChild.remove();
  if (seen.size > SEEN_MAX) seen.delete(seen.values().next().value);
}

// What was said and when: calls and recordings, found by text.

import { title } from "./live.js";
import { el, Listing } from "./page.js";
import { row as recordingRow } from "./recordings.js";
import { clock, moment, t } from "./text.js";

/** Fill `main` with the search and what it finds. */
export function history(main) {
  const calls = new Listing("/v1/calls", callRow, t("nothing_found"));
  const recordings = new Listing("/v1/recordings", recordingRow, t("nothing_found"));
  const label = { "aria-label": t("query"), placeholder: t("query") };
  const text = el("input", { type: "search", name: "text", ...label });
  const since = el("input", { type: "date", name: "since" });

  function search(event) {
    event?.preventDefault();
    const midnight = since.value && new Date(`${since.value}T00:00`).toISOString();
    const query = { text: text.value.trim(), since: midnight };
    calls.ask(query);
    recordings.ask(query);
  }
  main.append(el("h1", {}, t("history")),
    el("form", { class: "search", role: "search", onsubmit: search },
      text,
      el("label", {}, t("since"), since),
      el("button", { class: "primary" }, t("search"))),
    el("div", { class: "found" },
      el("section", {}, el("h2", {}, t("calls")), calls.element),
      el("section", {}, el("h2", {}, t("recordings")), recordings.element)));
  search();
  return () => {};
}

function callRow({ call_id, details, door, started_at }) {
  const facts = el("span", { class: "quiet" });
  const state = el("span", { class: "badge" });
  const element = el("li", { "data-id": call_id },
    el("a", { href: `#call/${encodeURIComponent(call_id)}` }, title(call_id, details)),
    el("span", { class: "quiet" }, moment(started_at)),
    el("span", { class: "badge" }, door), state, facts);
  function update({ ended_at, duration_s, finals }) {
    state.textContent = t("open"); // it runs, or the server was killed under it
    state.hidden = Boolean(ended_at);
    const length = `${clock(duration_s ?? 0)} · ${t("finals", { count: finals ?? 0 })}`;
    facts.textContent = ended_at ? length : "";
  }
  return { element, update };
}

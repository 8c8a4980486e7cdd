// The running calls: their levels, and their text as it is said.

import { api, el, every, follow } from "./page.js";
import { Said } from "./said.js";
import { clock, t } from "./text.js";

const LEVELS_MS = 1000; // the server calls a level stale after a second
const ENDED_KEPT = 5;
const LOWEST_DB = -60; // below: line noise

/** Fill `main` with the running calls. */
export function live(main) {
  const cards = new Map();
  const list = el("ul", { class: "cards" });
  const none = el("p", { class: "quiet" }, t("no_calls"));
  main.append(el("h1", {}, t("live")), none, list);

  function card(call) {
    const known = cards.get(call.call_id);
    if (known && !known.over) return known;
    known?.element.remove();
    const made = new Card(call);
    cards.set(call.call_id, made);
    list.prepend(made.element);
    none.hidden = true;
    return made;
  }

  function end(card) {
    card.end();
    list.append(card.element);
    const over = [...cards.values()].filter((each) => each.over);
    for (const old of over.slice(0, Math.max(0, over.length - ENDED_KEPT))) {
      old.element.remove();
      cards.delete(old.call_id);
    }
  }

  async function look() {
    const { items } = await api("/v1/calls/live").catch(() => ({ items: null }));
    if (!items) return;
    for (const call of items) {
      if (!cards.get(call.call_id)?.over) card(call).hear(call);
    }
    const running = new Set(items.map((call) => call.call_id));
    for (const each of cards.values()) {
      // Twice, for a call may begin while the answer is under way.
      each.missed = running.has(each.call_id) ? 0 : each.missed + 1;
      if (each.missed > 1 && !each.over) end(each);
    }
  }

  const stopEvents = follow("/v1/events", {
    open: look,
    CallStarted: (event) => card(event),
    Partial: (event) => cards.get(event.call_id)?.said.partial(event),
    Final: (event) => cards.get(event.call_id)?.said.final(event),
    Dtmf: (event) => cards.get(event.call_id)?.said.key(event),
    CallProgress: (event) => cards.get(event.call_id)?.said.progress(event),
    CallEnded: (event) => cards.has(event.call_id) && end(cards.get(event.call_id)),
  });
  const stopLevels = every(LEVELS_MS, look);
  return () => {
    stopEvents();
    stopLevels();
  };
}

/** One call. */
class Card {
  constructor({ call_id, door, profile, details = {}, text, partial }) {
    Object.assign(this, { call_id, over: false, missed: 0 });
    this.said = new Said();
    this.time = el("span", { class: "time" });
    this.state = el("span", { class: "badge good" }, t("running"));
    this.meters = el("div", { class: "meters" });
    this.element = el("li", { class: "card" },
      el("header", {},
        el("h2", {},
          el("a", { href: `#call/${encodeURIComponent(call_id)}` }, title(call_id, details))),
        this.time, this.state,
        el("span", { class: "badge" }, door),
        profile && el("span", { class: "badge" }, profile)),
      this.meters, this.said.element);
    if (text) this.said.final({ text });
    if (partial) this.said.partial({ text: partial });
  }

  /** Show how long and how loud it is. */
  hear({ legs }) {
    this.time.textContent = clock(Math.max(0, ...legs.map((leg) => leg.clock_s)));
    while (this.meters.children.length < legs.length) {
      this.meters.append(el("meter", { min: LOWEST_DB, max: 0, high: -3, optimum: -20 }));
    }
    legs.forEach((leg, i) => {
      const meter = this.meters.children[i];
      meter.value = leg.level_db ?? LOWEST_DB;
      meter.setAttribute("aria-label", `${t("level")} ${legs.length > 1 ? leg.leg_id : ""}`);
    });
  }

  end() {
    this.over = true;
    this.element.classList.add("over");
    this.state.textContent = t("ended");
    this.state.classList.remove("good");
    this.meters.remove();
    this.said.partial({ text: "" });
  }
}

/** Return what people call a call: who calls, or else the start of its id. */
export function title(call_id, details) {
  const { caller, callerid, from } = details ?? {};
  return String(caller ?? callerid ?? from ?? call_id.slice(0, 13));
}

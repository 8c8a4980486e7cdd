// The text of a call: finals for good, the partial below them in grey, keys and tones in between.

import { el } from "./page.js";
import { clock, t } from "./text.js";

const LINES = 200; // kept on the page while a call runs; its own page has all of them

/** A box of text that follows what is said. */
export class Said {
  /** @param lines the most lines kept. */
  constructor(lines = LINES) {
    this.lines = lines;
    this.finals = el("ol", { role: "log", "aria-live": "polite", "aria-label": t("said") });
    this.open = el("p", { class: "partial", "aria-hidden": "true" });
    const group = { tabindex: 0, role: "group", "aria-label": t("said") };
    this.element = el("div", { class: "said", ...group }, this.finals, this.open);
  }

  /** Show text that may still change. */
  partial({ text }) {
    this.keepingUp(() => (this.open.textContent = text));
  }

  /** Show text for good. */
  final({ text, error, start_s }) {
    this.partial({ text: "" });
    if (error) this.add(start_s, el("span", { class: "bad", title: error }, t("unheard")));
    else if (text) this.add(start_s, el("span", {}, text));
  }

  /** Show that a key was pressed. */
  key({ digit, at_s }) {
    this.add(at_s, el("span", { class: "badge" }, t("key", { digit })));
  }

  /** Show a tone, music, or what an operator's message means. */
  progress({ kind, start_s }) {
    this.add(start_s, el("span", { class: "badge" }, t(kind)));
  }

  add(at_s, what) {
    const time = at_s == null ? null : el("span", { class: "time" }, clock(at_s));
    this.keepingUp(() => this.finals.append(el("li", {}, time, what)));
    if (this.finals.children.length > this.lines) this.finals.firstElementChild.remove();
  }

  /** Change something; whoever reads the end goes on reading the end. */
  keepingUp(change) {
    const box = this.element;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    change();
    if (atEnd) box.scrollTop = box.scrollHeight;
  }
}

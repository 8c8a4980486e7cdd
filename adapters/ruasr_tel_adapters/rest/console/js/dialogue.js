// Turns as a dialogue; every word is a button that moves the player.

import { el } from "./page.js";
import { clock, t } from "./text.js";

const MARKS = ["overlaps", "interrupts", "crosstalk"];
const AHEAD_S = 0.02; // players stop a little before where they are sent

/** The words of a recording; one at a time is in the tab order, arrow keys move among them. */
export class Dialogue {
  /**
   * @param dialogue as the server has it.
   * @param onSeek takes the start of a word in seconds.
   */
  constructor({ turns, sides }, onSeek) {
    this.words = [];
    this.now = null;
    const onclick = ({ target }) => {
      if (!target.dataset.start) return;
      this.focusable(target);
      onSeek(Number(target.dataset.start));
    };
    const onkeydown = (event) => this.move(event);
    const rows = turns.map((turn) => this.turn(turn, sides.length > 1));
    const label = { class: "dialogue", "aria-label": t("words_hint") };
    this.element = el("ol", { ...label, onclick, onkeydown }, rows);
    if (!turns.length) this.element.replaceChildren(el("li", { class: "quiet" }, t("silent")));
    this.buttons = [...this.element.querySelectorAll("button")];
    // By start: turns may overlap, so that words in order of turns are not in order of time.
    this.byTime = this.buttons.map((button) => [Number(button.dataset.start), button]);
    this.byTime.sort(([a], [b]) => a - b);
    if (this.buttons.length) this.focusable(this.buttons[0]);
  }

  turn(turn, named) {
    const marks = MARKS.filter((mark) => turn[mark]);
    const words = turn.words.length ? turn.words : [turn];
    return el("li", { class: ["turn", `side${turn.channel % 2}`, ...marks].join(" ") },
      el("p", { class: "who" },
        el("span", { class: "time" }, clock(turn.start_s)),
        named && el("span", {}, t("channel", { channel: turn.channel })),
        marks.map((mark) => el("span", { class: "badge" }, t(mark)))),
      el("p", { class: "words" }, words.flatMap((word) => [this.word(word), " "])));
  }

  word({ text, start_s, end_s, confidence }) {
    const sure = confidence == null ? "" : ` · ${Math.round(confidence * 100)} %`;
    const title = `${clock(start_s, 1)}–${clock(end_s, 1)}${sure}`;
    return el("button", { type: "button", tabindex: -1, "data-start": start_s, title }, text);
  }

  /** Mark the word that is heard at a time. */
  show(time_s) {
    let low = 0, high = this.byTime.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.byTime[middle][0] <= time_s + AHEAD_S) low = middle + 1;
      else high = middle;
    }
    const button = low ? this.byTime[low - 1][1] : null;
    if (button === this.now) return;
    this.now?.classList.remove("now");
    button?.classList.add("now");
    this.now = button;
  }

  move(event) {
    const at = this.buttons.indexOf(event.target);
    const last = this.buttons.length - 1;
    const next = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1 };
    const to = { ...next, Home: 0, End: last }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const button = this.buttons[Math.min(Math.max(to, 0), last)];
    this.focusable(button);
    button.focus();
  }

  focusable(button) {
    this.reached?.setAttribute("tabindex", "-1");
    button.setAttribute("tabindex", "0");
    this.reached = button;
  }
}

// The outline of a recording, a track for each channel; a click or an arrow key moves the player.

import { el } from "./page.js";
import { clock, t } from "./text.js";

const TRACK_PX = 72;
const STEP_S = 5; // of an arrow key, as players of video have it

/** A picture of a recording. */
export class Wave {
  /**
   * @param peaks as the server has them.
   * @param dialogue its turns are shown behind the outline.
   * @param onSeek takes a time in seconds.
   */
  constructor({ duration_s, channels }, { turns, sides }, onSeek) {
    Object.assign(this, { duration_s, channels, turns, onSeek, time_s: 0 });
    this.split = sides.length > 1;
    this.element = el("canvas", {
      role: "slider",
      tabindex: 0,
      "aria-label": t("wave"),
      "aria-valuemin": 0,
      "aria-valuemax": Math.round(duration_s),
      onclick: ({ offsetX }) => this.seek((offsetX / this.element.clientWidth) * duration_s),
      onkeydown: (event) => this.key(event),
    });
    this.colours = matchMedia("(prefers-color-scheme: dark)");
    this.draw = this.draw.bind(this);
    this.colours.addEventListener("change", this.draw);
    this.size = new ResizeObserver(this.draw);
    this.size.observe(this.element);
    this.show(0);
  }

  /** Stop watching the page. */
  close() {
    this.size.disconnect();
    this.colours.removeEventListener("change", this.draw);
  }

  /** Show where the player is. */
  show(time_s) {
    this.time_s = time_s;
    this.element.setAttribute("aria-valuenow", Math.round(time_s));
    this.element.setAttribute("aria-valuetext", clock(time_s));
    this.draw();
  }

  seek(time_s) {
    this.onSeek(Math.min(Math.max(time_s, 0), this.duration_s));
  }

  key(event) {
    const next = { ArrowRight: this.time_s + STEP_S, ArrowLeft: this.time_s - STEP_S };
    const to = { ...next, Home: 0, End: this.duration_s }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.seek(to);
  }

  draw() {
    const { element: canvas, channels } = this;
    const width = canvas.clientWidth;
    if (!width) return;
    const height = TRACK_PX * channels.length;
    const scale = devicePixelRatio;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name);
    channels.forEach((peaks, channel) => this.track(pen, peaks, channel, width, colour));
    pen.fillStyle = colour("--text");
    pen.fillRect(this.x(this.time_s, width) - 1, 0, 2, height);
  }

  track(pen, peaks, channel, width, colour) {
    const [top, middle] = [channel * TRACK_PX, (channel + 0.5) * TRACK_PX];
    const mine = this.turns.filter((turn) => !this.split || turn.channel === channel);
    for (const { start_s, end_s, crosstalk } of mine) {
      const from = this.x(start_s, width);
      pen.fillStyle = colour(crosstalk ? "--soft" : `--side${channel % 2}-soft`);
      pen.fillRect(from, top + 2, Math.max(1, this.x(end_s, width) - from), TRACK_PX - 4);
    }
    pen.fillStyle = colour(`--side${channel % 2}`);
    const step = width / peaks.length;
    const loudest = Math.max(0.05, ...peaks);
    peaks.forEach((peak, i) => {
      const reach = Math.max(0.5, (peak / loudest) * (TRACK_PX / 2 - 6));
      pen.fillRect(i * step, middle - reach, Math.max(0.6, step * 0.8), reach * 2);
    });
  }

  x(time_s, width) {
    return (time_s / this.duration_s) * width;
  }
}

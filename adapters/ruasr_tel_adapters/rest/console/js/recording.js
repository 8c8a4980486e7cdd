// One recording: how far it is, then its sound, its words and its figures.

import { Dialogue } from "./dialogue.js";
import { api, complaint, el, follow } from "./page.js";
import { isOver, showState, stateParts } from "./recordings.js";
import { clock, moment, seconds, t } from "./text.js";
import { Wave } from "./wave.js";

const POINTS = 2000; // of the outline: a wide screen has that many pixels
const FIGURES = ["talk_s", "silence_s", "overlap_s", "interruptions", "turns", "words"];
const FORMS = { text: "txt", srt: "srt", vtt: "vtt", json: "json" };

/** Fill `main` with a recording. */
export function recording(main, id) {
  const path = `/v1/recordings/${encodeURIComponent(id)}`;
  const parts = stateParts();
  const onclick = () => api(path, { method: "DELETE" }).then(take, wrong.say);
  const cancel = el("button", { type: "button", hidden: true, onclick }, t("cancel"));
  const heading = el("h1", {}, t("recording"));
  const facts = el("p", { class: "quiet" });
  const wrong = complaint();
  const body = el("div");
  main.append(el("a", { href: "#recordings" }, `← ${t("back")}`), heading, facts,
    el("p", { class: "state", role: "status" }, ...Object.values(parts), cancel), wrong, body);
  let leave = null;
  let left = false;

  function take(item) {
    if (left) return;
    showState(item, parts);
    cancel.hidden = isOver(item);
    if (item.created_at) introduce(item);
    if (item.result && !leave) leave = result(body, item, path);
  }

  function introduce({ name, created_at, url, result }) {
    heading.textContent = name || id;
    const length = result && t("duration", { time: clock(result.duration_s) });
    facts.textContent = [moment(created_at), length, url].filter(Boolean).join(" · ");
  }

  const load = () => api(path).then(take).catch(wrong.say);
  load();
  const stop = follow(`${path}/events`, { state: (event) => {
    take(event);
    if (isOver(event) || event.state === "delivering") load();
  } });
  return () => {
    left = true;
    stop();
    leave?.();
  };
}

/** Fill `body` with what was said; return what is done on leaving. */
function result(body, { id, name, result: dialogue }, path) {
  const audio = el("audio", { controls: true, preload: "metadata", src: `${path}/audio` });
  const silentNote = complaint();
  const seek = (time_s) => {
    audio.currentTime = time_s;
    audio.play().catch(() => {}); // a browser may ask for a click on the player first
  };
  const words = new Dialogue(dialogue, seek);
  const picture = el("div", { class: "picture" });
  let wave = null;
  audio.addEventListener("error", () => silentNote.say(t("no_audio")));
  api(`${path}/peaks?points=${POINTS}`).then((peaks) => {
    wave = new Wave(peaks, dialogue, (time_s) => (audio.currentTime = time_s));
    picture.append(wave.element);
  }, silentNote.say);

  let frame = 0;
  function follow() {
    wave?.show(audio.currentTime);
    words.show(audio.currentTime);
    frame = audio.paused ? 0 : requestAnimationFrame(follow);
  }
  for (const kind of ["play", "seeking", "timeupdate"]) {
    audio.addEventListener(kind, () => {
      cancelAnimationFrame(frame);
      follow();
    });
  }
  body.append(
    el("section", { class: "player" }, picture, audio, silentNote),
    downloads(path, name || id, dialogue, words),
    el("h2", {}, t("dialogue")), notes(dialogue), words.element,
    el("h2", {}, t("figures")), figures(dialogue));
  return () => {
    cancelAnimationFrame(frame);
    audio.pause();
    wave?.close();
  };
}

function downloads(path, name, { turns }, words) {
  const stem = name.replace(/\.\w{1,5}$/, "");
  const links = Object.entries(FORMS).map(([format, suffix]) => {
    const shown = format === "text" ? t("plain") : format.toUpperCase();
    return [format, el("a", { class: "button", download: `${stem}.${suffix}` }, shown)];
  });
  const box = el("input", { type: "checkbox", onchange: point });
  function point() {
    for (const [format, link] of links) {
      link.href = `${path}?format=${format}&leave_out_crosstalk=${box.checked}`;
    }
    words.element.classList.toggle("without-crosstalk", box.checked);
  }
  point();
  const some = turns.some((turn) => turn.crosstalk);
  return el("p", { class: "downloads" },
    `${t("download")}:`, links.map(([, link]) => link),
    some && el("label", {}, box, t("hide_crosstalk")));
}

/** Return what is to be known of the file and of speech that has no text. */
function notes({ transcript: { fault, segments } }) {
  const lost = segments.filter((segment) => segment.error).map(({ start_s }) => clock(start_s));
  return el("div", { class: "complaint" },
    fault && el("p", {}, t("fault", { fault })),
    lost.length > 0 && el("p", {}, `${t("unheard")}: ${lost.join(", ")}`));
}

function figures({ sides }) {
  const head = sides.map(({ channel }) =>
    el("th", { scope: "col", class: `side${channel % 2}` }, t("channel", { channel })));
  const shown = (field, value) => (field.endsWith("_s") ? seconds(value) : String(value));
  const rows = FIGURES.map((field) => el("tr", {},
    el("th", { scope: "row" }, t(field)),
    sides.map((side) => el("td", {}, shown(field, side[field])))));
  return el("table", {}, el("thead", {}, el("tr", {}, el("td"), head)), el("tbody", {}, rows));
}

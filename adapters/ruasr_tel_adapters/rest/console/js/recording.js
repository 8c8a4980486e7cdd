// One recording: how far it is, then its sound, its words and its figures.

import { Dialogue } from "./dialogue.js";
import { api, complaint, el, follow } from "./page.js";
import { isOver, showState } from "./recordings.js";
import { clock, moment, seconds, t } from "./text.js";
import { Wave } from "./wave.js";

const POINTS = 2000; // of the outline: a wide screen has that many pixels
const FORMS = { text: "txt", srt: "srt", vtt: "vtt", json: "json" };

/** Fill `main` with a recording. */
export function recording(main, id) {
  const path = `/v1/recordings/${encodeURIComponent(id)}`;
  const parts = { state: el("span", { class: "badge" }), progress: el("progress", { max: 1, "aria-label": t("progress") }), reason: el("span", { class: "bad" }) };
  const cancel = el("button", { type: "button", hidden: true, onclick: () => api(path, { method: "DELETE" }).then(take, wrong.say) }, t("cancel"));
  const heading = el("h1", {}, t("recording"));
  const facts = el("p", { class: "quiet" });
  const wrong = complaint();
  const body = el("div");
  main.append(el("a", { href: "#recordings" }, `← ${t("back")}`), heading, facts,
    el("p", { class: "state", role: "status" }, parts.state, parts.progress, parts.reason, cancel), wrong, body);
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
    facts.textContent = [moment(created_at), result && t("duration", { time: clock(result.duration_s) }), url].filter(Boolean).join(" · ");
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
    el("h2", {}, t("dialogue")), fault(dialogue), words.element,
    el("h2", {}, t("figures")), figures(dialogue));
  return () => {
    cancelAnimationFrame(frame);
    audio.pause();
    wave?.close();
  };
}

function downloads(path, name, { turns }, words) {
  const links = Object.entries(FORMS).map(([format, suffix]) =>
    [format, el("a", { class: "button", download: `${name.replace(/\.\w{1,5}$/, "")}.${suffix}` }, format === "text" ? t("plain") : format.toUpperCase())]);
  const box = el("input", { type: "checkbox", onchange: point });
  function point() {
    for (const [format, link] of links) link.href = `${path}?format=${format}&leave_out_crosstalk=${box.checked}`;
    words.element.classList.toggle("without-crosstalk", box.checked);
  }
  point();
  const some = turns.some((turn) => turn.crosstalk);
  return el("p", { class: "downloads" }, `${t("download")}:`, links.map(([, link]) => link), some && el("label", {}, box, t("hide_crosstalk")));
}

function fault({ transcript }) {
  return transcript.fault && el("p", { class: "complaint" }, t("fault", { fault: transcript.fault }));
}

function figures({ sides }) {
  const rows = { talk: "talk_s", silence: "silence_s", overlap: "overlap_s", interruptions: "interruptions", turns: "turns", words: "words" };
  const head = sides.map(({ channel }) => el("th", { scope: "col", class: `side${channel % 2}` }, t("channel", { channel })));
  return el("table", {}, el("thead", {}, el("tr", {}, el("td"), head)), el("tbody", {},
    Object.entries(rows).map(([key, field]) => el("tr", {}, el("th", { scope: "row" }, t(key)),
      sides.map((side) => el("td", {}, field.endsWith("_s") ? seconds(side[field]) : String(side[field])))))));
}

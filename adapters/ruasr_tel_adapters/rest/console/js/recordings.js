// Recordings: sent by drag, by button or by URL; how far each is.

import { api, complaint, el, every, Listing } from "./page.js";
import { moment, t } from "./text.js";

const LOOK_MS = 2000;
const ENDED = new Set(["done", "failed", "cancelled"]);

/** Fill `main` with the recordings. */
export function recordings(main) {
  const listing = new Listing("/v1/recordings", row, t("no_recordings"));
  main.append(el("h1", {}, t("recordings")), sender(() => listing.refresh()), listing.element);
  return every(LOOK_MS, () => listing.refresh());
}

/** Return a recording's row and what keeps it up to date. */
export function row({ id, name, created_at }) {
  const state = el("span", { class: "badge" });
  const progress = el("progress", { max: 1, "aria-label": t("progress") });
  const reason = el("span", { class: "bad" });
  const element = el("li", { "data-id": id },
    el("a", { href: `#recording/${id}` }, name || id), el("span", { class: "quiet" }, moment(created_at)), state, progress, reason);
  return { element, update: (item) => showState(item, { state, progress, reason }) };
}

/** Show where a recording is. */
export function showState(item, { state, progress, reason }) {
  state.textContent = t(item.state);
  state.dataset.state = item.state;
  progress.value = item.progress;
  progress.hidden = ENDED.has(item.state);
  reason.textContent = item.reason ?? "";
}

/** Whether nothing more will happen to a recording. */
export function isOver({ state }) {
  return ENDED.has(state);
}

function sender(onSent) {
  const wrong = complaint();
  const sending = el("div", { class: "sending", role: "status" });
  const wishes = {
    channels: choice("channels", [["auto", t("auto")], ["split", t("split")], ["mix", t("mix")]]),
    profile: choice("profile", [["", t("default")]]),
  };
  addProfiles(wishes.profile.select);

  async function send(work) {
    wrong.say(null);
    try {
      await work();
      await onSent();
    } catch (error) {
      wrong.say(error);
    }
  }
  const values = () => Object.entries(wishes).map(([name, { select }]) => [name, select.value]).filter(([, value]) => value);
  async function sendFiles(files) {
    for (const file of files) await send(() => upload(file, values(), sending));
  }
  const url = el("input", { type: "url", name: "url", required: true, placeholder: "https://", "aria-label": "URL" });
  const byUrl = el("form", { onsubmit: (event) => {
    event.preventDefault();
    const body = JSON.stringify({ url: url.value, ...Object.fromEntries(values()) });
    send(() => api("/v1/recordings", { method: "POST", body, headers: { "Content-Type": "application/json" } })).then(() => (url.value = ""));
  } }, el("label", {}, t("by_url"), url), el("button", {}, t("fetch")));
  return el("section", { class: "sender" }, dropZone(sendFiles), ...Object.values(wishes).map(({ label }) => label), byUrl, sending, wrong);
}

function dropZone(take) {
  const input = el("input", { type: "file", multiple: true, accept: "audio/*,video/*,.wav,.mp3,.ogg,.opus,.flac,.m4a,.amr,.gsm", onchange: () => {
    take([...input.files]);
    input.value = "";
  } });
  const zone = el("label", { class: "drop" }, `${t("drop")} `, el("span", { class: "button" }, t("choose")), input);
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take([...event.dataTransfer.files]);
  });
  return zone;
}

function choice(name, options) {
  const select = el("select", { name }, options.map(([value, text]) => el("option", { value }, text)));
  return { select, label: el("label", {}, t(name), select) };
}

async function addProfiles(select) {
  const { profiles } = await api("/v1/status").catch(() => ({ profiles: [] }));
  select.append(...profiles.filter((name) => name !== "default").map((name) => el("option", { value: name }, name)));
}

/** Send a file; XMLHttpRequest, for fetch does not tell how much has gone. */
function upload(file, wishes, where) {
  const bar = el("progress", { max: 1, value: 0 });
  const line = el("p", {}, t("uploading", { name: file.name }), bar);
  where.append(line);
  const form = new FormData();
  for (const [name, value] of wishes) form.append(name, value);
  form.append("upload", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/recordings");
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => (bar.value = total ? loaded / total : 0);
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(new Error(`${file.name}: ${request.response?.detail ?? request.statusText}`));
    };
    request.onerror = () => reject(new Error(`${file.name}: ${t("offline")}`));
    request.onloadend = () => line.remove();
    request.send(form);
  });
}

// Recordings: sent by drag, by button or by URL; how far each is.

import { api, complaint, el, every, Listing } from "./page.js";
import { moment, t } from "./text.js";

const LOOK_MS = 2000;
const AUDIO = "audio/*,video/*,.wav,.mp3,.ogg,.opus,.flac,.m4a,.amr,.gsm";
const ENDED = new Set(["done", "failed", "cancelled"]);

/** Fill `main` with the recordings. */
export function recordings(main) {
  const listing = new Listing("/v1/recordings", row, t("no_recordings"));
  main.append(el("h1", {}, t("recordings")), sender(() => listing.refresh()), listing.element);
  return every(LOOK_MS, () => listing.refresh());
}

/** Return a recording's row and what keeps it up to date. */
export function row({ id, name, created_at }) {
  const parts = stateParts();
  const element = el("li", { "data-id": id },
    el("a", { href: `#recording/${id}` }, name || id),
    el("span", { class: "quiet" }, moment(created_at)),
    ...Object.values(parts));
  return { element, update: (item) => showState(item, parts) };
}

/** Return the elements that show where a recording is. */
export function stateParts() {
  return {
    state: el("span", { class: "badge" }),
    progress: el("progress", { max: 1, "aria-label": t("progress") }),
    reason: el("span", { class: "bad" }),
  };
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
  const channels = choice("channels", ["auto", "split", "mix"].map((each) => [each, t(each)]));
  const profile = choice("profile", [["", t("default")]]);
  const wishes = [channels.select, profile.select];
  addProfiles(profile.select);

  async function send(work) {
    wrong.say(null);
    try {
      await work();
      await onSent();
    } catch (error) {
      wrong.say(error);
    }
  }
  const values = () => wishes.filter(({ value }) => value).map(({ name, value }) => [name, value]);
  async function sendFiles(files) {
    for (const file of files) await send(() => upload(file, values(), sending));
  }
  return el("section", { class: "sender" },
    dropZone(sendFiles), channels.label, profile.label,
    byUrl((url) => send(() => order({ url, ...Object.fromEntries(values()) }))),
    sending, wrong);
}

function byUrl(take) {
  const url = el("input", { type: "url", name: "url", required: true, placeholder: "https://" });
  const onsubmit = (event) => {
    event.preventDefault();
    take(url.value);
    url.value = "";
  };
  const button = el("button", {}, t("fetch"));
  return el("form", { onsubmit }, el("label", {}, t("by_url"), url), button);
}

function order(wishes) {
  const headers = { "Content-Type": "application/json" };
  return api("/v1/recordings", { method: "POST", body: JSON.stringify(wishes), headers });
}

function dropZone(take) {
  const onchange = () => {
    take([...input.files]);
    input.value = "";
  };
  const input = el("input", { type: "file", multiple: true, accept: AUDIO, onchange });
  const button = el("span", { class: "button" }, t("choose"));
  const zone = el("label", { class: "drop" }, `${t("drop")} `, button, input);
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
  const choices = options.map(([value, text]) => el("option", { value }, text));
  const select = el("select", { name }, choices);
  return { select, label: el("label", {}, t(name), select) };
}

async function addProfiles(select) {
  const { profiles } = await api("/v1/status").catch(() => ({ profiles: [] }));
  for (const name of profiles) {
    if (name !== "default") select.append(el("option", { value: name }, name));
  }
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

// Which view is shown, in which language, and how the server is.

import { call } from "./call.js";
import { history } from "./history.js";
import { live } from "./live.js";
import { microphone } from "./microphone.js";
import { api, el, every } from "./page.js";
import { recording } from "./recording.js";
import { recordings } from "./recordings.js";
import { language, seconds, switchLanguage, t } from "./text.js";

/** Views by the start of the address; each fills `main` and returns what is done on leaving. */
const VIEWS = { live, recordings, recording, microphone, history, call };
const PARENTS = { recording: "recordings", call: "history" };
const STATUS_MS = 2000;

const main = document.getElementById("main");
const strip = document.getElementById("status");
const button = document.getElementById("language");
let leave = () => {};

function show(focus) {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const view = name || "live";
  leave();
  main.replaceChildren();
  main.className = view;
  if (Object.hasOwn(VIEWS, view)) leave = VIEWS[view](main, decodeURIComponent(rest.join("/")));
  else main.append(el("p", {}, t("not_found")));
  for (const link of document.querySelectorAll("#nav a")) {
    const here = link.hash === `#${PARENTS[view] ?? view}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (focus) main.focus();
}

function speak() {
  document.documentElement.lang = language;
  button.textContent = t("language");
  for (const element of document.querySelectorAll("[data-t]")) {
    element.textContent = t(element.dataset.t);
  }
}

async function showStatus() {
  try {
    const status = await api("/v1/status");
    const { recording = 0, ...others } = status.queues;
    const deliveries = Object.values(others).reduce((sum, count) => sum + count, 0);
    const work = [figure("waiting", recording), figure("deliveries", deliveries)];
    strip.replaceChildren(
      el("span", { class: status.ready ? "good" : "bad" }, t(status.ready ? "ready" : "not_ready")),
      figure("calls", `${status.calls} / ${status.max_calls}`),
      figure("wait", seconds(status.wait_s)),
      ...(status.recordings ? work : []),
    );
  } catch (error) {
    strip.replaceChildren(el("span", { class: "bad" }, error.message));
  }
}

function figure(key, value) {
  return el("span", {}, `${t(key)} `, el("b", {}, String(value)));
}

button.addEventListener("click", () => {
  switchLanguage();
  speak();
  show(false);
  showStatus();
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => show(true));
speak();
show(false);
every(STATUS_MS, showStatus);

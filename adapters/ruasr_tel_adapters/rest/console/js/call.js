// One call: as it is said while it runs, from the history when it is over.

import { title } from "./live.js";
import { api, complaint, el, follow } from "./page.js";
import { Said } from "./said.js";
import { clock, moment, t } from "./text.js";

/** Fill `main` with a call. */
export function call(main, call_id) {
  const heading = el("h1", {}, t("call"));
  const facts = el("dl", { class: "facts" });
  const said = new Said(Infinity);
  const wrong = complaint();
  said.element.classList.add("whole");
  main.append(heading, facts, wrong, said.element);
  let stop = () => {};
  let left = false;

  function introduce({ details, ...call }) {
    heading.textContent = `${t("call")} ${title(call_id, details)}`;
    const { door, peer, profile, ended_at, duration_s, reason } = call;
    const rows = {
      [t("since")]: moment(call.started_at ?? call.at),
      [t("until")]: ended_at && moment(ended_at),
      [t("length")]: duration_s && clock(duration_s),
      [t("end")]: reason,
      [t("door")]: door && `${door}, ${peer}`,
      [t("profile")]: profile,
      call_id,
      ...details,
    };
    facts.replaceChildren(...Object.entries(rows).filter(([, value]) => value).map(fact));
  }

  function watch() {
    stop = follow(`/v1/calls/${encodeURIComponent(call_id)}/events`, {
      CallStarted: introduce,
      Partial: (event) => said.partial(event),
      Final: (event) => said.final(event),
      Dtmf: (event) => said.key(event),
      CallProgress: (event) => said.progress(event),
    });
  }

  async function recall() {
    const kept = await api(`/v1/calls/${encodeURIComponent(call_id)}`);
    introduce(kept.call);
    const lines = [
      ...kept.finals.map((final) => [final.start_s, () => said.final(final)]),
      ...kept.keys.map((key) => [key.at_s, () => said.key(key)]),
      ...kept.progress.map((each) => [each.start_s, () => said.progress(each)]),
    ];
    for (const [, show] of lines.sort(([a], [b]) => a - b)) show();
    if (!lines.length) wrong.say(t("nothing_said"));
  }

  async function load() {
    try {
      const { items } = await api("/v1/calls/live");
      if (left) return;
      if (items.some((each) => each.call_id === call_id)) watch();
      else await recall();
    } catch (error) {
      wrong.say(error);
    }
  }
  load();
  return () => {
    left = true;
    stop();
  };
}

function fact([name, value]) {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return el("div", {}, el("dt", {}, name), el("dd", {}, text));
}

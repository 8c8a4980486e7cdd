// Speak to the server: the microphone over the Vosk socket.

import { api, complaint, el } from "./page.js";
import { Said } from "./said.js";
import { t } from "./text.js";

const RATE_HZ = 16000;
const LOWEST_DB = -60;

/** Fill `main` with the microphone. */
export function microphone(main) {
  const url = el("input", { type: "url", name: "server", required: true, size: 32 });
  const scale = { min: LOWEST_DB, max: 0, high: -3, optimum: -20 };
  const meter = el("meter", { ...scale, "aria-label": t("level") });
  const button = el("button", { class: "primary", "aria-pressed": "false" }, t("start"));
  const wrong = complaint();
  const said = new Said();
  let talk = null;
  let left = false;
  meter.value = LOWEST_DB;
  said.element.classList.add("whole");
  main.append(el("h1", {}, t("microphone")),
    el("form", { class: "speak", onsubmit: press },
      el("label", {}, t("server"), url), button, meter),
    wrong, said.element);
  api("/v1/status").then(({ vosk_url }) => (url.value ||= vosk_url), wrong.say);

  async function press(event) {
    event.preventDefault();
    if (talk) return talk.finish();
    wrong.say(null);
    button.disabled = true;
    try {
      talk = await Talk.begin(url.value, { said, meter, over });
      if (left) talk.drop();
      button.textContent = t("stop");
      button.setAttribute("aria-pressed", "true");
    } catch (error) {
      wrong.say(error);
    }
    button.disabled = false;
  }

  function over(error) {
    talk = null;
    meter.value = LOWEST_DB;
    button.textContent = t("start");
    button.setAttribute("aria-pressed", "false");
    wrong.say(error);
  }
  return () => {
    left = true;
    talk?.drop();
  };
}

/** A microphone and a socket, both open. */
class Talk {
  static async begin(url, view) {
    if (!navigator.mediaDevices) throw new Error(t("no_microphone"));
    const socket = await connect(url);
    const talk = new Talk(socket, view);
    try {
      await talk.listen();
    } catch (error) {
      talk.drop();
      throw error;
    }
    return talk;
  }

  constructor(socket, view) {
    Object.assign(this, { socket, view, close: [] });
    socket.onmessage = ({ data }) => this.hear(JSON.parse(data));
    socket.onclose = ({ code, reason }) => {
      this.release();
      view.over(code === 1000 ? null : new Error(`${code} ${reason}`));
    };
  }

  async listen() {
    const media = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    this.close.push(() => media.getTracks().forEach((track) => track.stop()));
    const context = new AudioContext({ sampleRate: RATE_HZ });
    this.close.push(() => context.close());
    await context.audioWorklet.addModule("/pages/pcm.js");
    const pcm = new AudioWorkletNode(context, "pcm");
    this.socket.send(JSON.stringify({ config: { sample_rate: context.sampleRate } }));
    pcm.port.onmessage = ({ data }) => this.send(data);
    context.createMediaStreamSource(media).connect(pcm);
  }

  send(data) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(data);
    const samples = new Int16Array(data);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 1) / samples.length;
    this.view.meter.value = 10 * Math.log10(power / 32768 ** 2);
  }

  hear(reply) {
    if (reply.partial !== undefined) this.view.said.partial({ text: reply.partial });
    else this.view.said.final({ text: reply.text ?? "" });
  }

  /** Say that no more will come; the server answers with the last text and closes. */
  finish() {
    this.release();
    this.socket.send(JSON.stringify({ eof: 1 }));
  }

  /** End at once. */
  drop() {
    this.socket.onclose = null;
    this.socket.close();
    this.release();
  }

  release() {
    for (const close of this.close.splice(0)) close();
  }
}

function connect(url) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error(t("socket_refused", { url })));
  });
}

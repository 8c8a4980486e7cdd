// The seed's demo: a file by /post_file, the microphone by /ws.

const log = document.getElementById("log");
const button = document.getElementById("microphone");
let stop = null;

function say(text) {
  log.textContent += `${text}\n`;
}

document.getElementById("upload").addEventListener("submit", async (event) => {
  event.preventDefault();
  say("…");
  const answer = await fetch("/post_file", { method: "POST", body: new FormData(event.target) });
  const result = await answer.json();
  if (!result.success) {
    say(result.error_description);
    return;
  }
  const dialogue = result.sentenced_data.raw_text_sentenced_recognition;
  const chunks = Object.values(result.raw_data).flat().map((chunk) => chunk.data.text);
  say(dialogue ?? chunks.join("\n"));
});

async function start() {
  const media = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const context = new AudioContext();
  await context.audioWorklet.addModule("/pages/pcm.js");
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket.binaryType = "arraybuffer";
  const worklet = new AudioWorkletNode(context, "pcm");
  worklet.port.onmessage = ({ data }) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(data);
  };
  socket.onopen = () => {
    socket.send(JSON.stringify({ config: { sample_rate: context.sampleRate, wait_null_answers: false } }));
    context.createMediaStreamSource(media).connect(worklet);
  };
  socket.onmessage = ({ data }) => {
    const answer = JSON.parse(data);
    if (answer.error) say(answer.error);
    if (answer.data) say(answer.data.text);
  };
  socket.onclose = () => finish();
  function finish() {
    media.getTracks().forEach((track) => track.stop());
    if (context.state !== "closed") context.close();
    button.textContent = "Говорить";
    button.setAttribute("aria-pressed", "false");
    stop = null;
  }
  stop = () => socket.send(JSON.stringify({ eof: 1 }));
  button.textContent = "Стоп";
  button.setAttribute("aria-pressed", "true");
}

button.addEventListener("click", async () => {
  try {
    if (stop) stop();
    else await start();
  } catch (error) {
    say(String(error));
  }
});

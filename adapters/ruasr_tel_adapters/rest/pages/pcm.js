// The microphone's samples as 16-bit PCM, 100 ms at a time.

class Pcm extends AudioWorkletProcessor {
  constructor() {
    super();
    this.held = new Int16Array(Math.round(sampleRate / 10));
    this.count = 0;
  }

  process([input]) {
    for (const sample of input[0] ?? []) {
      this.held[this.count++] = Math.max(-32768, Math.min(32767, sample * 32768));
      if (this.count === this.held.length) {
        this.port.postMessage(this.held.buffer.slice(0));
        this.count = 0;
      }
    }
    return true;
  }
}

registerProcessor("pcm", Pcm);

// What a person would write instead of the daemon: two ALSA programs, a WebSocket, JSON and base64.
// It is measured beside it, so it is plain, and not slow on purpose.
//
//   BRIDGE_URL       the service
//   BRIDGE_CA        its certificate, PEM
//   BRIDGE_ARECORD   more options of arecord
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import WebSocket from "ws";

// The microphone at the daemon's rate on the wire, so that both send the same bytes a second.
const raw = (rate) => ["-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", String(rate)];
const more = (process.env.BRIDGE_ARECORD ?? "").split(" ").filter(Boolean);
const microphone = spawn("arecord", ["-D", "mic", ...raw(16000), ...more], {
  stdio: ["ignore", "pipe", "inherit"],
});
const speaker = () => {
  const child = spawn("aplay", ["-D", "speaker", ...raw(24000)], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  // What is written after it was killed.
  child.stdin.on("error", () => {});
  return child;
};

let ready = false;
let player = speaker();
const socket = new WebSocket(process.env.BRIDGE_URL, {
  ca: readFileSync(process.env.BRIDGE_CA),
  headers: { Authorization: `Bearer ${process.env.XAI_API_KEY}` },
});
const send = (event) => socket.send(JSON.stringify(event));

socket.on("open", () => {
  const format = (rate) => ({ format: { type: "audio/pcm", rate } });
  send({
    type: "session.update",
    session: {
      turn_detection: { type: "server_vad" },
      audio: { input: format(16000), output: format(24000) },
    },
  });
});

socket.on("message", (data) => {
  const event = JSON.parse(data);
  switch (event.type) {
    case "session.updated":
      ready = true;
      break;
    case "response.output_audio.delta":
      player.stdin.write(Buffer.from(event.delta, "base64"));
      break;
    case "input_audio_buffer.speech_started":
      player.kill("SIGKILL");
      player = speaker();
      break;
  }
});

microphone.stdout.on("data", (chunk) => {
  if (ready) send({ type: "input_audio_buffer.append", audio: chunk.toString("base64") });
});

socket.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});

// A typed turn with socket.io-client: client.mjs URL CODE TRANSPORT prints what was heard as JSON.
import { createRequire } from "node:module";

// The page's own client, from its packages.
const { io } = createRequire(new URL("../../web/package.json", import.meta.url))("socket.io-client");

const [url, code, transport] = process.argv.slice(2);
const paired = await fetch(`${url}api/pair`, {
  method: "POST",
  body: JSON.stringify({ code, name: "javascript" }),
});
if (!paired.ok) throw new Error(await paired.text());
const [cookie] = paired.headers.getSetCookie()[0].split(";");
const { csrf } = await paired.json();

const heard = { role: null, ack: null, audio: 0, lines: {}, ticks: 0, turns: [] };
const socket = io(url, {
  auth: { csrf },
  extraHeaders: { Cookie: cookie },
  reconnection: false,
  transports: [transport],
});
const once = (event, ms) =>
  new Promise((done, fail) => {
    socket.once(event, done);
    setTimeout(() => fail(new Error(`no ${event} in ${ms} ms`)), ms).unref();
  });
socket.on("connect_error", (error) => {
  throw error;
});
socket.on("grok-voice:transcript", ({ role, text }) => (heard.lines[role] = text));
socket.on("grok-voice:audio", ({ pcm }) => (heard.audio += pcm.byteLength));
socket.on("grok-voice:tick", () => (heard.ticks += 1));
socket.on("grok-voice:turn", ({ reason }) => heard.turns.push(reason));
heard.role = (await once("grok-voice:hello", 5000)).role;
const over = once("grok-voice:turn", 30_000);
heard.ack = await socket.timeout(5000).emitWithAck("grok-voice:text", { text: "Good morning" });
await over;
heard.transport = socket.io.engine.transport.name;
socket.disconnect();
console.log(JSON.stringify(heard));

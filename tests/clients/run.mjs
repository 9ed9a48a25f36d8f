// Clients of other people hold a typed turn with the real program and the stand-in, over both
// transports: node run.mjs PYTHON, the interpreter that has python-socketio.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Speaker } from "../../web/test/speaker.mjs";

const [python] = process.argv.slice(2);
const here = new URL(".", import.meta.url).pathname;
const CLIENTS = [
  ["python-socketio", python, `${here}client.py`],
  ["socket.io-client", process.execPath, `${here}client.mjs`],
];

const speaker = await Speaker.start();
let bad = 0;
try {
  for (const [name, program, script] of CLIENTS) {
    for (const transport of ["websocket", "polling"]) {
      const code = await speaker.code("controller");
      const { stdout } = await promisify(execFile)(program, [script, speaker.url, code, transport]);
      const heard = JSON.parse(stdout);
      const { user, assistant } = heard.lines;
      const good =
        heard.role === "controller" &&
        heard.ack.ok === true &&
        heard.transport === transport &&
        user === "Good morning" &&
        assistant?.length > 0 &&
        // The sender of a typed turn hears its reply: more than half a second at 24 kHz.
        heard.audio > 24_000 &&
        heard.ticks > 0 &&
        heard.turns.join() === "completed";
      bad += good ? 0 : 1;
      const seconds = (heard.audio / 48_000).toFixed(1);
      console.log(`${name}, ${transport}: ${good ? "ok" : "BAD"}, ${seconds} s of reply heard`);
      if (!good) console.log(heard);
    }
  }
} finally {
  await speaker.end();
}
process.exitCode = bad ? 1 : 0;

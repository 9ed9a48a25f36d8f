// Runs the official suites three times against the conformance server and holds the gate.
//
//   node run.mjs SUITES SERVER WORK
//
// SUITES is a checkout of socketio/socket.io (of its docs at least), SERVER the built example, WORK a
// folder with the packages of package.json.
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const [suites, server, work] = process.argv.slice(2).map((path) => resolve(path));
const here = fileURLToPath(new URL(".", import.meta.url));
const RUNS = 3;

// The early PING on polling, which nothing in front of the suite can hide, and what follows from it.
const POLLING = "HTTP long-polling";
const GATES = [
  {
    name: "Socket.IO v5",
    suite: "docs/socket.io-protocol/v5-test-suite/test-suite.js",
    folder: "socket.io",
    least: 31,
    may: [`Engine.IO protocol close ${POLLING} should forcefully close the session`],
  },
  {
    name: "Engine.IO v4",
    suite: "docs/engine.io-protocol/v4-test-suite/test-suite.js",
    folder: "engine.io",
    least: 19,
    may: [
      `Engine.IO protocol message ${POLLING} sends and receives a payload containing one plain text packet`,
      `Engine.IO protocol message ${POLLING} sends and receives a payload containing several plain text packets`,
      `Engine.IO protocol message ${POLLING} sends and receives a payload containing plain text and binary packets`,
      `Engine.IO protocol message ${POLLING} closes the session upon duplicate poll requests`,
      `Engine.IO protocol message ${POLLING} closes the session upon cancelled polling request`,
      `Engine.IO protocol close ${POLLING} forcefully closes the session`,
    ],
  },
];

async function started() {
  const child = spawn(server, { stdio: "inherit" });
  for (let n = 0; n < 100; n += 1) {
    const open = await new Promise((done) => {
      const tcp = connect(3000, "127.0.0.1", () => done(true));
      tcp.on("error", () => done(false));
      tcp.on("connect", () => tcp.destroy());
    });
    if (open) return child;
    if (child.exitCode !== null) break;
    await sleep(50);
  }
  child.kill();
  throw new Error("the server does not listen on 127.0.0.1:3000; is something else there?");
}

function run({ suite, folder }) {
  const place = join(work, folder);
  mkdirSync(place, { recursive: true });
  copyFileSync(join(suites, suite), join(place, "test-suite.js"));
  copyFileSync(join(here, "imports.mjs"), join(place, "node-imports.js"));
  const mocha = join(work, "node_modules/mocha/bin/_mocha");
  // "localhost" in the suites: the server has IPv4 only.
  const node = ["--dns-result-order=ipv4first", mocha, "--exit", "--reporter", "json", "test-suite.js"];
  const { stdout } = spawnSync("node", node, { cwd: place, encoding: "utf8", maxBuffer: 1 << 26 });
  return JSON.parse(stdout.slice(stdout.indexOf("{")));
}

let held = true;
const child = await started();
try {
  for (const gate of GATES) {
    for (let n = 1; n <= RUNS; n += 1) {
      const { stats, failures } = run(gate);
      const names = failures.map((test) => test.fullTitle);
      const strange = names.filter((name) => !gate.may.includes(name));
      const good = stats.passes >= gate.least && strange.length === 0;
      held &&= good;
      console.log(`${gate.name}, run ${n}: ${stats.passes} of ${stats.tests}${good ? "" : " MISSED"}`);
      for (const { fullTitle, err } of failures) {
        const known = gate.may.includes(fullTitle) ? "known" : "NEW";
        console.log(`  ${known}: ${fullTitle}: ${err.message}`);
      }
    }
  }
} finally {
  child.kill();
}
process.exitCode = held ? 0 : 1;

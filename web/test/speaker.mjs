// The real program on loopback, beside the stand-in of the voice service.

import { spawn, execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';

export const ROOT = new URL('../..', import.meta.url).pathname;
const PROGRAM = process.env.SPEAKER ?? join(ROOT, 'target/debug/grok-speaker');
const START_MS = 15_000;

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

function start(args, env = {}) {
  // Not in the checkout: prompts made there would be spoken, and the microphone is silent meanwhile.
  const child = spawn(PROGRAM, args, {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => (child.said += data));
  }
  return child;
}

async function says(child, words) {
  for (const end = Date.now() + START_MS; !child.said.includes(words); await sleep(20)) {
    if (Date.now() > end || child.exitCode !== null) throw new Error(`not up: ${child.said}`);
  }
}

async function end(child) {
  if (!child || child.exitCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

export class Speaker {
  static async start({ mic, sets = [], service = true, said = [], key = 'k', wants = null, env = {}, config = null, ip = '127.0.0.1' } = {}) {
    const it = new Speaker();
    it.folder = mkdtempSync(join(tmpdir(), 'panel-page-'));
    it.servicePort = await freePort();
    it.port = await freePort();
    it.url = `http://127.0.0.1:${it.port}/`;
    it.heard = join(it.folder, 'speaker.wav');
    it.said = said;
    it.key = key;
    it.wants = wants;
    it.env = env;
    it.config = '/dev/null';
    if (config) writeFileSync((it.config = join(it.folder, 'config.toml')), config);
    it.sets = [
      'turn.mode=open',
      ...(config ? [] : [`audio.input=${mic ? `file:${mic}` : 'null'}`, `audio.output=file:${it.heard}`]),
      `grok.url=ws://127.0.0.1:${it.servicePort}/v1/realtime`,
      `panel.listen=${ip}:${it.port}`,
      `state.directory=${it.folder}`,
      `control.socket=${join(it.folder, 'control.sock')}`,
      ...sets,
    ];
    if (service) await it.serve();
    await it.run();
    return it;
  }

  /** The stand-in. */
  async serve() {
    const said = this.said.flatMap((text) => ['--transcript', text]);
    const key = this.wants ? ['--key', this.wants] : [];
    this.service = start(['standin', ...key, '--listen', `127.0.0.1:${this.servicePort}`, ...said]);
    await says(this.service, 'ws://');
  }

  endService() {
    return end(this.service);
  }

  /** The daemon. */
  async run() {
    const sets = this.sets.flatMap((set) => ['--set', set]);
    const key = this.key ? { XAI_API_KEY: this.key } : {};
    this.daemon = start(['run', '--config', this.config, ...sets], { ...this.env, ...key });
    await says(this.daemon, 'panel is up');
  }

  endDaemon() {
    return end(this.daemon);
  }

  async code(role = 'admin') {
    const socket = `control.socket=${join(this.folder, 'control.sock')}`;
    const { stdout } = await promisify(execFile)(PROGRAM, ['pair', '--role', role, '--set', socket]);
    return stdout.match(/\d{6}/)[0];
  }

  /** By what Chromium's command line knows a certificate: it is trusted as one that the owner has installed is. */
  async pin(url) {
    const { hostname, port } = new URL(url);
    const tls = connect({ host: hostname, port, rejectUnauthorized: false });
    await once(tls, 'secureConnect');
    const key = tls.getPeerX509Certificate().publicKey.export({ type: 'spki', format: 'der' });
    tls.destroy();
    return createHash('sha256').update(key).digest('base64');
  }

  async end() {
    await this.endDaemon();
    await this.endService();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

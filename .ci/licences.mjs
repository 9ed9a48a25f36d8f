// Writes THIRD-PARTY.txt: every package that is inside the shipped program, with its licence and the
// licence texts found in its sources, each text once. Run by `make licences`. The notices of the
// standard library come with a Rust of rustup.

import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

process.chdir(new URL('..', import.meta.url).pathname);
const TARGETS = ['x86_64-unknown-linux-gnu', 'aarch64-unknown-linux-gnu', 'armv7-unknown-linux-gnueabihf'];
/** What a build for Linux takes of the packages the standard library is made with. */
const STD = ['cfg-if', 'gimli', 'hashbrown', 'libc', 'rustc-demangle'];
const NOTICE = /^(licen[cs]e|copying|copyright|notice|unlicense|patents)/i;

const run = (program, ...args) => execFileSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
const rustc = (...args) => run('bash', '-c', '. .ci/rust.sh && rust_find && "${CARGO_FOUND%cargo}rustc" "$@"', 'rustc', ...args).trim();
const json = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Files of notices in a package, also of what it took from others. */
function notices(folder, depth = 4) {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return depth && entry.name !== 'node_modules' ? notices(path, depth - 1) : [];
      return NOTICE.test(entry.name) && !/\.(rs|js|ts|html)$/.test(entry.name) ? [readFileSync(path, 'utf8')] : [];
    });
}

const MIT = readFileSync('LICENSE-MIT', 'utf8');
const APACHE = readFileSync('LICENSE-APACHE', 'utf8');
const mit = (holders) => MIT.replace(/^Copyright.*$/m, `Copyright (c) ${holders}`);

/** The usual text for a package that brings none, with those it names as its authors. */
function usual(name, licence, authors) {
  const holders = authors.map((author) => author.replace(/\s*<.*$/, '')).join(', ') || `the authors of ${name}`;
  if (/\bMIT\b/.test(licence)) return [mit(holders)];
  if (/\bApache-2\.0\b/.test(licence)) return [APACHE];
  throw new Error(`${name} (${licence}) brings no licence text`);
}

function pack(name, version, licence, folder, authors) {
  const found = notices(folder);
  return { name, version, licence, texts: found.length ? found : usual(name, licence, authors) };
}

/** Crates linked into the program for any board or the desk. */
function crates() {
  const linked = new Set();
  const known = new Map();
  for (const target of TARGETS) {
    const tree = ['tree', '--locked', '-p', 'grok-speaker', '--target', target];
    const lines = run('.ci/cargo', ...tree, '-e', 'normal,no-proc-macro', '--prefix', 'none', '--format', '{p}');
    for (const line of lines.split('\n').filter((line) => line && !line.includes('/'))) {
      linked.add(line.split(' ').slice(0, 2).join(' '));
    }
    const metadata = run('.ci/cargo', 'metadata', '--locked', '--format-version', '1', '--filter-platform', target);
    for (const one of JSON.parse(metadata).packages) known.set(`${one.name} v${one.version}`, one);
  }
  return [...linked].sort().map((id) => {
    const { name, version, license, manifest_path, authors } = known.get(id);
    return pack(name, version, license, dirname(manifest_path), authors);
  });
}

/** The standard library, by the notices that come with the compiler. */
function standard() {
  const doc = join(rustc('--print', 'sysroot'), 'share/doc/rust');
  const plain = (html) => html.replace(/<[^>]*>/g, '')
    .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(code))
    .replace(/&(lt|gt|quot|amp);/g, (_, name) => ({ lt: '<', gt: '>', quot: '"', amp: '&' })[name]);
  const [own, ...others] = readFileSync(join(doc, 'COPYRIGHT-library.html'), 'utf8').split('<h3>📦 ');
  const holders = [...own.matchAll(/<b>Copyright:<\/b>(.*)<\/p>/g)].map(([, who]) => plain(who).trim());
  const unicode = readFileSync(join(doc, 'licenses/Unicode-3.0.txt'), 'utf8');
  const parts = others.map((part) => ({
    id: part.match(/^(.*)-(\d[^<]*)</),
    licence: part.match(/<b>License:<\/b> (.*)<\/p>/)[1],
    texts: [...part.matchAll(/<pre>(.*?)<\/pre>/gs)].map(([, text]) => plain(text)),
  }));
  return [
    {
      name: 'std',
      version: rustc('--version').split(' ')[1],
      licence: '(MIT OR Apache-2.0) AND Unicode-3.0',
      texts: [mit([...new Set(holders)].join('\nCopyright (c) ')), APACHE, unicode],
    },
    ...parts
      .filter(({ id }) => STD.includes(id[1]))
      .map(({ id, licence, texts }) => ({ name: id[1], version: id[2], licence, texts })),
  ];
}

/** Packages the page is bundled of, as the bundler says. */
function page() {
  const made = join(process.cwd(), 'target/licences');
  execFileSync('npx', ['vite', 'build', '--logLevel', 'error', '--sourcemap', '--outDir', made, '--emptyOutDir'], { cwd: 'web' });
  const names = new Set();
  for (const map of readdirSync(join(made, 'assets')).filter((name) => name.endsWith('.map'))) {
    for (const source of json(join(made, 'assets', map)).sources) {
      const name = source.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/);
      if (name) names.add(name[1]);
      else if (source.includes('rolldown')) names.add('rolldown');
    }
  }
  return [...names].sort().map((name) => {
    const folder = join('web/node_modules', name);
    const { version, license, author } = json(join(folder, 'package.json'));
    return pack(name, version, license, folder, [author?.name ?? author].filter(Boolean));
  });
}

const texts = new Map();
function listed(packages) {
  return packages.map(({ name, version, licence, texts: own }) => {
    const numbers = own.map((text) => {
      const whole = text.replace(/\r/g, '').replace(/[ \t]+$/gm, '').replace(/^\n+|\s+$/g, '');
      // Other line breaks do not make another text.
      const key = whole.replace(/\s+/g, ' ').trim();
      const one = texts.get(key) ?? { number: texts.size + 1, whole, of: [] };
      texts.set(key, one);
      one.of.push(`${name} ${version}`);
      return one.number;
    });
    return `${name} ${version}; ${licence}; ${[...new Set(numbers)].join(' ')}\n`;
  });
}

const list = [
  ['Rust crates', crates()],
  ['The standard library of Rust', standard()],
  ['npm packages of the page', page()],
].map(([title, packages]) => `== ${title}\n${listed(packages).join('')}\n`).join('');
const bodies = [...texts.values()].map(({ number, whole, of }) => {
  if (/^== /m.test(whole)) throw new Error(`text ${number} looks like a heading`);
  return `== Text ${number}: ${[...new Set(of)].join(', ')}\n${whole}\n\n`;
});
writeFileSync('THIRD-PARTY.txt', `What others have made and grok-speaker contains, as built for Linux: name and version; licence; the numbers of its texts.
Each text stands below once, under the names that it is for. Written by \`make licences\`.

${list}${bodies.join('')}`.replace(/\n+$/, '\n'));

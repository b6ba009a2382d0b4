#!/usr/bin/env node
// What the npm scripts start: `node scripts/run.mjs <file.ts> arguments…`. Plain JavaScript on Node's own modules, as
// it runs before anything is installed: it installs the dependencies when they are missing or older than
// package-lock.json, then runs the file under tsx with this terminal, forwarding signals and the exit code.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

function modified(path) {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
}

/** npm writes node_modules/.package-lock.json at the end of every installation. */
function installed() {
  const lock = modified(join(root, 'package-lock.json')) ?? 0;
  const done = modified(join(root, 'node_modules', '.package-lock.json'));
  return done !== undefined && done >= lock;
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** A folder is made by one process only; it is taken over when its owner has died. */
async function withLock(path, work) {
  mkdirSync(dirname(path), { recursive: true });
  for (let told = false; ; ) {
    try {
      mkdirSync(path);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    let owner;
    try {
      owner = Number(readFileSync(join(path, 'pid'), 'utf8'));
    } catch {
      // Between its mkdir and its write, unless it died there.
      if (Date.now() - (modified(path) ?? Date.now()) > 5000) owner = 0;
    }
    if (owner !== undefined && (owner === 0 || !alive(owner))) {
      rmSync(path, { recursive: true, force: true });
      continue;
    }
    if (!told) console.error(`waiting for the installation of dependencies by pid ${owner ?? 'unknown'}`);
    told = true;
    await sleep(500);
  }
  try {
    writeFileSync(join(path, 'pid'), String(process.pid));
    return await work();
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

function run(command, args, options) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, options);
    // Ctrl-C on a terminal reaches the whole process group: forwarded as well, it would count as a second one, which
    // the Pulumi CLI takes for "stop at once".
    const forward = (signal) => (signal === 'SIGINT' && process.stdin.isTTY ? undefined : child.kill(signal));
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, forward);
    child.once('error', fail);
    child.once('close', (code, signal) => {
      for (const name of signals) process.off(name, forward);
      done({ code, signal });
    });
  });
}

async function install() {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  console.error('installing the dependencies (npm ci)');
  const timer = setInterval(() => console.error(`  npm ci: ${seconds()} s`), 30_000);
  try {
    const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
    // Standard output belongs to the command (`status --json`).
    const { code } = await run('npm', args, { cwd: root, stdio: ['ignore', process.stderr, process.stderr] });
    if (code !== 0) {
      console.error(`npm ci failed (exit code ${code}); run it in ${root} to see why`);
      process.exit(code ?? 1);
    }
  } finally {
    clearInterval(timer);
  }
  console.error(`installed the dependencies in ${seconds()} s`);
}

const [file, ...args] = process.argv.slice(2);
if (file === undefined) {
  console.error('usage: node scripts/run.mjs <file.ts> arguments…');
  process.exit(2);
}
if (!installed()) {
  await withLock(join(root, '.local', 'run', 'install.lock'), async () => {
    // Another process may have installed them while this one waited.
    if (!installed()) await install();
  });
}
const result = await run(process.execPath, ['--import', 'tsx', join(root, file), ...args], {
  // tsx is found from the working directory.
  cwd: root,
  stdio: 'inherit',
});
if (result.signal !== null) process.kill(process.pid, result.signal);
process.exit(result.code ?? 1);

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { program } from '../requirements.ts';
import { run } from '../run.ts';
import type { Context } from '../service.ts';
import { containerdSocket, dataDirectory } from './facts.ts';
import { type ImageFile, imageArchive } from './imageArchive.ts';

/** Arguments of `ctr` for the images and containers of Kubernetes. */
function ctr(...args: string[]): string[] {
  return ['--address', containerdSocket(), '--namespace', 'k8s.io', ...args];
}

/** Puts an image made of a few files into the node, when none of that name is there. */
export async function ensureImage(
  ctx: Pick<Context, 'directory'>,
  reference: string,
  files: readonly ImageFile[],
  entrypoint: readonly string[],
): Promise<void> {
  const { stdout } = await run(program('ctr'), ctr('images', 'list', '--quiet', `name==${reference}`));
  if (stdout.trim() === reference) return;
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const directory = dataDirectory(ctx, 'node');
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `image-${process.pid}.tar`);
  try {
    writeFileSync(path, imageArchive({ reference, files, entrypoint, architecture }), { mode: 0o600 });
    await run(program('ctr'), ctr('images', 'import', path), { timeoutMs: 120_000 });
  } finally {
    rmSync(path, { force: true });
  }
}

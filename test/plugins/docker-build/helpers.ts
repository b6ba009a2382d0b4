/** What the tests of Image need beside the plugin. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A static program for images without a base: `tool show <file>` prints a file and fails, `tool keep` waits 1 s. */
export const TOOL = `
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char buffer[4096];
  FILE *file = fopen(argv[2], "r");
  if (!file) { fprintf(stderr, "no such file: %s\\n", argv[2]); return 4; }
  size_t length = fread(buffer, 1, sizeof buffer, file);
  if (strcmp(argv[1], "show") == 0) {
    fwrite(buffer, 1, length, stdout);
    fprintf(stderr, "the tool has failed as asked\\n");
    return 3;
  }
  sleep(1);
  FILE *out = fopen("/length", "w");
  fprintf(out, "%zu", length);
  return fclose(out);
}
`;

/** Stages main and migrations, and one that shows its secret and fails. */
export const DOCKERFILE = `FROM scratch AS base
COPY tool /tool
FROM base AS main
COPY app.txt /app.txt
RUN --mount=type=secret,id=token ["/tool", "keep", "/run/secrets/token"]
FROM scratch AS migrations
COPY migrations.txt /migrations.txt
FROM base AS broken
RUN --mount=type=secret,id=token ["/tool", "show", "/run/secrets/token"]
`;

/** The arguments of every process of this machine. */
export function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return ''; // It has ended meanwhile.
      }
    });
}

/** Waits for something to happen, at most 15 s. */
export async function until(check: () => boolean): Promise<void> {
  const end = Date.now() + 15_000;
  while (!check()) {
    assert.ok(Date.now() < end, 'it did not happen in 15 s');
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** Every file below a directory. */
export async function readdirRecursive(directory: string): Promise<string[]> {
  const entries = readdirSync(directory, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

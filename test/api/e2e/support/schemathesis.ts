/** Schemathesis (https://schemathesis.io): requests made from an OpenAPI description, answers checked against it. */

import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { caFilePath } from '../../../../local/pki.ts';
import { cacheDirectory } from '../../../../local/toolchain.ts';
import { context } from './local.ts';

const VERSION = '4.32.5';

/** Checks of what any answer must be, whatever was asked. */
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
  'unsupported_method',
  'allow_header_conformance',
  'ignored_auth',
];

/**
 * The program in a virtual environment of the project's cache; made with pip at the first call, about 20 s and 100 MB.
 *
 * @throws with pip's message
 */
async function install(): Promise<string> {
  const directory = join(cacheDirectory(), 'schemathesis', VERSION);
  const program = join(directory, 'bin', 'st');
  const done = join(directory, 'installed');
  if (existsSync(done)) return program;
  mkdirSync(join(directory, '..'), { recursive: true });
  rmSync(directory, { recursive: true, force: true });
  // The scripts of a virtual environment name its place: it is made where it stays.
  await execa('python3', ['-m', 'venv', directory]);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `schemathesis==${VERSION}`];
  await execa(join(directory, 'bin', 'python'), pip, { timeout: 300_000 });
  await writeFile(done, '');
  return program;
}

export interface FuzzOptions {
  readonly url: string;
  readonly token: string;
  /** The same seed asks the same questions. */
  readonly seed: number;
  /** Of all phases together. */
  readonly seconds: number;
  /** Values of parameters that are not invented: `path.name` and the like. */
  readonly parameters: Readonly<Record<string, string>>;
}

export interface FuzzResult {
  readonly exitCode: number;
  /** What a person reads: the failures with the requests that show them. */
  readonly output: string;
  /** Requests that were sent, from the report. */
  readonly requests: number;
}

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const program = await install();
  mkdirSync(join(context.directory, 'test'), { recursive: true });
  const directory = await mkdtemp(join(context.directory, 'test', 'fuzz-'));
  try {
    const config = join(directory, 'schemathesis.toml');
    await writeFile(config, configuration(options));
    const report = join(directory, 'report.ndjson');
    const { exitCode, all } = await execa(
      program,
      ['--config-file', config, 'run', `${options.url}/openapi.json`, '--report-ndjson-path', report],
      {
        cwd: directory,
        // The token is no argument: those are seen by every user of the machine.
        env: { FUZZ_TOKEN: options.token, REQUESTS_CA_BUNDLE: caFilePath(context), SSL_CERT_FILE: caFilePath(context) },
        reject: false,
        all: true,
        timeout: (options.seconds + 60) * 1000,
      },
    );
    const lines = await readFile(report, 'utf8').catch(() => '');
    const requests = lines.match(/"request":\s*\{/g)?.length ?? 0;
    return { exitCode: exitCode ?? 1, output: all, requests };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function configuration({ seed, seconds, parameters }: FuzzOptions): string {
  const fixed = Object.entries(parameters).map(([name, value]) => `${JSON.stringify(name)} = ${JSON.stringify(value)}`);
  return [
    `seed = ${seed}`,
    `max-time = ${seconds}`,
    `tls-verify = ${JSON.stringify(caFilePath(context))}`,
    'color = false',
    // One: in its threads Python 3.11 may fail ("AST constructor recursion depth mismatch").
    'workers = 1',
    'request-timeout = 15.0',
    'continue-on-failure = true',
    // Otherwise what an earlier run has found decides what this one asks.
    'generation.database = "none"',
    'generation.max-examples = 25',
    '',
    '[headers]',
    `Authorization = "Bearer $\{FUZZ_TOKEN}"`,
    '',
    '[parameters]',
    ...fixed,
    '',
    '[checks]',
    'enabled = false',
    ...CHECKS.map((check) => `${check}.enabled = true`),
    '',
  ].join('\n');
}

import { clean } from './commands/clean.ts';
import { down } from './commands/down.ts';
import { status } from './commands/status.ts';
import { up } from './commands/up.ts';
import { createContext } from './context.ts';
import { LocalError } from './service.ts';

const USAGE = `usage: npm run up [-- --services-only]   bring the local environment up and deploy the stack "local"
       npm run status [-- --json]        what runs, where, and whether it is healthy
       npm run down                      stop it; data stays
       npm run clean                     stop it and remove all it wrote`;

interface Arguments {
  readonly command: string;
  readonly flags: ReadonlySet<string>;
}

const FLAGS: Readonly<Record<string, readonly string[]>> = {
  up: ['--services-only'],
  down: [],
  status: ['--json'],
  clean: [],
};

function parse(args: readonly string[]): Arguments {
  const [command, ...flags] = args;
  const known = command === undefined ? undefined : FLAGS[command];
  const wrong = flags.find((flag) => !known?.includes(flag));
  if (command === undefined || known === undefined || wrong !== undefined) {
    const what = wrong !== undefined && known !== undefined ? `${command} has no option ${wrong}\n` : '';
    throw new LocalError(`${what}${USAGE}`);
  }
  return { command, flags: new Set(flags) };
}

async function main(args: readonly string[]): Promise<number> {
  const { command, flags } = parse(args);
  const ctx = createContext();
  switch (command) {
    case 'up':
      await up(ctx, { servicesOnly: flags.has('--services-only') });
      return 0;
    case 'down':
      await down(ctx);
      return 0;
    case 'status':
      return await status(ctx, flags.has('--json'));
    default:
      await clean(ctx);
      return 0;
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  const unexpected = !(error instanceof LocalError);
  process.stderr.write(`${unexpected ? 'unexpected error: ' : ''}${message}\n`);
  if (process.env.DEBUG) console.error(error);
  else if (unexpected) process.stderr.write('DEBUG=1 shows where it happened\n');
  process.exitCode = 1;
}

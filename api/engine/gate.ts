import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { PROJECT } from './state.ts';

const run = promisify(execFile);
/** How often it is looked whether the engine has come to the gate, in milliseconds. */
const LOOK = 5;

/** The one pipe of each home: engines of one home wait one after the other, and to make one takes a process. */
const pipes = new Map<string, Promise<string>>();

function pipeOf(home: string): Promise<string> {
  const made = pipes.get(home);
  if (made) return made;
  const file = join(home, 'gate');
  const making = run('mkfifo', ['--mode=600', file]).then(() => file);
  pipes.set(home, making);
  making.catch(() => pipes.delete(home));
  return making;
}

/**
 * Where an engine waits that was started before anybody knew for which stack. Without `--stack` the CLI takes the stack
 * that is selected in the folder, which a file in its home says; it reads that after it has loaded everything and
 * connected to its state. Here the file is a pipe: the reading ends when the stack is known, or when this process is
 * gone, and then the CLI fails.
 */
export class Gate {
  private constructor(
    private readonly file: string,
    private readonly guard: FileHandle,
  ) {}

  /**
   * @param home the CLI's PULUMI_HOME
   * @param folder of the project, without symbolic links: the CLI makes the file's name of it
   */
  static async make(home: string, folder: string): Promise<Gate> {
    const digest = createHash('sha1').update(join(folder, 'Pulumi.yaml')).digest('hex');
    const file = join(home, 'workspaces', `${PROJECT}-${digest}-workspace.json`);
    await mkdir(dirname(file), { recursive: true });
    await link(await pipeOf(home), file);
    // Open for both: nobody waits for the other side, and the end of this process ends the pipe.
    return new Gate(file, await open(file, constants.O_RDWR));
  }

  /**
   * Says which stack it is.
   *
   * @param gone whether the engine has ended
   * @returns whether the engine heard it.
   */
  async pass(stack: string, gone: () => boolean): Promise<boolean> {
    const writer = await open(this.file, constants.O_WRONLY);
    try {
      await this.guard.close();
      while (!gone()) {
        try {
          await writer.writeFile(JSON.stringify({ stack: `organization/${PROJECT}/${stack}` }));
          return true;
        } catch (error) {
          // Nobody has opened it for reading yet.
          if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
          await sleep(LOOK);
        }
      }
      return false;
    } finally {
      await writer.close();
    }
  }

  async remove(): Promise<void> {
    await this.guard.close().catch(() => undefined);
    await rm(this.file, { force: true });
  }
}

import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { seal, unseal } from '../sealing.ts';

/** The key that the stacks name as their secrets provider, in the engine's notation. */
export const SECRETS_PROVIDER = 'hashivault://operations';

const NAME = new URL(SECRETS_PROVIDER).host;
/** How Vault begins what the first version of a key has encrypted. */
const PREFIX = 'vault:v1:';
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** RFC 7914; the derivation takes a tenth of a second and 32 MiB, once in a process. */
const COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 2 ** 20 } as const;
/** Largest request: a data key has 32 bytes. */
const MOST_BYTES = 4096;

/**
 * Encrypts and decrypts the key of the stacks' secrets (envelope encryption), with a key that is derived from a
 * passphrase once. With the passphrase itself every engine would derive the key anew: a million rounds of PBKDF2, which
 * is a fifth of a second of a processor for each run.
 *
 * It speaks the two requests of HashiCorp Vault's transit engine that the Pulumi CLI sends for a `hashivault://`
 * provider (https://developer.hashicorp.com/vault/api-docs/secret/transit), on loopback, to who has the token.
 */
export interface KeyService {
  /** For the CLI: where the service is, and its token. */
  readonly environment: { readonly VAULT_SERVER_URL: string; readonly VAULT_SERVER_TOKEN: string };
  /**
   * Whether this service's passphrase has encrypted a key.
   *
   * @param encryptedKey as a stack's state has it: in base64
   */
  opens(encryptedKey: string): Promise<boolean>;
  close(): void;
}

export async function startKeyService(passphrase: string): Promise<KeyService> {
  const token = randomBytes(32).toString('base64url');
  const envelope = new Envelope(passphrase);
  const server = createServer((request, response) => {
    answer(request, token, envelope).then(
      (data) => send(response, 200, { data }),
      (error: unknown) => send(response, error instanceof Refusal ? error.status : 400, { errors: [textOf(error)] }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    environment: { VAULT_SERVER_URL: `http://127.0.0.1:${port}`, VAULT_SERVER_TOKEN: token },
    opens: (encryptedKey) =>
      envelope.decrypt(Buffer.from(encryptedKey, 'base64').toString()).then(
        () => true,
        () => false,
      ),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

async function answer(request: IncomingMessage, token: string, envelope: Envelope): Promise<Record<string, string>> {
  if (!same(String(request.headers['x-vault-token'] ?? ''), token)) throw new Refusal(403, 'permission denied');
  if (request.method !== 'PUT' && request.method !== 'POST') throw new Refusal(405, 'unsupported operation');
  if (Number(request.headers['content-length'] ?? MOST_BYTES + 1) > MOST_BYTES) throw new Refusal(413, 'too large');
  const body = (await json(request)) as { readonly plaintext?: unknown; readonly ciphertext?: unknown };
  switch (request.url) {
    case `/v1/transit/encrypt/${NAME}`:
      return { ciphertext: await envelope.encrypt(Buffer.from(String(body.plaintext), 'base64')) };
    case `/v1/transit/decrypt/${NAME}`:
      return { plaintext: (await envelope.decrypt(String(body.ciphertext))).toString('base64') };
    default:
      throw new Refusal(404, `there is no ${request.url}`);
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function same(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** AES-256-GCM with a key of the passphrase and a salt that stands in the text; the key's name is authenticated. */
class Envelope {
  readonly #keys = new Map<string, Promise<Buffer>>();

  constructor(private readonly passphrase: string) {}

  async encrypt(plain: Buffer): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    return PREFIX + Buffer.concat([salt, seal(plain, NAME, await this.#key(salt))]).toString('base64');
  }

  /** @throws when another passphrase has encrypted it, or nobody. */
  async decrypt(text: string): Promise<Buffer> {
    const bytes = Buffer.from(text.startsWith(PREFIX) ? text.slice(PREFIX.length) : '', 'base64');
    const key = await this.#key(bytes.subarray(0, SALT_BYTES));
    try {
      return unseal(bytes.subarray(SALT_BYTES), NAME, key);
    } catch {
      throw new Error("the passphrase of the service's state is not the one that has encrypted it");
    }
  }

  async #key(salt: Buffer): Promise<Buffer> {
    const name = salt.toString('hex');
    const known = this.#keys.get(name);
    if (known) return await known;
    const derived = derive(this.passphrase, salt, KEY_BYTES, COST);
    // Of all salts that are asked for only those of our own stacks decrypt anything: few are kept.
    if (this.#keys.size >= MOST_KEYS) this.#keys.clear();
    this.#keys.set(name, derived);
    return await derived;
  }
}

const MOST_KEYS = 16;
const derive = promisify<string, Buffer, number, typeof COST, Buffer>(scrypt);

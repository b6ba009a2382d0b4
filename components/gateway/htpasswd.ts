/** Files of user names and hashed passwords, as htpasswd(1) writes them and crypt(5) reads them. */

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const SHA_CRYPT = /^\$[56]\$(?:rounds=(\d{4,9})\$)?[./A-Za-z0-9]{1,16}\$(?:[./A-Za-z0-9]{43}|[./A-Za-z0-9]{86})$/;
/** nginx hashes in its event loop: 10 takes about 60 ms, and twice as long with each step. */
const LARGEST_COST = 10;
const LARGEST_ROUNDS = 100_000;

/**
 * What is wrong with such a file, by line and without its content.
 *
 * @param text lines `user:hash`; empty ones and those that start with `#` do not count
 */
export function htpasswdProblems(text: string): string[] {
  const found: string[] = [];
  const users = new Set<string>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    const user = line.slice(0, colon);
    const problem = colon < 1 ? 'is not "user:hash"' : (userProblem(user, users) ?? hashProblem(line.slice(colon + 1)));
    if (problem !== undefined) found.push(`line ${index + 1} ${problem}`);
    users.add(user);
  }
  if (users.size === 0 && found.length === 0)
    found.push('has no user: add one with htpasswd -B, or leave the route out');
  return found;
}

function userProblem(user: string, users: ReadonlySet<string>): string | undefined {
  if (!/^[\x21-\x7e]{1,64}$/.test(user)) return 'has a user name with other than 1 to 64 printable ASCII characters';
  if (users.has(user)) return 'has a user name that an earlier line has';
  return undefined;
}

function hashProblem(hash: string): string | undefined {
  const cost = BCRYPT.exec(hash)?.[1];
  if (cost !== undefined) {
    const fits = Number(cost) >= 4 && Number(cost) <= LARGEST_COST;
    return fits ? undefined : `has bcrypt with cost ${Number(cost)}: use 4 to ${LARGEST_COST} (htpasswd -B -C 10)`;
  }
  const crypt = SHA_CRYPT.exec(hash);
  if (crypt !== null) {
    const fits = Number(crypt[1] ?? 5000) <= LARGEST_ROUNDS;
    return fits ? undefined : `has more than ${LARGEST_ROUNDS} rounds of SHA-crypt`;
  }
  return 'has no password hashed with bcrypt or SHA-crypt: plain text, MD5, DES and unsalted SHA are refused; use htpasswd -B or openssl passwd -6';
}

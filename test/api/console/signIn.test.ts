/** Signing in to the console at an issuer, in a real browser: the authorization code flow with PKCE. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { AUDIENCE, CONSOLE_CLIENT } from '../../../local/issuer/facts.ts';
import { signingKey } from '../../../local/issuer/keys.ts';
import { startIssuer } from '../../../local/issuer/server.ts';
import { caFilePath, issue } from '../../../local/pki.ts';
import { freePort } from '../../gateway/support.ts';
import { launchChromium } from '../../support/chromium.ts';
import { violations, watch } from './page.ts';
import { type ConsoleServer, startConsole } from './server.ts';
import { ScriptedService } from './service.ts';

describe('signing in to the console at an issuer', function () {
  this.timeout(120_000);
  const directory = mkdtempSync(join(tmpdir(), 'devops-sign-in-'));
  let browser: Browser;
  let issuer: Server;
  let issuerUrl: string;
  let server: ConsoleServer;
  let context: BrowserContext;
  let page: Page;
  let complaints: string[];
  /** Addresses that the browser went to or asked. */
  let visited: string[];

  before(async function () {
    this.timeout(600_000);
    browser = await launchChromium();
    const [port, issuerPort] = [await freePort(), await freePort()];
    issuerUrl = `https://127.0.0.1:${issuerPort}`;
    issuer = await startIssuer({
      ...{ host: '127.0.0.1', port: issuerPort },
      certificate: await issue({ directory }, { name: 'i', commonName: 'i', sans: ['127.0.0.1'], usages: ['server'] }),
      secrets: {
        ...{ signingKey: signingKey({ directory }), cookieKey: 'a key for the cookies of a test' },
        ...{ client: (name) => `the secret of ${name}`, consoleOrigin: `http://127.0.0.1:${port}` },
      },
    });
    const accepted = {
      ...{ issuer: issuerUrl, audience: AUDIENCE, caFile: caFilePath({ directory }), scopeClaim: 'scope' },
      ...{ namespaces: ['*'], consoleClientId: CONSOLE_CLIENT },
    };
    const service = new ScriptedService();
    service.add('orders');
    server = await startConsole(service, { port, issuers: [accepted] });
  });

  after(async () => {
    await browser?.close();
    await server?.close();
    issuer?.closeAllConnections();
    issuer?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  beforeEach(async () => {
    // The issuer's certificate is one of the test's own authority.
    context = await browser.newContext({ reducedMotion: 'reduce', ignoreHTTPSErrors: true });
    page = await context.newPage();
    page.setDefaultTimeout(30_000);
    complaints = watch(page);
    visited = [];
    page.on('request', (request) => void visited.push(request.url()));
  });

  afterEach(async function () {
    await context?.close();
    if (this.currentTest?.state === 'passed') assert.deepEqual(complaints, [], 'the browser complained');
  });

  const signIn = async () => {
    await page.getByRole('button', { name: `Sign in at ${new URL(issuerUrl).host}` }).click();
  };
  const agree = async () => {
    await page.getByRole('button', { name: 'Continue as developer' }).click();
  };
  const place = () => `${server.url}/#/databases/local/orders`;
  const shown = async () => {
    await page.getByRole('heading', { name: 'Database orders' }).waitFor();
    assert.equal(page.url(), place());
  };

  it('comes back to the place from before, with tokens that are kept nowhere', async () => {
    await page.goto(place());
    await signIn();
    await agree();
    await shown();
    const kept = String(
      await page.evaluate('JSON.stringify([sessionStorage, localStorage, document.cookie, history.state])'),
    );
    assert.doesNotMatch(kept, /eyJ|verifier/);
    const { cookies, origins } = await context.storageState();
    assert.doesNotMatch(JSON.stringify(origins), /eyJ/);
    // Cookies do not know ports: those of the issuer hold no token either.
    assert.doesNotMatch(JSON.stringify(cookies), /eyJ/);
    assert.deepEqual(
      visited.filter((url) => /eyJ/.test(url)),
      [],
    );
    const [asked] = visited.filter((url) => url.startsWith(`${issuerUrl}/auth?`)).map((url) => new URL(url));
    assert.equal(asked?.searchParams.get('code_challenge_method'), 'S256');
    assert.equal(asked?.searchParams.get('prompt'), null);
    // In memory alone: a new page knows nothing, and the issuer still knows who it is.
    await page.reload();
    await signIn();
    await shown();
    assert.equal(
      visited.filter((url) => /\/interaction\/[\w-]+$/.test(url)).length,
      2,
      'it was asked once, and answered',
    );
  });

  it('signs out: the issuer asks anew who it is', async () => {
    await page.goto(place());
    await signIn();
    await agree();
    await shown();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await signIn();
    await agree();
    await shown();
  });

  it('says what the issuer refuses, and that a way back was not begun here', async () => {
    await page.goto(place());
    await signIn();
    await page.getByRole('button', { name: 'Continue as developer' }).waitFor();
    const asked = new URL(visited.find((url) => url.startsWith(`${issuerUrl}/auth?`)) ?? '');
    const state = asked.searchParams.get('state') ?? '';
    const back = new URLSearchParams({
      state,
      iss: issuerUrl,
      error: 'access_denied',
      error_description: 'Not today.',
    });
    await page.goto(`${server.url}/?${back}`);
    await page.getByRole('alert').getByText('Not today.').waitFor();
    assert.equal(page.url(), place());
    assert.deepEqual(await violations(page), []);

    await page.goto(`${server.url}/?${new URLSearchParams({ state: 'forged', code: 'stolen', iss: issuerUrl })}`);
    await page.getByRole('alert').getByText('It was not begun in this tab').waitFor();
    assert.deepEqual(
      visited.filter((url) => url.startsWith(`${issuerUrl}/token`)),
      [],
      'a code of somebody else is not used',
    );
  });

  it('does not take the answer of another sign-in', async () => {
    await page.goto(place());
    await signIn();
    await page.getByRole('button', { name: 'Continue as developer' }).waitFor();
    await page.goto(`${server.url}/?${new URLSearchParams({ state: 'another', code: 'stolen', iss: issuerUrl })}`);
    await page.getByRole('alert').getByText('state').waitFor();
    assert.deepEqual(
      visited.filter((url) => url.startsWith(`${issuerUrl}/token`)),
      [],
    );
  });
});

/** The console in a real browser, in front of the service's HTTP part. */
import assert from 'node:assert/strict';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium } from '../../support/chromium.ts';
import { focused, open, pressThrough, tabTo, watch } from './page.ts';
import { type ConsoleServer, startConsole } from './server.ts';
import { PASSWORD, ScriptedService, wanted } from './service.ts';

describe('the console', function () {
  // Chromium may have to be installed first.
  this.timeout(120_000);
  let browser: Browser;
  let service: ScriptedService;
  let server: ConsoleServer;
  let context: BrowserContext;
  let page: Page;
  let complaints: string[];

  before(async function () {
    this.timeout(600_000);
    browser = await launchChromium();
  });

  after(async () => {
    await browser?.close();
  });

  beforeEach(async () => {
    service = new ScriptedService();
    service.add('orders');
    server = await startConsole(service);
    context = await browser.newContext({ reducedMotion: 'reduce' });
    page = await context.newPage();
    page.setDefaultTimeout(30_000);
    complaints = watch(page);
  });

  afterEach(async function () {
    await context?.close();
    await server?.close();
    if (this.currentTest?.state === 'passed') assert.deepEqual(complaints, [], 'the browser complained');
  });

  /** The browser reports every answer that is a refusal, the expected ones too. */
  const answered = (code: number): void => {
    complaints = complaints.filter((text) => !text.includes(`status of ${code}`));
  };

  const status = (value: string) => page.locator('.heading .badge', { hasText: new RegExp(`^${value}$`) });

  it('goes from signing in to credentials, drift and deletion by keyboard alone', async () => {
    await page.goto(server.url);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await tabTo(page.getByLabel('Bearer token'));
    await page.keyboard.type(server.token);
    await page.keyboard.press('Enter');

    await page.getByRole('heading', { name: 'Databases' }).waitFor();
    assert.equal(await focused(page), 'Databases', 'a new view begins at its heading');
    await pressThrough(page, 'link', 'New database');
    await page.getByRole('heading', { name: 'New database' }).waitFor();
    await tabTo(page.getByLabel('Name', { exact: true }));
    await page.keyboard.type('stock');
    await pressThrough(page, 'button', 'Add a role');
    await page.keyboard.type('report');
    await pressThrough(page, 'button', 'Plan');

    await status('ready').waitFor();
    await pressThrough(page, 'button', 'Apply this plan');
    await status('succeeded').waitFor();
    await pressThrough(page, 'button', 'Show them');
    await page.getByText(PASSWORD).waitFor();
    assert.deepEqual(Object.keys(service.records.get('stock')?.applied?.roles ?? {}), ['owner', 'app', 'report']);

    await pressThrough(page, 'link', 'stock');
    await pressThrough(page, 'button', 'Check now');
    await page.getByRole('cell', { name: '99' }).waitFor();
    await pressThrough(page, 'link', 'Delete');
    await tabTo(page.getByLabel(/type stock/));
    await page.keyboard.type('stock');
    await pressThrough(page, 'button', 'Plan the deletion');
    await status('ready').waitFor();
    await pressThrough(page, 'button', 'Apply this plan');
    await status('succeeded').waitFor();
    assert.equal(service.records.has('stock'), false);
  });

  it('keeps the token in the tab only', async () => {
    await open(page, server);
    await page.goto(`${server.url}/#/databases/local/orders`);
    await page.getByRole('heading', { name: 'Database orders' }).waitFor();
    assert.equal(
      await page.evaluate('JSON.stringify(localStorage)').then((text) => String(text).includes(server.token)),
      false,
    );
    assert.deepEqual(await context.cookies(), []);
    assert.ok(!page.url().includes(server.token));
    assert.ok(server.requested.length > 5);
    assert.deepEqual(
      server.requested.filter((url) => url.includes(server.token)),
      [],
    );
    await page.reload();
    await page.getByRole('heading', { name: 'Database orders' }).waitFor();
    const other = await context.newPage();
    await other.goto(server.url);
    await other.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.equal(await page.evaluate("sessionStorage.getItem('token')"), null);
    assert.ok(!String(await page.evaluate('JSON.stringify([sessionStorage, localStorage])')).includes(server.token));
  });

  it('tells why a token is not accepted, and ends the session of one that is not any more', async () => {
    await page.goto(server.url);
    await page.getByLabel('Bearer token').fill('not.a.token');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Bearer token').fill(server.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Databases' }).waitFor();
    await page.evaluate("sessionStorage.setItem('token', 'an.expired.one')");
    await page.reload();
    await page.getByText('The session has ended').waitFor();
    answered(401);
  });

  it('shows the difference and the SQL before what applies them, and applies that hash', async () => {
    await open(page, server, '#/databases/local/orders/change');
    await page.getByLabel('Connection limit').first().fill('10');
    await page.getByRole('button', { name: 'Plan', exact: true }).click();
    await status('ready').waitFor();
    const text = (await page.getByRole('main').textContent()) ?? '';
    const order = ['connectionLimit', 'ALTER DATABASE "orders"', 'Apply this plan'].map((part) => text.indexOf(part));
    assert.ok(
      order.every((at) => at >= 0),
      text,
    );
    assert.deepEqual(
      [...order].sort((a, b) => a - b),
      order,
    );
    assert.deepEqual(
      service.calls.filter(({ method }) => method === 'applyPlan'),
      [],
      'nothing is applied before the button is pressed',
    );
    await page.getByRole('button', { name: 'Apply this plan' }).click();
    await status('succeeded').waitFor();
    assert.deepEqual(service.calls.at(-1), { method: 'applyPlan', hash: 'a'.repeat(64) });
  });

  it('says that a plan is stale, and plans again', async () => {
    await open(page, server, '#/databases/local/orders/change');
    await page.getByRole('button', { name: 'Plan', exact: true }).click();
    await status('ready').waitFor();
    for (const [id, plan] of service.plans) service.plans.set(id, { ...plan, status: 'stale' });
    await page.getByRole('button', { name: 'Apply this plan' }).click();
    await page.getByText('Somebody changed the server').waitFor();
    const before = page.url();
    await page.getByRole('button', { name: 'Plan again' }).click();
    await page.waitForURL((url) => url.href !== before);
    await status('ready').waitFor();
    answered(409);
  });

  it('deletes what holds data only when the name was typed', async () => {
    service.full.add('orders');
    await open(page, server, '#/databases/local/orders/delete');
    await page.getByRole('button', { name: 'Plan the deletion' }).click();
    await page.getByText('orders holds 3 tables').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Apply this plan' }).count(), 0);
    await page.getByRole('link', { name: 'Back to the deletion' }).click();
    await page.getByLabel(/type orders/).fill('order');
    await page.getByRole('button', { name: 'Plan the deletion' }).click();
    await page.getByText("is not the database's name").waitFor();
    await page.getByLabel(/type orders/).fill('orders');
    await page.getByRole('button', { name: 'Plan the deletion' }).click();
    await status('ready').waitFor();
    const drops = service.calls.map(({ drop }) => drop);
    assert.deepEqual(drops, [undefined, { database: 'orders' }]);
  });

  it('gives up a schema only when its name was typed', async () => {
    service.add('orders', { applied: wanted('orders', { schemas: ['app', 'old'] }) });
    await open(page, server, '#/databases/local/orders/change');
    await page.getByLabel('Schemas').fill('app');
    await page.getByLabel(/the schema old holds/).fill('old');
    await page.getByRole('button', { name: 'Plan', exact: true }).click();
    await status('ready').waitFor();
    assert.deepEqual(service.calls.at(-1)?.drop, { schemas: ['old'] });
  });

  it('shows what a refusal says, field by field', async () => {
    await open(page, server, '#/new');
    await page.getByLabel('Name', { exact: true }).fill('Not a name');
    await page.getByRole('button', { name: 'Plan', exact: true }).click();
    const alert = page.getByRole('alert');
    await alert.waitFor();
    assert.match((await alert.textContent()) ?? '', /name/);
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Not a name', 'what was typed stays');
    answered(400);
  });

  it('follows an operation live, cancels it, and tries it again', async () => {
    await open(page, server, '#/databases/local/orders/change');
    await page.getByRole('button', { name: 'Plan', exact: true }).click();
    await status('ready').waitFor();
    let go = (): void => undefined;
    service.gate = new Promise((resolve) => {
      go = resolve;
    });
    await page.getByRole('button', { name: 'Apply this plan' }).click();
    const log = page.getByRole('log');
    await log.getByText('Database orders').waitFor();
    assert.equal((await status('running').count()) + (await status('queued').count()), 1, 'events come before the end');
    const canceled = page.waitForResponse((response) => response.url().endsWith('/cancel'));
    await page.getByRole('button', { name: 'Cancel' }).click();
    await canceled;
    go();
    await status('canceled').waitFor();
    assert.match(await focused(page), /^Operation apply/, 'the focus is not lost with the button');
    await page.getByRole('button', { name: 'Retry' }).click();
    await status('succeeded').waitFor();
    assert.deepEqual(
      service.calls.slice(-2).map(({ method }) => method),
      ['cancel', 'retry'],
    );
  });

  it('rotates passwords and shows the credentials once', async () => {
    await open(page, server, '#/databases/local/orders');
    await page.getByRole('button', { name: 'Rotate passwords' }).click();
    await status('succeeded').waitFor();
    await page.getByRole('button', { name: 'Show them' }).click();
    await page.getByText(PASSWORD).waitFor();
    await page.reload();
    await status('succeeded').waitFor();
    assert.equal(await page.getByText(PASSWORD).count(), 0);
    assert.equal(await page.getByRole('button', { name: 'Show them' }).count(), 0);
  });

  it('filters, and goes from page to page', async () => {
    for (let number = 10; number < 40; number += 1) service.add(`tenant_${number}`);
    await open(page, server);
    const rows = page.locator('tbody tr');
    await rows.nth(24).waitFor();
    assert.equal(await rows.count(), 25);
    await page.getByRole('link', { name: 'Next page' }).click();
    await page.getByRole('link', { name: 'tenant_39' }).waitFor();
    assert.equal(await rows.count(), 6);
    await page.getByLabel('Name begins with').fill('tenant_3');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.getByRole('link', { name: 'tenant_30' }).waitFor();
    assert.equal(await rows.count(), 10);
    assert.equal(await page.getByRole('link', { name: 'Next page' }).count(), 0);
  });

  it('draws the graph, and has it as a list', async () => {
    await open(page, server, '#/databases/local/orders');
    await page.locator('.graph .node').first().waitFor();
    assert.equal(await page.locator('.graph .node').count(), 4);
    assert.equal(await page.locator('.graph .edge').count(), 3);
    await page.getByText('The graph as a list').click();
    await page.getByText('Database orders needs Role orders_owner').waitFor();
  });
});

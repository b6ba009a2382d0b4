/** Every view of the console, looked at by axe-core in both color schemes, and in a narrow window. */
import assert from 'node:assert/strict';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../../support/chromium.ts';
import { open, violations, watch } from './page.ts';
import { type ConsoleServer, startConsole } from './server.ts';
import { ScriptedService, wanted } from './service.ts';

interface View {
  readonly name: string;
  readonly address: string;
  /** Brings the view into the state that is looked at. */
  readonly prepare?: (page: Page) => Promise<void>;
  /** What is there once it is. */
  readonly shows: string;
}

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click();

const VIEWS: readonly View[] = [
  { name: 'databases', address: '', shows: 'tbody tr' },
  {
    name: 'one database, with drift and the graph as a list',
    address: '#/databases/local/orders',
    prepare: async (page) => {
      await page.getByText('The graph as a list').click();
      await press(page, 'Check now');
    },
    shows: '.to',
  },
  {
    name: 'the form, with a problem',
    address: '#/new',
    prepare: async (page) => {
      await page.getByLabel('Name', { exact: true }).fill('Not a name');
      await page.getByLabel('A Kubernetes Secret for each role').check();
      await page.getByLabel('Namespace of the Secrets').fill('shop');
      await press(page, 'Plan');
    },
    shows: '[role=alert]',
  },
  {
    name: 'the form, with a schema that is given up',
    address: '#/databases/local/orders/change',
    prepare: (page) => page.getByLabel('Schemas').fill(''),
    shows: '#drop-app',
  },
  {
    name: 'a plan',
    address: '#/databases/local/orders/change',
    prepare: (page) => press(page, 'Plan'),
    shows: '.badge.ready',
  },
  {
    name: 'a plan that failed',
    address: '#/databases/local/full/delete',
    prepare: (page) => press(page, 'Plan the deletion'),
    shows: '.notice.failed',
  },
  {
    name: 'an operation that runs',
    address: '#/databases/local/orders/change',
    prepare: async (page) => {
      await press(page, 'Plan');
      await press(page, 'Apply this plan');
    },
    shows: '.events .step',
  },
  {
    name: 'credentials',
    address: '#/databases/local/orders',
    prepare: async (page) => {
      await press(page, 'Rotate passwords');
      await press(page, 'Show them');
    },
    shows: 'th code',
  },
  { name: 'operations', address: '#/operations', shows: 'tbody tr' },
  { name: 'an address that is none', address: '#/nothing', shows: 'h1' },
];

describe('the console is accessible', function () {
  this.timeout(120_000);
  let browser: Browser;
  let server: ConsoleServer;

  before(async function () {
    this.timeout(600_000);
    browser = await launchChromium();
    const service = new ScriptedService();
    service.pace = 300;
    service.full.add('full');
    service.add('orders', { status: 'failed' });
    service.add('full', { applied: wanted('full', { credentials: { type: 'secret', namespace: 'shop' } }) });
    server = await startConsole(service);
  });

  after(async () => {
    await browser?.close();
    await server?.close();
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const view of VIEWS) {
      it(`${view.name}, ${colorScheme}`, async () => {
        const page = await browser.newPage({ colorScheme, reducedMotion: 'reduce' });
        try {
          page.setDefaultTimeout(30_000);
          const complaints = watch(page);
          await open(page, server, view.address);
          await view.prepare?.(page);
          await page.locator(view.shows).first().waitFor();
          assert.deepEqual(await violations(page), []);
          assert.deepEqual(
            complaints.filter((text) => /Content Security Policy/.test(text)),
            [],
          );
        } finally {
          await page.close();
        }
      });
    }

    it(`signing in, ${colorScheme}`, async () => {
      const page = await browser.newPage({ colorScheme, reducedMotion: 'reduce' });
      try {
        await page.goto(server.url);
        await page.getByRole('heading', { name: 'Sign in' }).waitFor();
        assert.deepEqual(await violations(page), []);
      } finally {
        await page.close();
      }
    });
  }

  it('follows the choice of the theme, and remembers it', async () => {
    const page = await browser.newPage({ colorScheme: 'light', reducedMotion: 'reduce' });
    try {
      await open(page, server);
      const background = () => page.evaluate('getComputedStyle(document.documentElement).backgroundColor');
      const light = await background();
      await page.getByLabel('Theme').selectOption('dark');
      // The page takes the theme after the next paint.
      const painted = (other: string) =>
        page.waitForFunction(`${other} getComputedStyle(document.documentElement).backgroundColor`);
      await painted(`${JSON.stringify(light)} !==`);
      const dark = await background();
      await page.reload();
      await page.getByRole('button', { name: 'Sign out' }).waitFor();
      await painted(`${JSON.stringify(dark)} ===`);
      assert.deepEqual(await violations(page), []);
    } finally {
      await page.close();
    }
  });

  it('fits into a window of 320 pixels', async () => {
    const page = await browser.newPage({ viewport: { width: 320, height: 640 } });
    try {
      for (const address of ['', '#/databases/local/orders', '#/new', '#/operations']) {
        await open(page, server, address);
        await page.locator('main table, main form').first().waitFor();
        assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 320, `${address} scrolls sideways`);
      }
    } finally {
      await page.close();
    }
  });

  it('says aloud what happens, and lets the navigation be skipped', async () => {
    const page = await browser.newPage();
    try {
      await open(page, server, '#/databases/local/orders');
      await page.getByRole('heading', { name: 'Database orders' }).waitFor();
      await press(page, 'Check now');
      await page.locator('[role=status]', { hasText: 'resources differ' }).waitFor({ state: 'attached' });
      await page.reload();
      await page.getByRole('heading', { name: 'Database orders' }).waitFor();
      const skip = page.getByRole('link', { name: 'Skip to the content' });
      await skip.focus();
      await page.keyboard.press('Enter');
      assert.equal(await page.evaluate('document.activeElement.id'), 'main');
      assert.match(page.url(), /orders$/, 'the address stays');
    } finally {
      await page.close();
    }
  });
});

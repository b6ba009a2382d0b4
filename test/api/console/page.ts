/** What the console's tests do with a page. */
import assert from 'node:assert/strict';
import axe from 'axe-core';
import type { Locator, Page } from 'playwright-core';
import type { ConsoleServer } from './server.ts';

/** Collects what the browser complains about: errors of scripts, of loading, of the Content Security Policy. */
export function watch(page: Page): string[] {
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  return complaints;
}

/** Opens an address as somebody who has signed in. */
export async function open(page: Page, { url, token }: ConsoleServer, address = ''): Promise<void> {
  await page.goto(url);
  await page.evaluate(`sessionStorage.setItem('token', ${JSON.stringify(token)})`);
  // The address first: another fragment alone loads nothing anew.
  await page.goto(`${url}/${address}`);
  await page.reload();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
}

/** What has the focus: its text. */
export async function focused(page: Page): Promise<string> {
  return String(await page.evaluate('document.activeElement.textContent'));
}

/** Presses Tab until the control has the focus, as somebody without a mouse does. */
export async function tabTo(control: Locator): Promise<void> {
  await control.waitFor();
  for (let presses = 0; presses < 80; presses += 1) {
    if (await control.evaluate((element) => element === element.ownerDocument.activeElement)) return;
    await control.page().keyboard.press('Tab');
  }
  assert.fail(`${control} cannot be reached with Tab`);
}

export async function pressThrough(page: Page, role: 'button' | 'link', name: string): Promise<void> {
  await tabTo(page.getByRole(role, { name, exact: true }));
  await page.keyboard.press('Enter');
}

/** What axe-core finds: a line for each element. Run through the debugger, which the page's policy does not bind. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const results = await page.evaluate<axe.AxeResults>('axe.run(document)');
  assert.ok(results.passes.length > 10, 'axe has looked at the page');
  return results.violations.flatMap(({ id, impact, nodes }) =>
    nodes.map((node) => `${impact} ${id}: ${node.html} ${node.failureSummary}`),
  );
}

/** WCAG 2.2 AA, as far as a machine can tell. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

interface Finding {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

let axe: string | undefined;

export async function accessible(page: Page): Promise<void> {
  axe ??= await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(axe);
  const findings = await page.evaluate(async () => {
    const { axe: engine } = window as unknown as { axe: { run(options: unknown): Promise<{ violations: Finding[] }> } };
    const { violations } = await engine.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
    return violations;
  });
  expect(findings.map((each) => `${each.id}: ${each.help}\n${each.nodes.map((node) => `  ${node.html}\n  ${node.failureSummary}`).join('\n')}`).join('\n')).toBe('');
}

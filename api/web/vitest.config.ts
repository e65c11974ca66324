import { defineConfig } from 'vitest/config';

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  test: { root: import.meta.dirname, include: ['test/**/*.test.ts'], environment: 'node' },
});

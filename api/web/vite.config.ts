import { defineConfig } from 'vite';

/** Where `npm run web:dev` finds the API. */
const api = process.env['LOCKSTEP_URL'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  root: import.meta.dirname,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    // Preload hints for lazy chunks would be inline; the pages work under a strict Content-Security-Policy without them.
    modulePreload: { polyfill: false },
    // The font must stay a file: a data URI could be neither preloaded nor cached.
    assetsInlineLimit: 0,
    reportCompressedSize: true,
  },
  server: {
    proxy: {
      '/api': { target: api, changeOrigin: true, ws: true },
    },
  },
});

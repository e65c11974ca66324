import { readFile, readdir, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/** Where `npm run web:dev` finds the API. */
const api = process.env['LOCKSTEP_URL'] ?? 'http://127.0.0.1:8080';

const TEXT = new Set(['.html', '.js', '.css', '.svg']);

/** Leaves a `.gz` beside every text file: the API serves those as they are instead of compressing at each request. */
function precompress(): Plugin {
  let out = '';
  return {
    name: 'precompress',
    apply: 'build',
    configResolved: (config) => {
      out = join(config.root, config.build.outDir);
    },
    closeBundle: async () => {
      const files = await readdir(out, { recursive: true });
      await Promise.all(
        files
          .filter((file) => TEXT.has(extname(file)))
          .map(async (file) => writeFile(join(out, `${file}.gz`), await promisify(gzip)(await readFile(join(out, file)), { level: 9 }))),
      );
    },
  };
}

export default defineConfig({
  root: import.meta.dirname,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [precompress()],
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
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

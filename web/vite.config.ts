import { defineConfig } from 'vite';

// Fixed names, because the files are compiled into the program by name.
export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2020',
    modulePreload: { polyfill: false },
    rollupOptions: {
      output: {
        entryFileNames: 'assets/panel.js',
        chunkFileNames: 'assets/[name].js',
        assetFileNames: 'assets/panel[extname]',
      },
    },
  },
});

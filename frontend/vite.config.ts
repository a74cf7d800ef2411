import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { typeErrors } from './vite-type-errors.ts';

// Where `isomor serve` listens. The Host header stays as the browser sent it: it is how the server tells its own page.
const proxy = { target: process.env.DEMO_SERVER ?? 'http://localhost:3005', changeOrigin: false, ws: true };

export default defineConfig({
    plugins: [react(), typeErrors()],
    server: { proxy: { '/isomor/': proxy, '/health/': proxy } },
    preview: { proxy: { '/isomor/': proxy, '/health/': proxy } },
});

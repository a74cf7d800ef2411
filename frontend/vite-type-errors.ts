import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

const tsc = fileURLToPath(new URL('node_modules/typescript/bin/tsc', import.meta.url));

/** What tsc finds at each change, a Python function's signature included, is shown on the page while developing. */
export function typeErrors(): Plugin {
    return {
        name: 'type-errors',
        apply: 'serve',
        configureServer(server) {
            let found = '';
            let running = false;
            let again = false;

            const show = () => server.ws.send({ type: 'error', err: { message: found, stack: '', plugin: 'tsc' } });

            function check() {
                if (running) {
                    again = true;
                    return;
                }
                running = true;
                let output = '';
                const args = [tsc, '--noEmit', '--pretty', 'false'];
                const child = spawn(process.execPath, args, { cwd: server.config.root });
                child.stdout.on('data', (data) => (output += data));
                child.on('error', (error) => server.config.logger.error(`tsc did not start: ${error.message}`));
                child.on('close', () => {
                    running = false;
                    if (again) {
                        again = false;
                        check();
                    } else if (output) {
                        found = output;
                        server.config.logger.error(output);
                        show();
                    } else if (found) {
                        found = '';
                        server.config.logger.info('tsc finds nothing any more');
                        server.ws.send({ type: 'update', updates: [] });
                    }
                });
            }

            server.watcher.on('all', (_, path) => void (/\.tsx?$/.test(path) && check()));
            server.ws.on('connection', () => void (found && show()));
            check();
        },
    };
}

// What is packed: small, whole, and of the types that it says.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const root = new URL('../', import.meta.url);
const read = (name) => readFileSync(new URL(name, root), 'utf8');
const manifest = JSON.parse(read('package.json'));
const sources = readdirSync(new URL('src', root)).filter((name) => name.endsWith('.js'));

test('under 6 kB, comments and all', () => {
    const size = gzipSync(sources.map((name) => read(`src/${name}`)).join(''), { level: 9 }).length;
    assert.ok(size < 6000, `${size} bytes`);
});

test('no dependencies, and no step between source and use', () => {
    assert.equal(manifest.dependencies, undefined);
    assert.equal(manifest.scripts.prepare ?? manifest.scripts.build ?? manifest.scripts.install, undefined);
    for (const path of [manifest.main, manifest.types, ...Object.values(manifest.exports['.'])]) {
        assert.ok(manifest.files.some((folder) => path.startsWith(`./${folder}`)), path);
        read(path);
    }
});

test('modules import each other by whole paths, and nothing else', () => {
    for (const name of sources) {
        for (const [, path] of read(`src/${name}`).matchAll(/^(?:import|export)\b[^;]*?\bfrom '(.*?)';/gm)) {
            assert.match(path, /^\.\/\w+\.js$/, name);
            read(`src/${path}`);
        }
    }
});

test('the package can be imported by its name', async () => {
    const { subscribe } = await import('isomor');
    assert.equal(subscribe, (await import('../src/index.js')).subscribe);
});

test('the lock file names npm’s registry alone', () => {
    for (const { resolved } of Object.values(JSON.parse(read('package-lock.json')).packages)) {
        assert.match(resolved ?? 'https://registry.npmjs.org/', /^https:\/\/registry\.npmjs\.org\//);
    }
});

for (const version of ['typescript', 'typescript-5']) {
    test(`types, by ${version}`, () => {
        const tsc = fileURLToPath(new URL(`node_modules/${version}/bin/tsc`, root));
        try {
            execFileSync(process.execPath, [tsc, '-p', fileURLToPath(root)], { encoding: 'utf8' });
        } catch (error) {
            assert.fail(error.stdout || error.stderr);
        }
    });
}

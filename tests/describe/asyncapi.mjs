// Reads an AsyncAPI document with the parser of AsyncAPI's own; prints what it has to say, and what it has found.
import { Parser } from '@asyncapi/parser';
import { readFileSync } from 'node:fs';

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'));
const said = diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path: path.join('.') }));
const channels = document?.channels().all().map((channel) => channel.address());
const operations = document?.operations().all().map((operation) => [
    operation.id(),
    operation.action(),
    operation.messages().all().map((message) => message.id()),
    operation.reply()?.messages().all().map((message) => message.id()) ?? [],
]);
process.stdout.write(JSON.stringify({ said, channels, operations }));

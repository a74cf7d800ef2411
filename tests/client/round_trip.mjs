// Gets every value, says on a line what it is in JavaScript, and sends it back. Arguments: the server's URL, names.
import { close, setHttpBaseUrl, setWsBaseUrl } from 'isomor';

const [url, ...names] = process.argv.slice(2);
setHttpBaseUrl(url);
setWsBaseUrl(url);

/** A value as JSON that tells what JSON cannot. */
function told(value) {
    if (value instanceof Date) {
        return { $date: value.toISOString() };
    }
    if (value instanceof Uint8Array) {
        return { $bytes: Buffer.from(value).toString('hex') };
    }
    if (value instanceof Set) {
        return { $set: [...value].map(told) };
    }
    if (Array.isArray(value)) {
        return value.map(told);
    }
    if (value && typeof value === 'object') {
        return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, told(inner)]));
    }
    return value;
}

for (const name of names) {
    const { default: give } = await import(`api/give_${name}`);
    const { default: take } = await import(`api/take_${name}`);
    const value = await give();
    const before = JSON.stringify(told(value));
    let taken;
    try {
        taken = await take(value);
    } catch (error) {
        taken = `${error.code}: ${error.message}`;
    }
    const untouched = JSON.stringify(told(value)) === before;
    console.log(JSON.stringify({ name, told: told(value), taken, untouched }));
}
close();

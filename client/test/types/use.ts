// The public types in use, well and badly.
import {
    IsomorError,
    makeFunction,
    onState,
    setHttpClient,
    setWebSocket,
    setWsConfig,
    subscribe,
    unsubscribe,
    withOptions,
    type ArgFault,
    type FunctionSpec,
} from '../../index.js';

const spec: FunctionSpec = { transport: 'ws', module: 'api', name: 'greet', hash: 'f00', cached: true };
const greet = makeFunction<(name: string, loud?: boolean) => Promise<string>>(spec);
const first = makeFunction<<T>(items: T[]) => Promise<T>>({ transport: 'http', module: 'api', name: 'first' });

export async function use(): Promise<void> {
    const text: string = await greet('Ada');
    const quick = withOptions(greet, { signal: new AbortController().signal, timeout: 1000 });
    const same: string = await quick('Ada', true);
    const item: number = await withOptions(first, {})([1, 2]);
    try {
        await quick('Ada');
    } catch (error) {
        if (error instanceof IsomorError && error.code === 'INVALID_ARGS') {
            const faults: ArgFault[] = error.details;
            console.log(faults[0]?.path, error.status.toFixed(), error.errorId?.length);
        }
    }
    const key: number = subscribe((payload: { color: string }, topic) => console.log(payload.color, topic?.length), {
        topic: 'color',
        join: () => greet('Ada'),
    });
    unsubscribe(key);
    const stop: () => void = onState((event) => {
        if (event.type === 'closed') {
            console.log(event.code.toFixed(), event.reason.length);
        } else if (event.type === 'reconnecting') {
            console.log(event.delay.toFixed());
        }
    });
    stop();
    setHttpClient((url, options) => fetch(url, { ...options, cache: 'no-store' }));
    setHttpClient(fetch);
    setHttpClient();
    setWebSocket(WebSocket);
    setWsConfig({ withCookie: true });

    // @ts-expect-error: not a string
    await greet(1);
    // @ts-expect-error: one too many
    await quick('Ada', true, 1);
    // @ts-expect-error: not a number
    const wrong: number = await greet('Ada');
    // @ts-expect-error: not a function that is called
    withOptions(() => 1, {});
    // @ts-expect-error: no such option
    withOptions(greet, { timeOut: 1 });
    // @ts-expect-error: a key is a number
    unsubscribe('key');
    // @ts-expect-error: no such transport
    makeFunction({ transport: 'tcp', module: 'api', name: 'greet' });
    console.log(text, same, item, wrong);
}

import { byId, clock, say } from './dom.js';
import { close, onState, openWS, setWebSocket, setWsConfig } from './runtime.js';

/** @import { StateEvent } from '/isomor/client/isomor/src/index.js' */

/**
 * The state of the connection, its buttons, and the switch for cookies.
 *
 * @param {(event: StateEvent) => void} hear called with each event, too
 */
export function showConnection(hear) {
    const [pill, state, last] = [byId('pill'), byId('state'), byId('last-closed')];
    const [connect, hangUp] = [byId('connect'), byId('close')];
    /** @type {ReturnType<typeof setInterval> | undefined} */
    let counting;
    let wasOpen = false;

    /** @param {string} kind @param {string} text */
    const paint = (kind, text) => {
        for (const place of [pill, state]) {
            place.dataset.state = kind;
            place.textContent = text;
        }
        // What is of no use now stays where it is: a button that goes takes the focus with it.
        connect.setAttribute('aria-disabled', String(kind === 'open' || kind === 'connecting'));
        hangUp.setAttribute('aria-disabled', String(kind === 'closed'));
    };

    /** @param {number} delay */
    const count = (delay) => {
        const until = performance.now() + delay;
        const tick = () => {
            const left = Math.ceil((until - performance.now()) / 1000);
            paint('waiting', left > 0 ? `Reconnecting in ${left} s` : 'Reconnecting …');
        };
        tick();
        counting = setInterval(tick, 250);
    };

    onState((event) => {
        if (event.type === 'open' || event.type === 'closed' || event.type === 'reconnecting') {
            clearInterval(counting);
        }
        if (event.type === 'open') {
            paint('open', 'Open');
            say(event.again ? 'The connection is open again.' : 'The connection is open.');
            wasOpen = true;
        } else if (event.type === 'closed') {
            paint('closed', 'Closed');
            last.textContent = `${clock()} · ${event.code}${event.reason && ` ${event.reason}`}`;
            if (wasOpen) {
                say(`The connection was closed: ${event.code} ${event.reason}`); // not once for each attempt
            }
            wasOpen = false;
        } else if (event.type === 'reconnecting') {
            count(event.delay);
        }
        hear(event);
    });

    connect.addEventListener('click', () => isOff(connect) || openWS());
    hangUp.addEventListener('click', () => isOff(hangUp) || close());
    listen((kind, text) => {
        clearInterval(counting);
        paint(kind, text);
    });
    paint('closed', 'Not connected');
    last.textContent = 'not yet';
}

/** @param {HTMLElement} button */
const isOff = (button) => button.getAttribute('aria-disabled') === 'true';

/**
 * See each socket as it is made, and what the server says of cookies: the runtime keeps both to itself.
 *
 * @param {(kind: string, text: string) => void} paint
 */
function listen(paint) {
    const [cookies, conf] = [/** @type {HTMLInputElement} */ (byId('with-cookie')), byId('conf')];
    cookies.addEventListener('change', () => setWsConfig({ withCookie: cookies.checked }));
    conf.textContent = 'nothing yet';
    setWebSocket(
        class extends WebSocket {
            /** @param {string} url */
            constructor(url) {
                super(url);
                paint('connecting', 'Connecting …');
                this.addEventListener('message', ({ data }) => {
                    // Calls and pushes come by the thousand, and may be large: only what may be of interest is read.
                    if (data.length < 300 && data.includes('"CONF"')) {
                        const { action, payload } = JSON.parse(data);
                        if (action === 'CONF') {
                            cookies.checked = payload.withCookie === true;
                            conf.textContent = `${clock()} · ${JSON.stringify(payload)}`;
                            say(`The server asks for cookies: ${cookies.checked ? 'yes' : 'no'}.`);
                        }
                    }
                });
            }
        },
    );
}

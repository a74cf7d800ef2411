export { close, openWS, setWsBaseUrl, setWsConfig, subscribe, unsubscribe } from './connections.js';
export { IsomorError } from './error.js';
export { isomorRemote, makeFunction, withOptions } from './function.js';
export { setHttpBaseUrl, setHttpClient, setWebSocket } from './settings.js';
export { onState } from './state.js';

// The client that this server serves. Where `client.enabled` is false, the console's own path has the same.
export * from '/isomor/client/isomor/src/index.js';

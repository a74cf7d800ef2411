// What isomor 3.0.4 was made for and Node 24 has no longer: loaded before it, by `node --require`.
'use strict';

const Module = require('module');
const util = require('util');

// Removed in Node 23.
for (const type of ['string', 'number', 'boolean', 'function']) {
    util[`is${type[0].toUpperCase()}${type.slice(1)}`] ??= (value) => typeof value === type;
}

// The package `esm` fails on this Node. The server loads the functions with it, once; they are CommonJS already.
const load = Module._load;
Module._load = function (request, ...rest) {
    return request === 'esm' ? (parent) => Module.createRequire(parent.filename) : load.call(this, request, ...rest);
};

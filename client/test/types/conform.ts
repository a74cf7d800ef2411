// What index.d.ts says is what src/index.js has: the names, and their types.
import type * as said from '../../index.js';
import * as made from '../../src/index.js';

export const all: typeof said = made;
export const noMore: Record<keyof typeof said, unknown> = made;
export const noLess: Record<keyof typeof made, unknown> = made;

// What panels not yet taken apart use; goes with the last of them.
import * as attention from './attention.js';
import * as cell from './cell.js';
import * as colourise from './colourise.js';
import * as colours from './colours.js';
import * as services from './services.js';
import * as statistics from './statistics.js';
import * as texts from './texts.js';
import { fetchArrays } from './arrays.js';

export const attnCore = { ...attention, ...cell, ...colourise, ...colours, ...statistics };
export const attn = {
  core: attnCore, fetchArrays, t: texts.t, fillTexts: texts.fillTexts, emit: services.emit,
  get lang() { return texts.language(); },
  get query() { return services.latest('attn:query'); },
  get page() { return window.attn.page; },
  on(element, type, handler) {
    if (type === 'attn:lang') services.onSpoken(element, handler);
    else services.on(element, type, handler);
  },
};

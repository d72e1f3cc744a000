// What is said, in the reader's language. Each part of the page has a JSON file a language, fetched from beside these
// modules, in the language in use only; a home without a server hands them over with addTexts().
import { fetchJson } from './fetch.js';
import { rich } from './rich.js';

const FOLDER = '../../texts/'; // from this file, on disk as on the server
const texts = {}; // language → key → text
const parts = new Set(['language', 'figure']); // what has been asked for, in any language
const arriving = new Map(); // address → promise
let offered = ['en'];
let chosen = null;
const listeners = new Set();

/** The languages there are, by code; gives the one in use: the first that the reader asks for. */
export function offerLanguages(codes) {
  offered = [...codes];
  return language();
}

/** The code of the language in use. */
export function language() {
  return (chosen ??= preferred());
}

// What the address asks for, else the browser: "zh-Hant-TW" finds "zh".
function preferred() {
  if (typeof location === 'undefined') return offered[0];
  const asked = [new URLSearchParams(location.search).get('lang'), ...(navigator.languages ?? [navigator.language])];
  const match = (code) => offered.find((one) => code?.toLowerCase().split('-')[0] === one.split('-')[0]);
  return asked.map(match).find(Boolean) ?? (offered.includes('en') ? 'en' : offered[0]);
}

/** Texts that came with the page: {language: {key: text}}. */
export function addTexts(byLanguage) {
  for (const [code, some] of Object.entries(byLanguage)) texts[code] = { ...texts[code], ...some };
}

/** Waits until these parts of the texts are here, in the language in use. */
export async function loadTexts(...names) {
  names.forEach((name) => parts.add(name));
  await loadAll(language());
}

function loadAll(code) {
  return Promise.all([...parts].map((part) => {
    if (texts[code] && Object.keys(texts[code]).some((key) => key.startsWith(`${part}.`))) return null;
    const address = new URL(`${FOLDER}${code}/${part}.json`, import.meta.url).href;
    if (!arriving.has(address)) {
      const here = fetchJson(address).then((some) => addTexts({ [code]: some }), (error) => {
        arriving.delete(address);
        console.error(error); // the keys are shown
      });
      arriving.set(address, here);
    }
    return arriving.get(address);
  }));
}

/** Changes the language: fetches its texts, then tells whoever listens. */
export async function setLanguage(code) {
  if (!offered.includes(code)) return;
  await loadAll(code);
  chosen = code;
  for (const listener of listeners) listener(code);
}

/** Calls `listener(code)` after each change of language, until the returned function is called. */
export function onLanguage(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The text of a key in the language in use, {name} filled in; a text that is no key is returned as it is. */
export function t(key, values = {}) {
  const text = texts[language()]?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Sentences one after the other: with a space between, but none after a full-width stop. Empty ones are left out. */
export const sentences = (...said) => said.filter(Boolean)
  .reduce((before, next) => (/[。！？：；]$/.test(before) ? before + next : `${before} ${next}`), '').trim();

/** Several things in a row, as the language lists them. */
export const listed = (things) => things.join(t('language.list'));

/** Fills data-t (text) and data-t-label (aria-label) in a constant template, and says its language. */
export function fillTexts(root) {
  for (const node of root.querySelectorAll('[data-t]')) node.replaceChildren(...rich(t(node.dataset.t)));
  for (const node of [root, ...root.querySelectorAll('[data-t-label]')]) {
    if (node.dataset.tLabel) node.setAttribute('aria-label', t(node.dataset.tLabel));
  }
  root.lang = t('language.tag');
}

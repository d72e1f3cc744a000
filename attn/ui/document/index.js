// One file, alive: the page's panels with what they show beside them in the same file, and no server behind them.
import { leaveAddress } from '../web/address.js';
import { h } from '../web/reactive.js';
import { addTexts, fillTexts, language, offerLanguages, onLanguage, setLanguage } from '../web/texts.js';

/** Mounts panels {name: mount} on the elements with their data-panel, and shows them what the file holds for them. */
export async function openDocument(panels) {
  const held = JSON.parse(document.querySelector('#attn-held').textContent);
  if (window !== window.top) leaveAddress(); // a page around has its own, and a document without an address none
  addTexts(held.texts);
  offerLanguages(Object.keys(held.languages));
  if (held.language && !new URLSearchParams(location.search).has('lang')) await setLanguage(held.language);
  writeHead(held.languages);
  for (const [name, mount] of Object.entries(panels)) {
    const element = document.querySelector(`[data-panel=${name}]`);
    await mount(element, hostOf(element, { ...held.values[name], image: held.photograph }));
  }
}

// What a panel asks of the program behind the page, where there is none: pictures and tables are made here.
function hostOf(element, value) {
  const made = { 'figure-png': 'png', metrics: 'csv' };
  return {
    value,
    watch() {},
    trigger(name, detail) {
      if (name === 'export') element.querySelector('.attn-explorer').explorer.save(made[detail.kind]);
    },
    ask: () => Promise.reject(new Error('there is no server')),
  };
}

function writeHead(languages) {
  const root = document.documentElement;
  const head = document.querySelector('.attn-document-head');
  const dark = () => root.classList.contains('dark');
  const theme = h('button', { type: 'button', click: () => { root.classList.toggle('dark'); write(); } });
  const nav = head.querySelector('nav');
  nav.dataset.tLabel = 'document.settings';
  nav.append(
    ...Object.entries(languages).map(([code, name]) =>
      h('button', { type: 'button', lang: code, 'data-language': code, click: () => setLanguage(code) }, name)),
    theme,
  );
  function write() {
    fillTexts(head);
    root.lang = head.lang;
    for (const button of head.querySelectorAll('[data-language]')) {
      button.setAttribute('aria-pressed', button.dataset.language === language());
    }
    theme.setAttribute('aria-pressed', dark());
  }
  theme.dataset.t = 'document.dark';
  onLanguage(write);
  write();
}

// The page's head: what it claims, its places, the story's start, the language. Places are shown and hidden by the
// page's style, so going from one to another asks nothing of the server.
import { asked, onAsked, ownsDocument, remember } from '../../web/address.js';
import { h } from '../../web/reactive.js';
import { emit, on, onSpoken } from '../../web/services.js';
import { fillTexts, language, loadTexts, setLanguage, t } from '../../web/texts.js';

export const PLACES = ['see', 'bench', 'reference'];

export async function mount(element, host) {
  await loadTexts('window', 'page');
  const root = element.querySelector('.attn-page-head');
  const page = (ownsDocument() ? null : element.closest('.gradio-container')) ?? document.documentElement;
  const buttons = PLACES.map((place) => h('button', { type: 'button', 'data-place': place, click: () => go(place) }));
  root.querySelector('nav').append(...buttons);

  function show(place) {
    page.dataset.place = place;
    buttons.forEach((button) => {
      if (button.dataset.place === place) button.setAttribute('aria-current', 'page');
      else button.removeAttribute('aria-current');
    });
    emit('attn:place', { place });
    if (place === 'reference') host.trigger('reference');
  }

  /** Opens a place as a step of the browser's history. */
  function go(place) {
    if (!PLACES.includes(place)) return;
    if (place !== page.dataset.place) {
      remember({ place: place === PLACES[0] ? null : place, step: null }, { step: true });
      if (ownsDocument()) window.scrollTo({ top: 0 });
      else page.scrollIntoView({ block: 'start' });
    }
    show(place);
  }

  function restore({ place } = asked()) {
    show(PLACES.includes(place) ? place : PLACES[0]);
  }

  // Pressed before the story is there it says so until it is.
  const start = root.querySelector('.attn-story-start');
  function wait(on) {
    start.setAttribute('aria-busy', on);
    start.querySelector('[aria-hidden]').textContent = on ? '…' : '▸';
  }
  on(root, 'attn:story-built', () => wait(false));
  start.addEventListener('click', () => {
    wait(!document.querySelector('.attn-story[data-state=ready]'));
    if (page.dataset.place !== PLACES[0]) go(PLACES[0]);
    emit('attn:story', { step: 1 });
  });
  root.querySelector('.attn-skip').addEventListener('click', (event) => {
    event.preventDefault();
    go('see');
    document.querySelector('.attn-explorer canvas')?.focus();
  });

  // The panels at once; Gradio's own components by way of the server.
  async function speak(code) {
    await setLanguage(code);
    remember({ lang: code });
    host.trigger('language', { code });
    root.querySelector('.attn-languages button')?.focus();
  }

  function write() {
    fillTexts(root);
    buttons.forEach((button) => { button.textContent = t(`window.place.${button.dataset.place}`); });
    root.querySelector('.attn-languages').replaceChildren(...Object.entries(host.value.languages)
      .filter(([code]) => code !== language())
      .map(([code, name]) => h('button', { type: 'button', lang: code, click: () => speak(code) }, name)));
  }

  // What the reference cites, and what cites its sections, is a link to it, wherever on the page it is.
  document.addEventListener('click', (event) => {
    const cited = event.target.closest?.('a[href^="#attn-"], #attn-reference a[href^="#"]:not([href^="#term-"])')?.getAttribute('href').slice(1);
    if (!cited) return;
    event.preventDefault();
    const [, step] = /^story-(.+)$/.exec(cited) ?? [];
    const section = document.getElementById(cited);
    go(step ? 'see' : PLACES.find((place) => section?.closest(`#attn-${place}`)));
    if (step) emit('attn:goto', { step });
    else {
      section?.querySelector('.attn-fold[aria-expanded=false]')?.click();
      section?.scrollIntoView({ block: 'start' });
    }
  });
  on(root, 'attn:go', ({ place }) => go(place));
  onAsked(root, restore);
  onSpoken(root, write);
  write();
  restore();
}

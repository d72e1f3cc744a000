// The bar over the window: photographs one click away, the settings' panel, the link; and the page's part of the
// address, which it keeps in step with what is shown, back and forward included.
import { asked, forgotten, keep, kept, link, onAsked, ownsDocument, remember } from '../../web/address.js';
import { emit, latest, on, onSpoken } from '../../web/services.js';
import { subscribe } from '../../web/shown.js';
import { fillTexts, language, loadTexts, t } from '../../web/texts.js';
import { closeNotices } from './notices.js';
import {
  SAID_MS, again, chooseWith, hasBrought, hideSources, identity, isStale, takePhotographs,
} from './photograph.js';
import { foldSections } from './sections.js';

const ANSWERED_MS = 30000; // should nothing be heard of what was asked

export async function mount(element, host) {
  await loadTexts('page', 'window');
  const root = element.querySelector('.attn-page');
  const around = () => root.closest('.gradio-container') ?? document.documentElement;
  const early = root.closest('#attn-ahead')?.querySelector('[data-ahead="attn-upload"]'); // until Gradio's is there
  let met = false; // Gradio's page is
  const settings = root.querySelector('.ap-settings');
  const said = root.querySelector('.ap-said');
  const examples = [...root.querySelectorAll('[data-example]')];
  const opening = JSON.parse(root.dataset.opening || '{}'); // what the page has where a link does not say
  let photograph = opening.photograph; // which one: two uploads are two photographs
  let arriving = asked().example ?? opening.example; // what a link asked for is no step of its own
  let asking = {}; // nor is what the browser's back asked for, which may not have come yet: {control: value}
  const own = root.querySelector('.ap-own'); // a photograph that is none of the examples
  const thumbnail = own.firstElementChild;
  let drawn = false; // there is one in it
  let place = null;
  let saying = ''; // a key
  let silence = 0; // a timer, until it is said no more
  let commanding = 0; // a timer, while what was asked of the server is not answered
  let next = null; // what is asked for then: {control: value}
  let stale = true; // the bench shows other controls than these, or nothing yet

  // What the address holds of the controls.
  function controls() {
    const { photograph: _, ...named } = host.value ?? {};
    return named;
  }

  /** Says `key` until something else is to be said, or for so long. */
  function say(key, milliseconds) {
    clearTimeout(silence);
    saying = key;
    said.textContent = key ? t(key) : '';
    if (milliseconds) silence = setTimeout(say, milliseconds);
  }

  function write() {
    const { weights, stem, stage, detail } = controls();
    if (weights) {
      const network = stem === 'bundled' ? t('window.stem.bundled') : stem;
      const parts = [t(`page.weights.${weights}`), network, stage, t(`page.detail.${detail}`)];
      settings.firstElementChild.textContent = parts.join(' · ');
      settings.title = t('page.weights.info');
    }
    const mine = !controls().example;
    own.hidden = !mine && !(drawn && hasBrought()); // once brought it is one click away
    own.setAttribute('aria-pressed', mine);
    own.title = t('window.photograph');
    own.setAttribute('aria-label', own.title);
    examples.forEach((button) => {
      button.setAttribute('aria-pressed', button.dataset.example === controls().example);
      button.title = t(`window.example.${button.dataset.example}`);
      button.setAttribute('aria-label', button.title);
    });
  }

  // Another photograph is a step that the browser's back leads away from; another setting is not.
  function shown() {
    const other = identity(host.value?.photograph) !== identity(photograph);
    photograph = host.value?.photograph;
    const returned = asking.example === '' && !controls().example; // to somebody's own photograph
    if (!controls().example) asking = {};
    const back = returned || Object.keys(asking).length > 0;
    if (Object.entries(asking).every(([name, value]) => String(controls()[name]) === String(value))) {
      const step = other && !back && controls().example !== arriving;
      asking = {};
      remember(step ? { ...forgotten(), ...controls() } : controls(), { step });
      keep({ photograph: controls().example ? null : identity(photograph) });
    } // else it was asked for by a step that has been left since: the address is ahead, and what it asks for follows
    arriving = null;
    wait(Object.keys(asking).length > 0);
    write();
    stale = true;
    fillBench();
    if (isStale(photograph)) host.trigger('back');
  }

  // The address is ahead of what is shown: the map says that it is being worked out, until it comes, or a notice.
  const notice = () => around().querySelector('.attn-banner')?.textContent.trim() ?? '';
  let noticed = '';
  let awaited = null; // what is marked with it
  const refusals = new MutationObserver(() => { if (notice() && notice() !== noticed) wait(false); });
  function wait(on) {
    if (Boolean(awaited) === on) return;
    awaited?.removeAttribute('data-awaited');
    awaited = on ? around() : null;
    awaited?.setAttribute('data-awaited', '');
    emit('attn:awaited', { on });
    noticed = notice();
    if (on) refusals.observe(awaited, { childList: true, subtree: true, characterData: true });
    else refusals.disconnect();
  }

  function speak() {
    fillTexts(root);
    if (saying) said.textContent = t(saying);
    if (early) early.textContent = t('window.photograph');
    nameButton();
    write();
  }

  // Gradio's own button hears of another language from the server, which takes a while.
  function nameButton() {
    const button = document.querySelector('#attn-upload');
    const words = [...button?.childNodes ?? []].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (words) words.data = t('window.photograph');
  }

  function nameLanguage() {
    if (ownsDocument()) document.documentElement.lang = t('language.tag');
  }

  // The bench is worked out when somebody goes there.
  function fillBench() {
    if (!stale || place !== 'bench') return;
    stale = false;
    host.trigger('bench');
  }

  // --- the settings' panel

  let isOpen = false; // or will be, when it is there
  function open(wanted, { focus = true } = {}) {
    isOpen = wanted;
    settings.setAttribute('aria-expanded', wanted);
    if (!met) return;
    if (wanted) around().dataset.settings = '';
    else delete around().dataset.settings;
    if (wanted && focus) document.querySelector('#attn-settings :is(input, button, select)')?.focus();
  }

  settings.addEventListener('click', () => open(!isOpen));
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !isOpen) return;
    event.stopPropagation(); // what is open is closed first
    open(false);
    settings.focus();
  }, true);
  document.addEventListener('pointerdown', (event) => {
    const inside = event.target.closest?.('#attn-settings, .ap-settings, .options, [role=listbox], .toast-wrap');
    if (isOpen && !inside) open(false);
  });

  // --- photographs

  // The server is asked for one thing after the other: of two on their way, the older may be answered last, and the
  // younger was asked without knowing its answer.
  function command(wanted) {
    next = { ...next, ...wanted };
    if (met && !commanding) send();
  }

  function send() {
    commanding = setTimeout(answered, ANSWERED_MS);
    host.trigger('command', next);
    next = null;
  }

  function answered() {
    clearTimeout(commanding);
    commanding = 0;
    if (next) send();
  }

  // Whoever chooses something else waits for no earlier step.
  const choose = () => {
    if (Object.keys(asking).length) remember(controls());
    asking = {};
    wait(false);
  };
  examples.forEach((button) => button.addEventListener('click', () => {
    choose();
    if (!met && button.dataset.example !== controls().example) wait(true);
    command({ example: button.dataset.example });
  }));

  // Of what has not been asked for yet, a photograph that is brought takes the example's place.
  function took() {
    const { example: _, ...others } = next ?? {};
    next = Object.keys(others).length ? others : null;
  }

  own.addEventListener('click', () => {
    if (own.getAttribute('aria-pressed') === 'true') return;
    choose();
    again();
  });

  // --- the link

  root.querySelector('.ap-share').addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(link());
      say(host.value?.example ? 'page.share.copied' : 'page.share.upload', SAID_MS);
    } catch {
      say('page.share.failed', SAID_MS);
    }
  });

  // What the address asks for, back or forward: the server is asked only where the controls are others.
  function restore(wanted) {
    const now = { ...controls(), ...asking };
    const mine = wanted.example ? null : kept('photograph'); // no address can hold it
    if (hasBrought(mine)) {
      wanted = { ...wanted, example: '' };
      if (now.example || identity(photograph) !== mine) {
        asking = { ...asking, example: '' };
        now.example = '';
        wait(true);
        again(mine);
      }
    }
    const changes = {};
    for (const name of Object.keys(now)) {
      const value = wanted[name] ?? opening[name] ?? now[name];
      if (String(value) !== String(now[name])) changes[name] = value;
    }
    if (!Object.keys(changes).length) return;
    asking = { ...asking, ...changes };
    wait(true);
    command(asking);
  }

  // For scripts of the page around, and for its tests.
  const page = {
    // Sets any of example, stem, stage, detail, side, weights, position and seed, and inspects anew; opens a place;
    // mechanism and query ([row, column]) are the panels' own and need no request.
    set({ place, mechanism, query, ...others }) {
      if (place) emit('attn:go', { place });
      if (Object.keys(others).length) {
        choose();
        command(others);
      }
      if (mechanism) emit('attn:mechanism', { source: 'page', name: mechanism });
      if (query) emit('attn:query', { source: 'page', row: query[0], col: query[1] });
    },
  };

  on(root, 'attn:answered', answered);
  on(root, 'attn:state', ({ state }) => remember({ view: state }));
  if (latest('attn:state')) remember({ view: latest('attn:state').state }); // before this script came
  on(root, 'attn:place', (now) => {
    place = now.place;
    open(false, { focus: false });
    fillBench();
  });
  subscribe(root, 'photograph', ({ image }) => {
    if (controls().example) return;
    const scale = Math.max(thumbnail.width / image.naturalWidth, thumbnail.height / image.naturalHeight);
    const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
    const place = [(thumbnail.width - width) / 2, (thumbnail.height - height) / 2];
    thumbnail.getContext('2d').drawImage(image, ...place, width, height);
    drawn = true;
    write();
  });
  closeNotices();
  onAsked(root, restore);
  onSpoken(root, () => {
    speak();
    remember({ lang: language() });
    nameLanguage();
  });
  host.watch(shown);
  if (host.value?.photograph !== opening.photograph) shown(); // a link was answered before this script came
  place = latest('attn:place')?.place ?? null;
  fillBench();
  hideSources();
  const within = ownsDocument() ? document : around();
  takePhotographs({ host, say, took, within, strides: JSON.parse(root.dataset.strides) });
  speak();
  nameLanguage();
  if (early) chooseWith(early);
  // With Gradio's page around it; where the bar is drawn before that, it has until then what needs none.
  Promise.resolve(host.ready).then(() => {
    met = true;
    nameButton();
    nameLanguage(); // Gradio's script has named the browser's
    if (isOpen) open(true, { focus: [settings, document.body].includes(document.activeElement) });
    if (next) send();
    document.querySelector('#attn-settings')?.addEventListener('click', choose);
    foldSections(document.querySelector('#attn-reference'));
    window.attn.page = page;
  });
}

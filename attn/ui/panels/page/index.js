// The page's own script: keeps the address in step with what is shown, copies it, and sets controls for other scripts.
import { emit, on, onSpoken } from '../../web/services.js';
import { fillTexts, language, loadTexts, t } from '../../web/texts.js';

export async function mount(element, host) {
  await loadTexts('page');
  const root = element.querySelector('.attn-page');
  const said = root.querySelector('.ap-said');
  let shown = ''; // the explorer's part of the address

  // The address of what is shown. A photograph that is no example is not in it; what was asked for besides stays.
  function address() {
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries(host.value ?? {})) if (value !== '') params.set(name, value);
    if (shown) params.set('view', shown);
    params.set('lang', language());
    for (const [name, value] of new URLSearchParams(location.search)) if (name.startsWith('__')) params.set(name, value);
    return `${location.pathname}?${params}`;
  }

  function remember() {
    history.replaceState(history.state, '', address());
  }

  function say(key) {
    said.textContent = key ? t(key) : '';
  }

  function speak() {
    fillTexts(root);
    document.documentElement.lang = t('language.tag');
  }

  root.querySelector('.ap-share').addEventListener('click', async () => {
    remember();
    try {
      await navigator.clipboard.writeText(location.href);
      say(host.value?.example ? 'page.share.copied' : 'page.share.upload');
    } catch {
      say('page.share.failed');
    }
  });

  window.attn.page = {
    // Sets any of example, stem, stage, side, weights, position and seed, and inspects anew; opens a tab; mechanism and
    // query ([row, column]) are the panels' own and need no request.
    set({ tab, mechanism, query, ...controls }) {
      if (tab) host.trigger('tab', { tab });
      if (Object.keys(controls).length) host.trigger('command', controls);
      if (mechanism) emit('attn:mechanism', { source: 'page', name: mechanism });
      if (query) emit('attn:query', { source: 'page', row: query[0], col: query[1] });
    },
  };

  on(root, 'attn:state', ({ state }) => {
    shown = state;
    remember();
  });
  onSpoken(root, () => {
    speak();
    say('');
    remember();
  });
  host.watch(remember);
  speak();
}

// The page's own script: keeps the address in step with what is shown, copies it, and sets controls for the tour.

const root = element.querySelector('.attn-page');
const said = root.querySelector('.ap-said');
let view = '';

// The address of what is shown. A photograph that is not an example is not in it; nor is what was asked for besides.
function address() {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(props.value ?? {})) if (value !== '') params.set(name, value);
  if (view) params.set('view', view);
  params.set('lang', attn.lang);
  for (const [name, value] of new URLSearchParams(location.search)) if (name.startsWith('__')) params.set(name, value);
  return `${location.pathname}?${params}`;
}

function remember() {
  history.replaceState(history.state, '', address());
}

function say(key) {
  said.textContent = key ? attn.t(key) : '';
}

root.querySelector('.ap-share').addEventListener('click', async () => {
  remember();
  try {
    await navigator.clipboard.writeText(location.href);
    say(props.value?.example ? 'page.share.copied' : 'page.share.upload');
  } catch {
    say('page.share.failed');
  }
});

attn.page = {
  // Sets any of example, stem, stage, side, weights, position and seed, and inspects anew; opens a tab; mechanism and
  // query ([row, column]) are the components' own and need no request.
  set({ tab, mechanism, query, ...controls }) {
    if (tab) trigger('tab', { tab });
    if (Object.keys(controls).length) trigger('command', controls);
    if (mechanism) attn.emit('attn:mechanism', { source: 'page', name: mechanism });
    if (query) attn.emit('attn:query', { source: 'page', row: query[0], col: query[1] });
  },
};

attn.on(root, 'attn:state', ({ state }) => {
  view = state;
  remember();
});
attn.on(root, 'attn:lang', () => {
  attn.fillTexts(root);
  say('');
  document.documentElement.lang = attn.lang === 'zh' ? 'zh-CN' : 'en';
  remember();
});
watch('value', remember);
attn.fillTexts(root);
document.documentElement.lang = attn.lang === 'zh' ? 'zh-CN' : 'en';

// The first screen before Gradio's page is there (see ui/ahead.py): the HTML holds what its panels are made of and what
// they show. Each is drawn where Gradio will have it, and its node moves there once Gradio has made the place. Where that
// cannot be had, the page comes as Gradio makes it.
import { h } from './reactive.js';
import { offerLanguages } from './texts.js';

const place = document.getElementById('attn-ahead');
const drawn = new Map(); // panel → its node, what stands in for Gradio as its host, and whether it has begun to be drawn
const IDS = /#(attn-head|attn-see|attn-upload|attn-window|explorer)(?![\w-])/g;

// The page's looks, for the places here; as in Gradio's page they outweigh a panel's own.
const looksHere = (css) => css.replace(IDS, ':is(#_ #_, [data-ahead="$1"])')
  .replaceAll('.gradio-container', ':is(.gradio-container, #attn-ahead)');

// A host that keeps what it is told until Gradio's own is met (`ready`).
function makeHost(value) {
  let host = null;
  let met;
  const meeting = new Promise((done) => { met = done; });
  const watchers = [];
  const told = [];
  return {
    get value() { return host ? host.value : value; },
    ready: meeting,
    watch: (callback) => (host ? host.watch(callback) : watchers.push(callback)),
    trigger: (...event) => (host ? host.trigger(...event) : told.push(event)),
    ask: async (...question) => (await meeting).ask(...question),
    meet(gradios) {
      host = gradios;
      met(host);
      watchers.forEach((callback) => host.watch(callback));
      if (JSON.stringify(host.value) !== JSON.stringify(value)) watchers.forEach((callback) => callback());
      told.forEach((event) => host.trigger(...event));
    },
  };
}

// Until everything of Gradio's that `selectors` name is there.
function withWhat(selectors) {
  const missing = () => selectors?.split(',').some((one) => !document.querySelector(one));
  return new Promise((done) => {
    if (!missing()) return done();
    const watcher = new MutationObserver(() => {
      if (missing()) return;
      watcher.disconnect();
      done();
    });
    watcher.observe(document.body, { childList: true, subtree: true });
  });
}

function leave(panel) {
  drawn.delete(panel);
  if (!drawn.size) place.remove();
}

// What is focused, open or held stays so; where browsers do not yet do that, the first two.
function move(node, element) {
  if (element.moveBefore) {
    element.moveBefore(node, null);
    return;
  }
  const dialog = node.querySelector('dialog:modal');
  const focused = document.activeElement;
  element.append(node);
  if (dialog) {
    dialog.close();
    dialog.showModal();
  }
  if (node.contains(focused)) focused.focus({ preventScroll: true });
}

/** Whether `panel` is drawn, or about to be: then it is in Gradio's `element` from now on, and `host` is its host. */
export async function adopted(panel, element, host) {
  await withWhat(drawn.get(panel)?.node.parentElement.dataset.with);
  const { node, standIn, begun } = drawn.get(panel) ?? {};
  if (!node) return false;
  node.parentElement.style.height = `${node.parentElement.offsetHeight}px`; // what is below it stays where it is
  if (begun) {
    element.replaceChildren();
    move(node, element);
    node.style.visibility = '';
  } else node.remove();
  for (const one of place.querySelectorAll(`[data-until="${panel}"]`)) {
    if (one === document.activeElement) document.getElementById(one.dataset.ahead)?.focus({ preventScroll: true });
    one.remove();
  }
  leave(panel);
  if (begun) standIn.meet(host);
  return begun;
}

// Whether it is there now.
async function draw(panel) {
  if (!drawn.has(panel)) return false;
  const one = drawn.get(panel);
  one.begun = true;
  try {
    const { mount } = await import(`../panels/${panel}/index.js`);
    await mount(one.node, one.standIn);
    one.node.style.visibility = ''; // with its words: without, what stands beside them would jump
    return true;
  } catch (error) {
    console.error(`Error in ${panel}, ahead of Gradio:`, error);
    if (drawn.has(panel)) {
      one.node.remove();
      leave(panel); // Gradio makes its own
    }
    return false;
  }
}

/**
 * Draws the panels there are places for, from Gradio's description of its page; gives whether all that come first are.
 * `words`: what they say before their texts have come, {language: {key: text}}.
 */
export async function drawAhead(config, words) {
  const places = [...place.querySelectorAll('[data-panel]')];
  const propsOf = ({ dataset }) => config?.components?.find(({ props }) => props.elem_id === dataset.ahead)?.props;
  const late = document.querySelector('gradio-app [id^=html-]'); // Gradio makes its own already
  if (late || !places.every(propsOf)) {
    place.remove();
    return false;
  }
  const said = words[offerLanguages(Object.keys(words))];
  const theme = new URLSearchParams(location.search).get('__theme');
  const dark = theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.body.classList.toggle('dark', dark); // as Gradio does, this and the next
  document.body.style.background = 'var(--body-background-fill)';
  place.className = `gradio-container-${config.version.replaceAll('.', '-')}`;
  for (const here of places) {
    const { panel } = here.dataset;
    const { html_template: markup, css_template: looks, value } = propsOf(here);
    const node = h('div', { id: `ahead-${panel}`, class: 'ahead-panel', style: 'visibility: hidden' });
    node.innerHTML = markup;
    for (const one of node.querySelectorAll('[data-early]')) one.textContent = said[one.dataset.early];
    here.append(node);
    place.append(h('style', {}, `#${node.id} { ${looks} }`));
    drawn.set(panel, { node, standIn: makeHost(value), begun: false });
  }
  place.append(h('style', {}, looksHere(config.css)));
  const [first, later] = [false, true].map((is) => places.filter(({ dataset }) => 'after' in dataset === is));
  for (const { dataset } of later) document.addEventListener(dataset.after, () => draw(dataset.panel), { once: true });
  return (await Promise.all(first.map(({ dataset }) => draw(dataset.panel)))).every(Boolean);
}

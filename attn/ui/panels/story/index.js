// The story: steps that scroll past a picture that stays. It draws from what the window shows, and changes nothing of it.
import { asked, onAsked, remember } from '../../web/address.js';
import { fetchArrays } from '../../web/arrays.js';
import { makeFigure } from '../../web/figure.js';
import { explainTerms } from '../../web/glossary.js';
import { handed } from '../../web/hand.js';
import { h } from '../../web/reactive.js';
import { rich } from '../../web/rich.js';
import { emit, latest, newSource, on, onSpoken } from '../../web/services.js';
import { subscribe } from '../../web/shown.js';
import { loadTexts, t } from '../../web/texts.js';
import { onLooks } from '../../web/theme.js';
import { keepAnswers, keptAnswers } from './answers.js';
import { storyData } from './data.js';
import { lamp as newLamp } from './picture.js';
import { question } from './question.js';
import { affine } from './scene_affine.js';
import { buys } from './scene_buys.js';
import { change } from './scene_change.js';
import { gates } from './scene_gates.js';
import { pixel } from './scene_pixel.js';
import { sentence } from './scene_sentence.js';
import { shapes } from './scene_shapes.js';
import { shuffle } from './scene_shuffle.js';
import { two } from './scene_two.js';
import { random, where } from './scene_where.js';
import { STEPS, neighbour, stepNamed } from './steps.js';
import { wordsOf } from './words.js';

const SCENES = { where, two, pixel, shapes, gates, affine, change, random, shuffle, sentence, buys };
const MOVE_MS = 1100; // how long the pointer that moves by itself stays at a place

export async function mount(element, host) {
  await loadTexts('story', 'statements');
  explainTerms();
  const root = element.querySelector('.attn-story');
  const source = newSource('story');
  const lamp = newLamp();
  const answers = keptAnswers(); // step → option, null for "show me"
  let photograph = null;
  let arrived = null; // {facts, arrays} for the story
  let data = null;
  let at = STEPS[0].id;
  let figure = null;
  let scene = null;
  let pointed = false; // the reader has pointed in this step's picture
  let nodes = {}; // step → its article
  let loads = 0;
  let frame = 0;
  let led = null; // the step that a button, a link or the browser's back led to, until the reader scrolls

  // A question is open: what its picture shows would be the answer.
  const covered = () => stepNamed(at).options !== undefined && answers[at] === undefined;
  const pictureName = () => say(covered() ? 'covered' : `${at}.picture`);

  const say = (key, values = {}) => t(`story.${key}`, { ...wordsOf(data), ...values });

  // --- the picture that stays

  const shown = {
    name: pictureName,
    draw: (ctx, size, colours) => scene?.draw(ctx, size, colours),
    items: () => (covered() ? 1 : scene?.items() ?? 0), // the cover is one thing, which says what it is
    columns: () => (covered() ? 1 : scene?.columns?.()),
    start: () => (covered() ? -1 : scene?.start?.() ?? -1),
    hit: (x, y, size) => (covered() ? null : scene?.hit(x, y, size) ?? null),
    place: (item, size) => (covered() ? [0, 0, size.width, size.height] : scene.place(item, size)),
    describe: (item) => (covered() ? pictureName() : scene.describe(item)),
    point: (item) => { if (!covered()) scene.point?.(item); },
    data: () => (covered() ? [] : scene.data?.() ?? []),
  };

  // What is drawn, with what is marked in it: the numbers follow the mark wherever it goes.
  const caption = () => [pictureName(), covered() ? '' : scene.marked?.() ?? ''].filter(Boolean).join(' ');

  const redraw = () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      if (!data || !scene) return;
      figure?.draw();
      root.querySelector('.st-caption').textContent = caption();
    });
  };

  function show(id) {
    at = id;
    pointed = false;
    if (!data) return;
    figure?.hide();
    [data.cell] = data.queries;
    scene = SCENES[stepNamed(id).scene]({ data, lamp, words: say, covered });
    root.querySelector('.st-caption').textContent = caption();
    for (const [step, node] of Object.entries(nodes)) node.toggleAttribute('data-active', step === id);
    root.querySelectorAll('.st-places a').forEach((link) => {
      link.toggleAttribute('aria-current', link.dataset.step === id);
    });
    redraw();
  }

  // The pointer that moves by itself, along the story's path, while its picture can be seen.
  let place = 0;
  const mover = setInterval(() => {
    if (!root.isConnected) clearInterval(mover);
    if (!root.isConnected || !data || !scene?.moves || pointed || document.hidden) return;
    if (matchMedia('(prefers-reduced-motion: reduce)').matches || !inSight(root.querySelector('canvas'))) return;
    place = (place + 1) % data.facts.path.length;
    data.cell = data.facts.path[place];
    redraw();
  }, MOVE_MS);

  // --- the steps

  function article(step, index) {
    const body = h('div');
    const write = () => {
      const asked = step.options !== undefined;
      body.replaceChildren(
        h('p', {}, rich(say(asked ? `${step.id}.ask` : `${step.id}.text`))),
        step.id === 'buys' ? h('p', {}, rich(say(`buys.of.${data.facts.figures_of}`))) : '',
        ...(asked ? [question({ step, say, choice: answers[step.id], answered })] : []),
        ...(step.id === 'end' ? [statements()] : [met(step)]));
    };
    const answered = (choice) => {
      answers[step.id] = choice;
      keepAnswers(answers);
      write();
      body.querySelector('[aria-pressed=true]').focus({ preventScroll: true }); // it took the place of the one pressed
      show(step.id);
    };
    const node = h('article', { id: `story-${step.id}`, 'data-step': step.id, tabindex: '-1' },
      h('h3', {}, h('span', { class: 'st-number' }, `${index + 1} / ${STEPS.length}`), say(`${step.id}.title`)), body,
      h('p', { class: 'st-on' },
        index ? h('button', { type: 'button', click: () => leave(step.id, -1) }, say('back')) : null,
        index < STEPS.length - 1 ? h('button', { type: 'button', class: 'primary', click: () => leave(step.id, 1) }, say('next')) : null));
    write();
    return node;
  }

  // The statements of the note that a step has met.
  function met(step) {
    return h('details', { class: 'st-met' }, h('summary', {}, say('met')), step.statements.map((name) => h('p', {},
      h('strong', {}, `${name} `), ...plain(t(`statements.${name}.note`)))));
  }

  // All ten, and what became of them.
  function statements() {
    const names = Array.from({ length: 10 }, (_, n) => `S${n + 1}`);
    const from = (name) => STEPS.find((step) => step.statements.includes(name))?.id;
    const wide = matchMedia('(min-width: 900px)').matches; // on a phone the list is longer than what it sums up
    return h('details', { class: 'st-met', open: wide }, h('summary', {}, say('all')), h('dl', { class: 'st-all' }, names.flatMap((name) => [
      h('dt', {}, h('a', { href: `#story-${from(name)}`, click: follow(from(name)) }, name), ' ', ...plain(t(`statements.${name}.note`))),
      h('dd', {}, ...plain(t(`statements.${name}.found`, wordsOf(data)))),
    ])));
  }

  // Statements are written with `code`, *stress* and [links](to papers).
  const plain = (text) => text.split(/(`[^`]+`|\*[^*]+\*|\[[^\]]+\]\(https:[^)]+\))/).map((part) => {
    const link = /^\[([^\]]+)\]\((https:[^)]+)\)$/.exec(part);
    if (link) return h('a', { href: link[2], rel: 'noopener' }, link[1]);
    if (/^`.+`$/.test(part)) return h('code', {}, part.slice(1, -1));
    return /^\*.+\*$/.test(part) ? h('em', {}, part.slice(1, -1)) : part;
  });

  // The step is in the address; one that the reader goes to is a step of the browser's history, too.
  function tellStep(id, step) {
    remember({ step: id }, { step });
    emit('attn:step', { source, step: id });
  }

  const follow = (id) => (event) => {
    event.preventDefault();
    go(id);
  };

  function go(id, { quick = false, tell = true } = {}) {
    led = id;
    const still = quick || matchMedia('(prefers-reduced-motion: reduce)').matches;
    show(id);
    nodes[id]?.scrollIntoView({ behavior: still ? 'auto' : 'smooth', block: 'start' });
    nodes[id]?.focus({ preventScroll: true });
    if (tell) tellStep(id, true);
  }

  // Back leads to the step whose button was pressed, whichever has scrolled by meanwhile.
  function leave(id, by) {
    remember({ step: id });
    go(neighbour(id, by));
  }

  // The page's head with its places, and the window, are up there.
  function toWindow() {
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const top = document.querySelector('#attn-head') ?? document.querySelector('.attn-explorer');
    top?.scrollIntoView({ behavior: still ? 'auto' : 'smooth', block: 'start' });
    document.querySelector('.attn-explorer canvas')?.focus({ preventScroll: true });
  }

  // The picture lies over the steps, not beside them.
  const stacked = () => matchMedia('(max-width: 899px)').matches && !matchMedia('(min-width: 600px) and (max-height: 560px)').matches;

  function build() {
    const canvas = h('canvas');
    figure = makeFigure(canvas, shown);
    nodes = Object.fromEntries(STEPS.map((step, index) => [step.id, article(step, index)]));
    root.replaceChildren(
      h('h2', { id: 'attn-story-title' }, say('title')),
      h('p', { class: 'st-lead' }, rich(say('lead'))),
      h('nav', { class: 'st-places', 'aria-label': say('places') }, STEPS.map((step, index) => h('a', {
        href: `#story-${step.id}`, 'data-step': step.id, title: say(`${step.id}.title`), 'aria-label': `${index + 1}. ${say(`${step.id}.title`)}`, click: follow(step.id),
      }, String(index + 1)))),
      h('div', { class: 'st-body' },
        h('div', { class: 'st-steps' }, STEPS.map((step) => nodes[step.id])),
        h('div', { class: 'st-stage' }, h('div', { class: 'attn-figure' }, canvas, figure.nodes),
          h('div', { class: 'st-under' }, h('p', { class: 'st-caption' }), h('button', {
            type: 'button', class: 'st-leave', title: say('leave.title'), click: toWindow,
          }, `↑ ${say('leave')}`)))));
    root.dataset.state = 'ready';
    emit('attn:story-built');
    new ResizeObserver(([{ target }]) => {
      root.style.setProperty('--st-stage', `${target.offsetHeight}px`); // it lies over the steps on a phone
    }).observe(root.querySelector('.st-stage'));
    watchSteps();
    show(at);
  }

  // The step nearest the middle of what can be read is the one whose picture is shown.
  let watcher = null;
  function watchSteps() {
    watcher?.disconnect();
    watcher = new IntersectionObserver((entries) => {
      const entered = entries.filter((entry) => entry.isIntersecting).at(-1)?.target.dataset.step;
      if (!entered || (led && entered !== led)) return; // what is passed on the way is not read
      if (entered !== at) show(entered);
      if (asked().step !== entered) tellStep(entered, false);
    }, { rootMargin: stacked() ? '-52% 0px -44% 0px' : '-40% 0px -55% 0px' });
    Object.values(nodes).forEach((node) => watcher.observe(node));
  }

  for (const own of ['wheel', 'touchmove', 'pointerdown', 'keydown']) {
    window.addEventListener(own, () => { led = null; }, { passive: true, capture: true });
  }

  // Whoever has left the story is at no step of it.
  let seen = false;
  new IntersectionObserver(([{ isIntersecting }]) => {
    if (seen && !isIntersecting && asked().step) remember({ step: null });
    if (isIntersecting) handed(); // its pictures are of any query
    seen = isIntersecting;
  }).observe(root);

  // --- arriving: the story's own arrays and the window's photograph must be of the same picture

  function join() {
    if (!arrived || !photograph?.factors) return;
    const { facts } = arrived;
    const [rows, cols] = facts.grid;
    if (rows !== photograph.rows || cols !== photograph.cols || facts.key !== photograph.key) return;
    const first = !data;
    data = storyData(facts, arrived.arrays, photograph, () => { pointed = true; redraw(); });
    build();
    if (first && stepNamed(asked().step)) go(asked().step, { quick: true, tell: false });
  }

  async function load(value) {
    const run = ++loads;
    if (!value) return;
    if (stepNamed(asked().step)) handed(); // led here by a link
    const arrays = await fetchArrays(value.arrays.url);
    if (run !== loads || !root.isConnected) return;
    arrived = { facts: { ...value.facts, sentence: JSON.parse(value.facts.sentence) }, arrays };
    join();
  }

  subscribe(root, 'photograph', (value) => {
    photograph = value;
    join();
  });
  onAsked(root, ({ step }) => {
    if (!stepNamed(step)) return;
    go(step, { quick: true, tell: false });
    requestAnimationFrame(() => nodes[step]?.scrollIntoView({ block: 'start' })); // the browser goes back to where it was
  });
  const begin = ({ step } = {}) => go(stepNamed(step)?.id ?? STEPS[0].id);
  on(root, 'attn:story', begin);
  if (latest('attn:story')) begin(latest('attn:story')); // asked for before this script came: once it is built
  on(root, 'attn:goto', ({ step }) => { if (stepNamed(step)) go(step, { quick: true, tell: false }); });
  onSpoken(root, async () => {
    await loadTexts('story', 'statements');
    if (data) build();
  });
  onLooks(root, redraw);
  host.watch(() => load(host.value).catch(console.error));
  load(host.value).catch(console.error);
}

function inSight(node) {
  const { top, bottom } = node?.getBoundingClientRect() ?? { top: 0, bottom: -1 };
  return bottom > 0 && top < innerHeight;
}

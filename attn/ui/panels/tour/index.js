// The guided tour: each step asks for a prediction, then drives the page and says what there is to see. Numbers come from
// the server with the picture (tour_facts); what a step does to the page is in STEPS, what it says is in the texts.

import { readable as readableTo } from '../../web/numbers.js';
import { emit, onSpoken } from '../../web/services.js';
import { fillTexts, loadTexts, t } from '../../web/texts.js';

export const tourCore = (() => {
  // right: the place of the right answer among the options; where: what to look at; show: what the page is told.
  const STEPS = [
    { id: 'point', questions: [{ options: 3, right: 1 }], where: '.attn-explorer', show: (f) => ({ query: f.queries[0] }) },
    { id: 'elsewhere', questions: [{ options: 2, right: 1 }], where: '.attn-explorer', show: (f) => ({ query: f.queries[1] }) },
    { id: 'shape', questions: [{ options: 3, right: 1 }], place: 'reference', where: '#attn-reference', show: () => ({}) },
    { id: 'gates', questions: [{ options: 2, right: 1 }], place: 'bench', where: '.attn-channels',
      show: (f) => ({ mechanism: 'se', query: f.queries[0] }) },
    { id: 'affine', questions: [{ options: 3, right: 0 }], place: 'bench',
      where: '.attn-channels > section:nth-of-type(3)', show: () => ({ mechanism: 'se' }) },
    { id: 'random', questions: [{ options: 2, right: 1 }], where: '.attn-explorer', weights: 'random', show: () => ({}) },
    { id: 'shuffle', questions: [{ options: 2, right: 1 }], place: 'bench', where: '.attn-lab', press: true, show: () => ({}) },
    { id: 'three', questions: [{ options: 2, right: 1 }, { options: 3, right: 1 }, { options: 4, right: 0 }], show: () => ({}) },
  ];

  const readable = (value) => readableTo(value, 2);

  // R² is read to three places; only what is 1 to rounding may say 1.
  function fit(value) {
    if (value === null || value === undefined) return '–';
    if (value > 1 - 1e-9) return '1';
    return value > 0.9995 ? '> 0.999' : value.toFixed(3);
  }

  // Everything a text of the tour may name.
  function words(f) {
    if (!f) return {};
    return {
      positions: f.positions,
      channels: f.channels,
      square: (f.positions ** 2).toLocaleString('en'),
      rows: f.grid[0],
      cols: f.grid[1],
      row: f.queries[0][0],
      col: f.queries[0][1],
      row2: f.queries[1][0],
      col2: f.queries[1][1],
      perplexity: Math.round(f.perplexity),
      shared: Math.round(100 * f.shared),
      specificity: f.specificity.toFixed(f.specificity < 0.01 ? 3 : 2),
      entropy: f.entropy.toFixed(3),
      r2_se: fit(f.r2.se),
      r2_spatial: fit(f.r2.spatial),
      delta_r2_spatial: fit(f.delta_r2.spatial),
      delta_r2_xca: fit(f.delta_r2.xca),
      error: readable(f.shuffle_error.spatial),
      error_position: readable(f.shuffle_error.spatial_position),
      error_se: readable(f.shuffle_error.se),
    };
  }

  return { STEPS, readable, fit, words };
})();

export async function mount(element, host) {
  await loadTexts('tour');
  const root = element.querySelector('.attn-tour');
  const one = (selector) => root.querySelector(selector);
  const panel = one('.tour-panel');
  const opener = one('.tour-open');
  const title = one('h3');
  const list = one('.tour-questions');
  const next = one('.tour-next');
  const { STEPS } = tourCore;
  let at = -1; // −1 is the welcome
  let answers = {}; // step id → chosen option of each question; null: asked to be shown
  let showing = 0; // the latest request to show something

  const facts = () => host.value || null;
  const step = () => STEPS[at];
  const isOpen = () => root.dataset.state === 'open';

  // --- what is said

  function sentence(key) {
    return t(key, tourCore.words(facts()));
  }

  function option(text, pressed, choose) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = text;
    button.setAttribute('aria-pressed', pressed);
    button.addEventListener('click', choose);
    return button;
  }

  function welcome() {
    const box = document.createElement('div');
    box.className = 'tour-options';
    box.append(
      option(t('tour.start.mine'), false, () => go(0)),
      option(t('tour.start.lion'), false, () => {
        tell({ example: 'lion', weights: 'trained', position: true });
        go(0);
      }),
    );
    list.replaceChildren(box);
  }

  // One question: its options and, once answered, what there is to see.
  function question({ options, right }, index) {
    const { id, questions } = step();
    const key = questions.length > 1 ? `tour.${id}.${index + 1}` : `tour.${id}`;
    const chosen = answers[id]?.[index];
    const box = document.createElement('section');
    box.className = 'tour-question';
    box.dataset.question = index;
    if (questions.length > 1) {
      const asked = document.createElement('h4');
      asked.textContent = sentence(`${key}.ask`);
      box.append(asked);
    }
    const buttons = document.createElement('div');
    buttons.className = 'tour-options';
    for (let place = 0; place <= options; place++) {
      const unsure = place === options;
      const button = option(
        sentence(unsure ? 'tour.unsure' : `${key}.option.${place + 1}`),
        chosen === (unsure ? null : place),
        () => answer(index, unsure ? null : place),
      );
      button.dataset.option = place;
      if (chosen !== undefined && place === right) button.dataset.right = 'true';
      buttons.append(button);
    }
    const reveal = document.createElement('div');
    reveal.className = 'tour-reveal';
    reveal.setAttribute('aria-live', 'polite');
    box.append(buttons, reveal);
    if (chosen !== undefined) fillReveal(reveal, key, chosen, right);
    return box;
  }

  function fillReveal(reveal, key, chosen, right) {
    const verdict = document.createElement('b');
    verdict.textContent = t(chosen === null ? 'tour.verdict.unsure' : `tour.verdict.${chosen === right ? 'right' : 'other'}`);
    const said = document.createElement('p');
    said.textContent = pending() ? t('tour.measuring') : sentence(`${key}.reveal`);
    reveal.dataset.pending = pending();
    reveal.replaceChildren(verdict, said);
  }

  // The random step's numbers are those of the random block, and the others' are not.
  function pending() {
    return !facts() || (step().weights === 'random') !== (facts().source === 'random');
  }

  function render() {
    fillTexts(root);
    opener.setAttribute('aria-expanded', isOpen());
    root.dataset.step = at < 0 ? 'welcome' : step().id;
    one('.tour-count').textContent = at < 0 ? '' : t('tour.count', { step: at + 1, steps: STEPS.length });
    one('.tour-back').hidden = at < 0;
    next.hidden = at < 0;
    if (at < 0) {
      title.textContent = t('tour.welcome.title');
      one('.tour-text').textContent = t('tour.welcome.text');
      one('.tour-hint').textContent = '';
      welcome();
      return;
    }
    const { id, questions } = step();
    title.textContent = t(`tour.${id}.title`);
    one('.tour-text').textContent = sentence(`tour.${id}.ask`);
    list.replaceChildren(...questions.map(question));
    next.textContent = t(at === STEPS.length - 1 ? 'tour.done' : 'tour.next');
    next.disabled = !answered();
    one('.tour-hint').textContent = answered() ? '' : t('tour.predict');
  }

  const answered = () => step().questions.every((_, index) => answers[step().id]?.[index] !== undefined);

  // --- what is done to the page

  function tell(settings) {
    window.attn.page?.set(settings);
  }

  function mark(target) {
    for (const old of document.querySelectorAll('.tour-here')) old.classList.remove('tour-here');
    if (!target) return;
    target.classList.add('tour-here');
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    target.scrollIntoView({ behavior: calm ? 'auto' : 'smooth', block: 'start' });
  }

  const visible = (selector) => [...document.querySelectorAll(selector)].find((node) => node.offsetParent);

  async function until(condition, milliseconds) {
    const end = performance.now() + milliseconds;
    while (!condition() && performance.now() < end) await new Promise((done) => setTimeout(done, 80));
    return condition();
  }

  // The step's part of the page, once it is there: a tab opens, a map is computed.
  async function show() {
    const { where, place, weights, press, show: settings } = step();
    const mine = ++showing;
    const current = () => mine === showing && isOpen();
    const wanted = {};
    if (place) wanted.place = place;
    if (weights) wanted.weights = weights;
    if (Object.keys(wanted).length) tell(wanted);
    if (where && (await until(() => visible(where), 8000)) && current()) mark(visible(where));
    if (!(await until(() => !pending(), 20000)) || !current()) return;
    const now = settings(facts());
    if (Object.keys(now).length) tell(now);
    if (press && (await until(() => visible('.attn-lab[data-state=ready]'), 8000)) && current()) {
      emit('attn:lab', { shuffle: true });
    }
  }

  function answer(index, chosen) {
    const { id } = step();
    const first = !answers[id]?.some((one) => one !== undefined);
    answers[id] ??= new Array(step().questions.length).fill(undefined);
    answers[id][index] = chosen;
    // Only this question changes, so that the focus stays and the answer is announced.
    const box = list.querySelector(`[data-question="${index}"]`);
    const { options, right } = step().questions[index];
    box.querySelectorAll('[data-option]').forEach((button, place) => {
      button.setAttribute('aria-pressed', chosen === (place === options ? null : place));
      if (place === right) button.dataset.right = 'true';
    });
    const key = step().questions.length > 1 ? `tour.${id}.${index + 1}` : `tour.${id}`;
    const reveal = box.querySelector('.tour-reveal');
    fillReveal(reveal, key, chosen, right);
    reveal.scrollIntoView({ block: 'nearest' });
    next.disabled = !answered();
    one('.tour-hint').textContent = answered() ? '' : t('tour.predict');
    if (first) show();
  }

  function go(to) {
    if (to >= STEPS.length) return close();
    at = to;
    showing++;
    mark(null);
    render();
    setWeights(at >= 0 && answered() ? step().weights : undefined);
    title.focus({ preventScroll: true });
    one('.tour-body').scrollTop = 0;
  }

  // Random weights for the step that is about them; every other needs a block that has learned something.
  function setWeights(wanted = 'trained') {
    const { source } = facts() ?? {};
    if (source && (wanted === 'random') !== (source === 'random')) tell({ weights: wanted });
  }

  function open() {
    if (isOpen()) return close();
    root.dataset.state = 'open';
    panel.hidden = false;
    go(at);
  }

  function close() {
    root.dataset.state = 'closed';
    panel.hidden = true;
    showing++;
    mark(null);
    if (at === STEPS.length - 1) {
      at = -1;
      answers = {};
    }
    setWeights();
    render();
    opener.focus();
  }

  opener.addEventListener('click', open);
  one('.tour-close').addEventListener('click', close);
  one('.tour-back').addEventListener('click', () => go(at - 1));
  next.addEventListener('click', () => go(at + 1));
  const onKey = (event) => {
    if (!root.isConnected) return document.removeEventListener('keydown', onKey);
    if (event.key === 'Escape' && isOpen() && !event.defaultPrevented && !document.querySelector('dialog[open]')) close();
  };
  document.addEventListener('keydown', onKey);
  onSpoken(root, render);
  // New numbers: what is said is written again, the focus stays.
  host.watch(() => {
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    const place = focused?.dataset.option;
    const asked = focused?.closest('[data-question]')?.dataset.question;
    render();
    [...list.querySelectorAll('.tour-reveal:not(:empty)')].at(-1)?.scrollIntoView({ block: 'nearest' });
    if (place) list.querySelector(`[data-question="${asked}"] [data-option="${place}"]`).focus({ preventScroll: true });
  });
  render();
}

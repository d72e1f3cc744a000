// The text lane: a sentence's attention, one token's row at a time. Python cuts, embeds and attends (attn/sentence.py);
// here the answer is only shown, so every number on screen is Python's.
import { asked, onAsked, remember } from '../../web/address.js';
import { foldable } from '../../web/fold.js';
import { readable } from '../../web/numbers.js';
import { onceOpened } from '../../web/opened.js';
import { onSpoken } from '../../web/services.js';
import { fillTexts, listed, loadTexts, t } from '../../web/texts.js';
import { buildTokens, fillTokens, largest, times } from './tokens.js';

const TYPING_MS = 250;
const FIRST = 1; // the shuffle with which the lane opens
const LINKED = 500; // letters of a sentence that a link holds at most
const SAME = 1e-6; // a relative error below it is rounding

export async function mount(element, host) {
  await loadTexts('text_lane');
  const root = element.querySelector('.attn-text');
  const one = (selector) => root.querySelector(selector);
  const input = one('input');
  const lanes = Object.fromEntries(['without', 'with'].map((name) => [name, one(`[data-lane="${name}"]`)]));
  let shown = null; // Python's answer: {tokens, order, without, with, …}
  let token = 0;
  let seed = FIRST;
  let turn = 0;
  let timer = 0;
  let own = false; // whether the reader has typed
  let open = false;

  async function ask() {
    clearTimeout(timer);
    if (!open) return;
    const mine = ++turn;
    const sentence = input.value;
    try {
      const answer = await host.ask('text_view', { sentence, seed });
      if (mine !== turn) return;
      if (answer.tokens.length) {
        token = shown && shown.tokens.join(' ') === answer.tokens.join(' ') ? token : 0;
        shown = answer;
        Object.assign(root.dataset, { state: 'ready', sentence, seed: answer.seed });
        build();
        remember({
          sentence: own && sentence.length <= LINKED ? sentence : null, order: seed === FIRST ? null : seed,
        });
      }
      one('.at-status').textContent = statusOf(answer);
    } catch (error) {
      if (mine !== turn) return;
      one('.at-status').textContent = t('text_lane.failed');
      console.error(error);
    }
  }

  function build() {
    buildTokens(lanes, shown);
    fill();
  }

  function fill() {
    fillTokens(lanes, shown, token);
    for (const [name, lane] of Object.entries(lanes)) {
      const error = shown[name].output_error;
      lane.dataset.error = error;
      lane.querySelector('.at-sentence').textContent =
        t(`text_lane.${error < SAME ? 'same' : 'different'}`, { error: readable(error, 2) });
    }
    root.dataset.token = token;
    one('.at-seed').textContent = t('text_lane.seed', { seed: shown.seed });
  }

  function say() {
    const row = (name) => {
      const weights = shown[name].attention[token].map((weight) => weight * shown.tokens.length);
      return listed(largest(weights, 3).map((j) => `${shown.tokens[j]} ${times(weights[j])}`));
    };
    one('.at-live').textContent =
      t('text_lane.spoken', { token: shown.tokens[token], without: row('without'), with: row('with') });
  }

  function choose(index) {
    if (!shown || index === token) return;
    token = index;
    fill();
  }

  function fillWords() {
    fillTexts(root);
    for (const node of root.querySelectorAll('[data-try]')) node.textContent = t(node.dataset.try);
    if (!own) {
      input.value = t('text_lane.try.1');
      ask();
    } else if (shown) build();
  }

  function follow(event) {
    const cell = event.target.closest?.('.at-token');
    if (cell) choose(Number(cell.dataset.token));
  }

  for (const type of ['pointerover', 'pointerdown', 'focusin']) one('.at-lanes').addEventListener(type, follow);
  one('[data-lane="without"] [data-view="attention"]').addEventListener('keydown', (event) => {
    const last = shown.tokens.length - 1;
    const next = { ArrowRight: token + 1, ArrowLeft: token - 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(Math.max(0, Math.min(last, next)));
    event.currentTarget.children[token].focus();
    say();
  });
  input.addEventListener('input', () => {
    own = true;
    clearTimeout(timer);
    timer = setTimeout(ask, TYPING_MS);
  });
  one('form').addEventListener('submit', (event) => {
    event.preventDefault();
    ask();
  });
  one('.at-shuffle').addEventListener('click', () => {
    seed += 1;
    ask();
  });
  one('.at-tries').addEventListener('click', (event) => {
    const key = event.target.dataset.try;
    if (!key) return;
    own = true;
    input.value = t(key);
    ask();
  });
  // What the address asks for; back or forward, too.
  function restore({ sentence, order } = asked()) {
    own = Boolean(sentence);
    if (own) input.value = sentence;
    seed = /^\d{1,9}$/.test(order ?? '') ? Number(order) : FIRST;
    fillWords();
    if (own) ask();
  }

  foldable(root, 'text_lane');
  onAsked(root, restore);
  onSpoken(root, fillWords);
  restore();
  onceOpened(root, () => {
    open = true;
    ask();
  });
}

function statusOf({ tokens, found }) {
  if (!found) return t('text_lane.empty');
  return found > tokens.length ? t('text_lane.cut', { used: tokens.length, found }) : '';
}

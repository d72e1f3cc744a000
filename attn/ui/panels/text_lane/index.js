// The text lane: a sentence's attention, one token's row at a time. Python cuts, embeds and attends (attn/text.py); here
// the answer is only shown, so every number on screen is Python's.

import { attn, attnCore } from '../../web/legacy.js';
import { loadTexts } from '../../web/texts.js';

export const textCore = (() => {
  // 5.4, 0.13, 12: two significant digits are what a reader compares
  const times = (value) => `${value >= 9.95 ? value.toFixed(0) : value >= 0.995 ? value.toFixed(1) : value.toFixed(2)}×`;

  // Places of the largest values, largest first; equal ones in order.
  function largest(values, count) {
    return [...values.keys()].sort((a, b) => values[b] - values[a] || a - b).slice(0, count);
  }

  function readable(value) {
    if (value === 0) return '0';
    if (value >= 1e-3) return String(Number(value.toPrecision(2)));
    const [digits, power] = value.toExponential(0).split('e');
    return `${digits} × 10${[...String(Number(power))].map((c) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[c] ?? '⁻').join('')}`;
  }

  return { times, largest, readable };
})();

export async function mount(element, host) {
  await loadTexts('text_lane');
  const root = element.querySelector('.attn-text');
  const one = (selector) => root.querySelector(selector);
  const all = (selector) => [...root.querySelectorAll(selector)];
  const input = one('input');
  const lanes = Object.fromEntries(['without', 'with'].map((name) => [name, one(`[data-lane="${name}"]`)]));
  const FULL_SHADE = 10; // × uniform
  let shown = null; // Python's answer: { tokens, order, without, with, … }
  let token = 0;
  let seed = 1;
  let turn = 0;
  let timer = 0;
  let own = false; // whether the reader has typed

  async function ask() {
    clearTimeout(timer);
    const mine = ++turn;
    const sentence = input.value;
    try {
      const answer = await host.ask('text_view', { sentence, seed });
      if (mine !== turn) return;
      if (answer.tokens.length) {
        token = shown && shown.tokens.join(' ') === answer.tokens.join(' ') ? token : 0;
        shown = answer;
        root.dataset.state = 'ready';
        root.dataset.sentence = sentence;
        root.dataset.seed = answer.seed;
        build();
      }
      one('.at-status').textContent = status(answer);
    } catch (error) {
      if (mine !== turn) return;
      one('.at-status').textContent = attn.t('text_lane.failed');
      console.error(error);
    }
  }

  function status({ tokens, found }) {
    if (!found) return attn.t('text_lane.empty');
    return found > tokens.length ? attn.t('text_lane.cut', { used: tokens.length, found }) : '';
  }

  // One cell per token: its text, a bar and a number.
  function cellOf(text, place, original, focusable) {
    const cell = document.createElement(focusable ? 'button' : 'span');
    if (focusable) cell.type = 'button';
    cell.className = 'at-token';
    cell.dataset.token = original;
    const word = document.createElement('b');
    word.textContent = text;
    const bar = document.createElement('i');
    const number = document.createElement('small');
    cell.append(word, bar, number);
    return cell;
  }

  function build() {
    const asTyped = shown.tokens.map((_, i) => i);
    for (const [name, lane] of Object.entries(lanes)) {
      for (const [view, places] of [['attention', asTyped], ['shuffled', shown.order]]) {
        const focusable = name === 'without' && view === 'attention';
        const list = lane.querySelector(`[data-view="${view}"]`);
        list.replaceChildren(...places.map((original, place) =>
          cellOf(shown.tokens[original], place, original, focusable)));
        if (focusable) {
          list.setAttribute('role', 'toolbar');
          list.setAttribute('aria-label', attn.t('text_lane.tokens'));
        }
      }
    }
    fill();
  }

  function fill() {
    if (!shown) return;
    const count = shown.tokens.length;
    for (const [name, lane] of Object.entries(lanes)) {
      const result = shown[name];
      for (const view of ['attention', 'shuffled']) {
        const place = view === 'attention' ? token : shown.order.indexOf(token);
        const row = result[view][place].map((weight) => weight * count);
        lane.querySelectorAll(`[data-view="${view}"] .at-token`).forEach((cell, j) => {
          const shade = Math.min(1, row[j] / FULL_SHADE);
          cell.style.setProperty('--shade', shade);
          cell.dataset.times = row[j];
          cell.classList.toggle('at-chosen', j === place);
          cell.lastChild.textContent = textCore.times(row[j]);
          if (cell.tabIndex !== undefined && cell.tagName === 'BUTTON') {
            cell.tabIndex = j === token ? 0 : -1;
            cell.setAttribute('aria-pressed', j === token);
          }
        });
      }
      const same = result.output_error < 1e-6;
      lane.dataset.error = result.output_error;
      lane.querySelector('.at-sentence').textContent =
        attn.t(`text_lane.${same ? 'same' : 'different'}`, { error: textCore.readable(result.output_error) });
    }
    root.dataset.token = token;
    one('.at-seed').textContent = attn.t('text_lane.seed', { seed: shown.seed });
  }

  function say() {
    const row = (name) => {
      const weights = shown[name].attention[token].map((weight) => weight * shown.tokens.length);
      return textCore.largest(weights, 3).map((j) => `${shown.tokens[j]} ${textCore.times(weights[j])}`).join(', ');
    };
    one('.at-live').textContent =
      attn.t('text_lane.spoken', { token: shown.tokens[token], without: row('without'), with: row('with') });
  }

  function choose(index) {
    if (!shown || index === token) return;
    token = index;
    fill();
  }

  function fillWords() {
    attn.fillTexts(root);
    for (const node of all('[data-try]')) node.textContent = attn.t(node.dataset.try);
    if (!own) {
      input.value = attn.t('text_lane.try.1');
      ask();
    } else if (shown) {
      build();
    }
  }

  function follow(event) {
    const cell = event.target.closest?.('.at-token');
    if (cell) choose(Number(cell.dataset.token));
  }

  one('.at-lanes').addEventListener('pointerover', follow);
  one('.at-lanes').addEventListener('pointerdown', follow);
  one('.at-lanes').addEventListener('focusin', follow);
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
    timer = setTimeout(ask, 250);
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
    input.value = attn.t(key);
    ask();
  });
  attn.on(root, 'attn:lang', fillWords);
  fillWords();
}

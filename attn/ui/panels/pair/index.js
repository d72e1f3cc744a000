// Ask one photograph, look in another: the queries of the first meet the keys of the second, under the pointer. Another
// pair is asked of the server, pointing is not.
import { fetchArrays } from '../../web/arrays.js';
import { drawCell, drawCellLabel, sameSpot } from '../../web/cell.js';
import { fetchImage } from '../../web/fetch.js';
import { framed } from '../../web/frame.js';
import { mapFigure } from '../../web/grid.js';
import { percent, readable } from '../../web/numbers.js';
import { whenOpened } from '../../web/opened.js';
import { greyOf } from '../../web/picture.js';
import { foldable } from '../../web/fold.js';
import { h, reactive } from '../../web/reactive.js';
import { rich } from '../../web/rich.js';
import { latest, on, onSpoken } from '../../web/services.js';
import { entropy, scaled } from '../../web/statistics.js';
import { language, loadTexts, sentences, t as text } from '../../web/texts.js';
import { onLooks } from '../../web/theme.js';
import { pairModel, togglePin } from './model.js';

const EXAMPLES = ['lion', 'cheetah', 'tower', 'hopper'];
const MOST_PINS = 6;
const SCALE = { table: 'viridis', low: 0.1, high: 100, log: true, unit: '×' }; // a thing may hold nearly all of it
const t = (key, values) => text(`bench.pair.${key}`, values);

export async function mount(element, host) {
  await loadTexts('bench', 'channels');
  const root = element.querySelector('.attn-pair');
  const live = reactive();
  const wanted = { first: '', second: 'cheetah', position: false }; // what was asked for last
  const state = { query: null, pins: [], over: 'second' };
  let shown = null; // {facts, model, photos}
  let refusal = null; // why what was asked for last is not here: language → sentence
  let turn = 0;

  const spot = (place, cols) => text('channels.cell', { row: Math.floor(place / cols), col: place % cols });
  const cell = (place, [, cols]) => [Math.floor(place / cols), place % cols];
  const answer = (place = state.query) => shown.model.answer(place, state.over);

  function ask(changes = {}) {
    Object.assign(wanted, changes);
    refusal = null;
    root.dataset.state = 'loading';
    live.update('state');
    host.trigger('ask', { ...wanted, key: latest('attn:map')?.key ?? '' });
  }

  const askedFor = ({ first, second, position }) =>
    Object.assign(wanted, { first, second, position: Boolean(position) });

  // What is looked at first: an example other than the page's own photograph.
  const opened = whenOpened(root, () => {
    if (host.value?.arrays) load();
    else ask();
  });

  async function load() {
    const mine = ++turn;
    const { first, second, arrays, facts } = host.value;
    refusal = facts.error ?? null;
    if (refusal) {
      if (shown) askedFor(shown.facts); // stays, and another is asked for from there
      root.dataset.state = shown ? 'ready' : 'error';
      live.update('state');
      return;
    }
    try {
      const [here, there, numbers] = await Promise.all([
        fetchImage(first.url), fetchImage(second.url), fetchArrays(arrays.url),
      ]);
      if (mine !== turn) return;
      const same = shown && shown.facts.key === facts.key && shown.facts.first === facts.first;
      shown = {
        facts, model: pairModel(numbers),
        photos: [here, there].map((image) => ({ image, grey: greyOf(image) })),
      };
      askedFor(facts);
      if (!same || !(state.query < shown.model.counts[0])) {
        const told = latest('attn:query');
        const [row, col] = told && !facts.first ? sameSpot(told, facts.grids[0]) : facts.grids[0].map((side) => side >> 1);
        state.query = row * facts.grids[0][1] + col;
        state.pins = [];
      }
      root.dataset.state = 'ready';
      await build();
    } catch (error) {
      if (mine !== turn) return;
      root.dataset.state = 'error';
      live.update('state');
      console.error(error);
    }
  }

  async function build() {
    live.clear();
    root.lang = text('language.tag');
    root.replaceChildren(h('h2', {}, t('title')), h('p', {}, rich(t('lead'))), controls(), ...(shown ? figures() : []));
    foldable(root, 'pair');
    live.update('all');
    await live.flush();
  }

  function controls() {
    const button = (label, pressed, click) =>
      h('button', { type: 'button', 'aria-pressed': String(Boolean(pressed)), click }, label);
    const named = (name) => t(`example.${name}`);
    const facts = shown?.facts;
    return h('div', { class: 'controls' },
      button(`${named('lion')} → ${named('cheetah')}`, facts?.first === 'lion' && facts.second === 'cheetah',
        () => ask({ first: 'lion', second: 'cheetah' })),
      button(t('mine'), facts && !facts.first, () => ask({ first: '' })),
      h('span', { class: 'group' }, h('span', { class: 'note' }, t('second')),
        EXAMPLES.map((name) => button(named(name), facts?.second === name, () => ask({ second: name }))),
        button(t('upload'), facts && !facts.second, () => {
          document.querySelector('#attn-second')?.parentElement.querySelector('input[type=file]')?.click();
        })),
      live.choice(t('over'), ['second', 'both'].map((over) => ({ value: over, label: () => t(`over.${over}`) })),
        () => state.over, (over) => {
          state.over = over;
          live.update('over');
        }, ['over']),
      positionSwitch(facts),
      live.live(['state'], () => (root.dataset.state === 'loading' ? t('loading')
        : refusal?.[language()] ?? (root.dataset.state === 'error' ? t('error') : '')), 'span', { class: 'note', role: 'status' }));
  }

  function positionSwitch(facts) {
    if (facts?.position === null) return null;
    const box = h('input', { type: 'checkbox', change: () => ask({ position: box.checked }) });
    box.checked = Boolean(facts?.position);
    return h('label', { class: 'position' }, box, ' ', t('position'));
  }

  function figures() {
    const { facts, model, photos } = shown;
    const [first, second] = facts.grids;
    const positions = () => (state.over === 'both' ? model.counts[0] + model.counts[1] : model.counts[1]);
    const ratio = ([height, width]) => String(width / height);
    const mark = (ctx, { width, height }, grid, place, label) => {
      const box = drawCell(ctx, width, height, grid, cell(place, grid));
      if (label) drawCellLabel(ctx, width, height, box, label);
    };
    const setQuery = ([row, col]) => {
      state.query = row * first[1] + col;
      live.update('query');
    };
    const times = ([row, col], value, grid) => text('channels.tip.times', {
      at: spot(row * grid[1] + col, grid[1]), value: readable(value),
    });
    const asked = mapFigure({
      grey: () => photos[0].grey, grid: () => first,
      values: () => (state.over === 'both' ? scaled(answer().first, positions()) : []),
      scaleOf: () => SCALE,
      marks: (ctx, size) => {
        state.pins.forEach((pin, i) => mark(ctx, size, first, pin, String(i + 1)));
        mark(ctx, size, first, state.query);
      },
      describe: ([row, col], value) =>
        (state.over === 'both' ? times([row, col], value, first) : spot(row * first[1] + col, first[1])),
      start: () => cell(state.query, first),
      point: setQuery,
      pick: ([row, col]) => {
        state.pins = togglePin(state.pins, row * first[1] + col, MOST_PINS);
        live.update('pins');
      },
    });
    const draw = asked.draw;
    asked.draw = (ctx, size, colours) => {
      if (state.over === 'both') return draw(ctx, size, colours);
      ctx.drawImage(photos[0].image, 0, 0, size.width, size.height);
      state.pins.forEach((pin, i) => mark(ctx, size, first, pin, String(i + 1)));
      mark(ctx, size, first, state.query);
      return null;
    };
    const found = mapFigure({
      grey: () => photos[1].grey, grid: () => second,
      values: () => scaled(answer().second, positions()),
      scaleOf: () => SCALE,
      marks: (ctx, size) => {
        state.pins.forEach((pin, i) => mark(ctx, size, second, answer(pin).best, String(i + 1)));
        mark(ctx, size, second, answer().best, '★');
      },
      describe: ([row, col], value) => times([row, col], value, second),
    });
    const keys = ['query', 'over', 'pins'];
    return [
      h('div', { class: 'two' },
        framed(live, asked, {
          on: keys, onTitle: [], ratio: ratio(facts.sizes[0]), bar: true, title: () => t('first'),
          caption: () => t('first.note', { at: spot(state.query, first[1]) }),
        }),
        framed(live, found, {
          on: keys, onTitle: [], ratio: ratio(facts.sizes[1]), bar: true, title: () => t('found'),
          caption: () => {
            const { second: weights, share, best } = answer();
            const within = scaled(weights, 1 / share);
            const said = t('found.note', {
              at: spot(best, second[1]), times: readable(weights[best] * positions()),
              about: readable(Math.round(Math.exp(entropy(within)))), positions: readable(weights.length),
            });
            if (state.over === 'second') return said;
            return sentences(said, t('share', { share: percent(share), even: percent(model.counts[1] / positions()) }));
          },
        })),
      matches(first, second),
      h('p', { class: 'note' }, t(facts.position === null ? 'why.none' : facts.position ? 'why.with' : 'why.without')),
    ];
  }

  function matches(first, second) {
    const list = h('ol', { class: 'matches', 'aria-label': t('pins') });
    live.when(['pins', 'over'], () => {
      list.replaceChildren(...state.pins.map((pin, i) => {
        const { second: weights, best } = answer(pin);
        const positions = weights.length + (state.over === 'both' ? shown.model.counts[0] : 0);
        const words = t('match', {
          from: spot(pin, first[1]), to: spot(best, second[1]), times: readable(weights[best] * positions),
        });
        return h('li', {}, h('b', {}, `${i + 1} `), words, ' ', h('button', {
          type: 'button', 'aria-label': t('unpin', { number: i + 1 }), click: () => {
            state.pins = togglePin(state.pins, pin, MOST_PINS);
            live.update('pins');
          },
        }, '×'));
      }));
      if (!state.pins.length) list.replaceChildren(h('li', { class: 'note' }, t('pins.none')));
    });
    return list;
  }

  on(root, 'attn:query', (query) => {
    if (!shown || shown.facts.first) return;
    const [row, col] = sameSpot(query, shown.facts.grids[0]);
    state.query = row * shown.facts.grids[0][1] + col;
    live.update('query');
  });
  // Another photograph, network or weights on the page: this pair is asked for anew when it is looked at.
  on(root, 'attn:map', ({ key }) => {
    if ((shown || refusal) && key && key !== shown?.facts.key) whenOpened(root, () => ask())();
  });
  onSpoken(root, build);
  onLooks(root, () => { if (shown) live.update('all'); });
  host.watch(() => { if (host.value) load(); });
  await build();
  opened();
}

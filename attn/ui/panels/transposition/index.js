// The transposition: one cube of features, one formula, and the product taken either way round. Rows = positions gives
// N × N, the AttnBlock; rows = channels gives C × C, channel self-attention.
import { asked, onAsked, remember } from '../../web/address.js';
import { fetchArrays } from '../../web/arrays.js';
import { makeFigure } from '../../web/figure.js';
import { explainTerms } from '../../web/glossary.js';
import { fixed, readable, rough } from '../../web/numbers.js';
import { h, reactive } from '../../web/reactive.js';
import { rich } from '../../web/rich.js';
import { emit, latest, newSource, on, onSpoken } from '../../web/services.js';
import { loadTexts, t } from '../../web/texts.js';
import { onLooks } from '../../web/theme.js';
import { drawCube, drawProduct, plan } from './drawing.js';
import { ease, under } from './geometry.js';
import { texturesOf } from './textures.js';

const TURN_MS = 1100;
const WAYS = ['positions', 'channels'];
const ROWS = ['row', 'elsewhere', 'shuffle', 'told', 'name'];

const say = (key, values) => t(`transposition.${key}`, values);

export async function mount(element, host) {
  await loadTexts('transposition');
  explainTerms();
  const root = element.querySelector('.attn-transposition');
  const source = newSource('transposition');
  const panel = reactive();
  const wayAsked = ({ turn }) => (WAYS.includes(turn) ? turn : WAYS[0]);
  const state = { way: wayAsked(asked()), turn: 0, cell: null, at: [0.5, 0.5] };
  state.turn = WAYS.indexOf(state.way);
  let shown = null; // the value with its pictures
  let figures = [];
  let loads = 0;
  let moving = 0;

  const turned = () => WAYS.indexOf(state.way);

  // --- turning

  function turnTo(way) {
    state.way = way;
    state.cell = null;
    remember({ turn: way === WAYS[0] ? null : way });
    panel.update('way');
    const from = state.turn;
    const to = turned();
    const start = performance.now();
    cancelAnimationFrame(moving);
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const step = (now) => {
      const share = still ? 1 : Math.min(1, (now - start) / TURN_MS);
      state.turn = from + (to - from) * ease(share);
      if (share === 1) state.turn = to;
      panel.update('picture');
      if (share < 1) moving = requestAnimationFrame(step);
    };
    moving = requestAnimationFrame(step);
  }

  // --- what is under the pointer: a cell of the product, by its number row · side + column

  const map = () => shown.textures[state.way];
  const shares = (item) => {
    const { side } = map();
    return { row: (Math.floor(item / side) + 0.5) / side, column: ((item % side) + 0.5) / side };
  };
  const range = (share, count, side) => {
    const low = Math.floor((share - 0.5 / side) * count + 1e-6);
    const high = Math.max(low, Math.ceil((share + 0.5 / side) * count - 1e-6) - 1);
    return low === high ? fixed(low) : `${fixed(low)}–${fixed(high)}`;
  };

  function describe(item) {
    const { row, column } = shares(item);
    const { values, side } = map();
    const count = shown.counts[state.way];
    return say(`cell.${state.way}`, {
      row: range(row, count, side), column: range(column, count, side), value: rough(values[item]),
    });
  }

  function point(item) {
    state.cell = shares(item);
    if (state.way === 'positions') {
      const [rows, cols] = shown.grid;
      const index = Math.floor(state.cell.row * rows * cols);
      const [row, col] = [Math.floor(index / cols), index % cols];
      state.at = [(row + 0.5) / rows, (col + 0.5) / cols];
      emit('attn:query', { source, row, col, rows, cols }); // the window above shows this row as a picture
    }
    panel.update('picture');
  }

  const productFigure = {
    name: () => say(`map.${state.way}`, shown.words),
    draw: (ctx, size, colours) => drawProduct(ctx, size, colours, {
      textures: shown.textures, counts: shown.counts, turn: state.turn, cell: state.cell,
      labels: { left: WAYS.map((way) => say(`left.${way}`, shown.words)), upper: WAYS.map((way) => say(`upper.${way}`, shown.words)) },
    }),
    items: () => map().side ** 2,
    columns: () => map().side,
    hit(x, y, size) {
      if (state.turn !== turned()) return null;
      const { shift, ...places } = plan(size, shown.counts, state.turn);
      const cell = under(places, x - shift, y - shift);
      return cell && Math.floor(cell.row * map().side) * map().side + Math.floor(cell.column * map().side);
    },
    place(item, size) {
      const { shift, product } = plan(size, shown.counts, turned());
      const { row, column } = shares(item);
      const step = product.side / map().side;
      return [shift + product.x + column * product.side - step / 2, shift + product.y + row * product.side - step / 2, step, step];
    },
    describe, point,
    start: () => Math.floor(map().side / 2) * (map().side + 1),
    data: () => {
      const { values, side } = map();
      return [
        { key: 'row', values: Array.from(values, (_, i) => Math.floor(i / side)) },
        { key: 'column', values: Array.from(values, (_, i) => i % side) },
        { key: 'times_uniform', values: Array.from(values) },
      ];
    },
  };

  const cubeFigure = {
    name: () => say('cube', shown.words),
    draw: (ctx, size, colours) => drawCube(ctx, size, colours, {
      textures: shown.textures, turn: state.turn, at: state.at,
      marked: state.cell && state.way === 'channels' ? Math.floor(state.cell.row * shown.textures.slices.length) : null,
      labels: { width: say('side.width', shown.words), height: say('side.height', shown.words), channels: say('side.channels', shown.words) },
    }),
    items: () => shown.slices.length,
    hit: () => null,
    place: (_, { width, height }) => [0, 0, width, height],
    describe: (item) => say('slice', { channel: fixed(shown.slices[item]) }),
  };

  // --- what stands on the page

  function figure(kind, shownAs) {
    const canvas = h('canvas');
    const made = makeFigure(canvas, shownAs);
    figures.push(made);
    panel.picture(['picture', 'way'], { measure: () => made.measure(), draw: (size) => made.draw(size) });
    return h('div', { class: `attn-figure tp-${kind}` }, canvas, made.nodes);
  }

  function code() {
    const line = (way) => {
      const node = h('code', {}, 'attn = softmax(', h('mark', {}, way === 'positions' ? 'q @ k.T' : 'q.T @ k'), `)  # ${say(`shapes.${way}`, shown.words)}`);
      panel.when(['way'], () => node.setAttribute('aria-current', way === state.way));
      return node;
    };
    return h('pre', {}, WAYS.map(line));
  }

  function comparison() {
    const cell = (tag, way, text) => {
      const node = h(tag, tag === 'th' ? { scope: 'col' } : {}, rich(text));
      panel.when(['way'], () => { node.dataset.current = way === state.way; });
      return node;
    };
    return h('table', {},
      h('thead', {}, h('tr', {}, h('td'), WAYS.map((way) => cell('th', way, say(`column.${way}`, shown.words))))),
      h('tbody', {}, ROWS.map((row) => h('tr', {}, h('th', { scope: 'row' }, say(`line.${row}`)),
        WAYS.map((way) => cell('td', way, say(`line.${row}.${way}`, shown.words)))))));
  }

  function build() {
    panel.clear();
    figures = [];
    const choice = panel.choice(say('switch'), WAYS.map((way) => ({ value: way, label: () => say(`way.${way}`) })),
      () => state.way, turnTo, ['way']);
    root.replaceChildren(
      h('h2', { id: 'attn-transposition-title' }, say('title')),
      h('p', {}, rich(say('lead', shown.words))),
      h('div', { class: 'tp-body' },
        figure('cube', cubeFigure),
        h('div', {}, figure('product', productFigure),
          panel.live(['way', 'picture'], () => say(state.cell ? `read.${state.way}` : `rest.${state.way}`, {
            ...shown.words,
            row: state.cell ? fixed(Math.floor(state.cell.row * shown.counts[state.way])) : '',
          }), 'p', { class: 'tp-caption' })),
        h('div', { class: 'tp-words' }, choice, code(), comparison())));
    root.dataset.state = 'ready';
    panel.update('all');
  }

  // --- arriving

  async function load(value) {
    const run = ++loads;
    if (!value) return;
    const arrays = await fetchArrays(value.arrays.url);
    if (run !== loads || !root.isConnected) return;
    const { positions, channels } = value;
    shown = {
      ...value,
      counts: { positions, channels },
      textures: texturesOf(value, arrays),
      words: {
        positions: fixed(positions), channels: fixed(channels), rows: fixed(value.grid[0]), cols: fixed(value.grid[1]),
        moved: readable(value.shuffle.positions, 2), kept: readable(value.shuffle.channels, 2),
        overlap: fixed(100 * value.overlap),
      },
    };
    state.cell = null;
    const query = latest('attn:query');
    if (query) follow(query);
    build();
  }

  function follow(query) {
    if (query.source === source || !shown) return;
    state.at = [(query.row + 0.5) / (query.rows ?? shown.grid[0]), (query.col + 0.5) / (query.cols ?? shown.grid[1])];
    if (state.way === 'positions') {
      const [rows, cols] = shown.grid;
      const index = Math.floor(state.at[0] * rows) * cols + Math.floor(state.at[1] * cols);
      state.cell = { row: (index + 0.5) / (rows * cols), column: state.cell?.column ?? (index + 0.5) / (rows * cols) };
    }
    panel.update('picture');
  }

  on(root, 'attn:query', follow);
  onAsked(root, (now) => { if (shown && wayAsked(now) !== state.way) turnTo(wayAsked(now)); });
  onSpoken(root, async () => { await loadTexts('transposition'); if (shown) build(); });
  onLooks(root, () => panel.update('picture'));
  host.watch(() => load(host.value).catch(console.error));
  load(host.value).catch(console.error);
}

// The two lanes and the channel panel: drawn from one file of arrays, so that pointing, choosing and sorting ask no
// server. First the numbers, which know nothing of a page; then drawing; then what is on the page and how it answers.

import { attn } from '../../web/legacy.js';
import { loadTexts } from '../../web/texts.js';

export const channelsCore = (() => {
  // --- numbers

  /** Row `row` of a quantised array, as channels.py packs it: value = low + step · code. */
  function decodeRow(arrays, name, row) {
    const codes = arrays[name];
    const columns = codes.length / arrays[`${name}_low`].length;
    const low = arrays[`${name}_low`][row];
    const step = arrays[`${name}_step`][row];
    return Float32Array.from({ length: columns }, (_, i) => low + step * codes[row * columns + i]);
  }

  /** Offsets of a fit, with what is only float32's rounding (a millionth of the channel's greatest value) made 0. */
  function settled(offsets, lows, highs) {
    return offsets.map((b, c) => (Math.abs(b) < 1e-6 * Math.max(Math.abs(lows[c]), Math.abs(highs[c])) ? 0 : b));
  }

  /** One photograph's channels: `before`, `change`, `after` give a channel's map, `stat` a number for each channel. */
  function channelsModel(facts, arrays) {
    const mechanisms = Object.fromEntries(facts.mechanisms.map((mechanism) => [mechanism.name, mechanism]));
    const before = (channel) => decodeRow(arrays, 'features', channel);
    const change = (name, channel) => {
      const gates = arrays[`gates_${name}`];
      if (!gates) return decodeRow(arrays, `change_${name}`, channel);
      return before(channel).map((x) => (gates[channel] - 1) * x);
    };
    return {
      facts,
      arrays,
      mechanisms,
      before,
      change,
      after: (name, channel) => {
        const moved = change(name, channel);
        return before(channel).map((x, i) => x + moved[i]);
      },
      stat: (name, field) => {
        const values = arrays[field.endsWith('_before') ? `stats_${field}` : `stats_${name}_${field}`];
        return field.endsWith('_b') ? settled(values, arrays.stats_min_before, arrays.stats_max_before) : values;
      },
    };
  }

  /** The strongest positions of a map, no two within `gap` cells: [{row, col, value}], strongest first, no zeros. */
  function topPositions(values, columns, count, gap) {
    const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
    const found = [];
    for (const index of order) {
      const row = Math.floor(index / columns);
      const col = index % columns;
      const far = found.every((other) => Math.max(Math.abs(other.row - row), Math.abs(other.col - col)) > gap);
      if (far && values[index] > 0) found.push({ row, col, value: values[index] });
      if (found.length === count) break;
    }
    return found;
  }

  /** Least and greatest of some arrays, nan left out; [0, 0] where nothing is defined. */
  function extent(...lists) {
    let low = Infinity;
    let high = -Infinity;
    for (const list of lists) {
      for (const value of list) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    return low <= high ? [low, high] : [0, 0];
  }

  /** How many values fall into each of `bins` equal parts of low … high; nan is not counted. */
  function histogram(values, low, high, bins) {
    const counts = new Array(bins).fill(0);
    for (const value of values) {
      if (Number.isNaN(value)) continue;
      const bin = high > low ? Math.floor(((value - low) / (high - low)) * bins) : 0;
      counts[Math.min(bins - 1, Math.max(0, bin))] += 1;
    }
    return counts;
  }

  /** Indices in order of their value; equal values keep their order and nan comes last either way. */
  function sortedOrder(values, descending) {
    const sign = descending ? -1 : 1;
    return Array.from(values.keys()).sort((a, b) => {
      const nanA = Number.isNaN(values[a]);
      const nanB = Number.isNaN(values[b]);
      if (nanA || nanB) return nanA - nanB || a - b;
      return sign * (values[a] - values[b]) || a - b;
    });
  }

  /** A number as people read it: three significant digits, a true minus, '–' for undefined. */
  function readable(value, language = 'en') {
    if (value === null || !Number.isFinite(value)) return '–';
    if (value === 0) return '0'; // never "−0"
    const size = Math.abs(value);
    let text;
    if (Number.isInteger(value)) text = value.toLocaleString(language);
    else if (size >= 1000) text = Math.round(value).toLocaleString(language);
    else if (size >= 1e-3) text = String(Number(value.toPrecision(3)));
    else {
      const [digits, power] = value.toExponential(1).split('e');
      const raised = [...String(Number(power))].map((c) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[c] ?? '⁻').join('');
      text = `${digits}×10${raised}`;
    }
    return text.replace('-', '−');
  }

  /** An R² as `readable` has it, but 1 only where the fit is exact to float32: 0.9998 stays 0.9998. */
  function rSquared(value, language = 'en') {
    const rest = 1 - value;
    if (value === null || !(rest < 5e-4)) return readable(value, language);
    return rest < 1e-6 ? '1' : value.toFixed(Math.ceil(-Math.log10(rest)));
  }

  /** A count in short: 1.2M, in Chinese 120万. */
  function short(value, language) {
    return new Intl.NumberFormat(language, { notation: 'compact', maximumSignificantDigits: 3 }).format(value);
  }

  /** A signed share as a percentage with its sign: +1.2 %. */
  function signedPercent(value) {
    const text = (100 * value).toFixed(2).replace('-', '−');
    return `${value > 0 ? '+' : ''}${text} %`;
  }

  /** Comma-separated lines of `columns` [{key, values}] with one line per channel; undefined values stay empty. */
  function csvOf(columns, rows) {
    const head = columns.map((column) => column.key).join(',');
    const lines = rows.map((row) =>
      columns.map((column) => (Number.isNaN(column.values[row]) ? '' : column.values[row])).join(','),
    );
    return `${[head, ...lines].join('\n')}\n`;
  }

  /** 'Round' places for an axis from low to high, about `count` of them. */
  function ticks(low, high, count) {
    if (!(high > low)) return [low];
    const rough = (high - low) / count;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= rough);
    const places = [];
    const last = Math.floor(high / step + 1e-9);
    for (let i = Math.ceil(low / step - 1e-9); i <= last; i += 1) places.push(i * step + 0); // + 0: never −0
    return places;
  }

  /** Labels moved down until none is nearer than `gap` to the one above: [{at, ...}] → the same with `y`. */
  function spread(labels, gap) {
    let last = -Infinity;
    return [...labels]
      .sort((a, b) => a.at - b.at)
      .map((label) => {
        last = Math.max(label.at, last + gap);
        return { ...label, y: last };
      });
  }

  return {
    decodeRow, settled, channelsModel, topPositions, extent, histogram, sortedOrder,
    readable, rSquared, short, signedPercent, csvOf, ticks, spread,
  };
})();

// Formulas in MathML; a symbol with a name lights up the figures that show it.
const channelsFormulas = (() => {
  const row = (...parts) => `<mrow>${parts.join('')}</mrow>`;
  const id = (text, symbol) => `<mi${symbol ? ` data-symbol="${symbol}"` : ''}>${text}</mi>`;
  const op = (text) => `<mo>${text}</mo>`;
  const word = (text) => `<mi mathvariant="normal">${text}</mi>`;
  const sub = (base, below) => `<msub>${base}${below}</msub>`;
  const brackets = (...parts) => row(op('('), ...parts, op(')'));
  const hat = (text) => `<mover>${id(text)}${op('^')}</mover>`;
  const x = id('x', 'x');
  const y = id('y', 'y');
  const mean = row(word('mean'), brackets(x));
  const gated = row(sub(y, id('c')), op('='), sub(id('g', 'weights'), id('c')), sub(x, id('c')));
  const math = (...lines) => lines.map((line) => `<math display="block">${line}</math>`).join('');
  const gate = (...inside) => math(row(id('g', 'weights'), op('='), id('σ'), brackets(...inside)), gated);
  const layer = (n) => sub(id('W'), `<mn>${n}</mn>`);
  const ij = row(id('i'), id('j'));
  return {
    spatial: math(
      row(sub(id('A', 'weights'), ij), op('='), sub(word('softmax'), id('j')), brackets(
        '<mfrac>', row(sub(id('q'), id('i')), op('·'), sub(id('k'), id('j'))),
        row(id('τ'), `<msqrt>${id('C')}</msqrt>`), '</mfrac>',
      )),
      row(sub(y, id('i')), op('='), sub(x, id('i')), op('+'), id('W'), sub(op('∑'), id('j')),
        sub(id('A', 'weights'), ij), sub(id('v'), id('j'))),
    ),
    se: gate(layer(2), word('ReLU'), brackets(layer(1), mean)),
    eca: gate(sub(word('conv'), id('k')), brackets(mean)),
    cbam: gate(word('MLP'), brackets(mean), op('+'), word('MLP'), brackets(word('max'), brackets(x))),
    cam: math(
      row(sub(id('B', 'weights'), ij), op('='), sub(word('softmax'), id('j')), brackets(
        sub(word('max'), id('j')), sub(id('E'), ij), op('−'), sub(id('E'), ij),
      ), op(','), sub(id('E'), ij), op('='), sub(x, id('i')), op('·'), sub(x, id('j'))),
      row(sub(y, id('i')), op('='), sub(x, id('i')), op('+'), id('γ'), sub(op('∑'), id('j')),
        sub(id('B', 'weights'), ij), sub(x, id('j'))),
    ),
    xca: math(
      row(sub(id('B', 'weights'), ij), op('='), sub(word('softmax'), id('j')), brackets(
        id('τ'), sub(hat('q'), id('i')), op('·'), sub(hat('k'), id('j')),
      )),
      row(y, op('='), x, op('+'), id('W'), id('B', 'weights'), id('v')),
    ),
  };
})();

/** Builds the panel in `root` and keeps it in step with the component's value and with the other components. */
function channelsPanel(root, props, watch) {
  const core = channelsCore;
  const SOURCE = 'channels';
  const ROW_PX = 28;
  const BINS = 30;
  const TALLEST_PX = 330;
  const AXIS = { left: 46, right: 10 }; // what a plot leaves free at its sides, in px
  const STATISTICS = ['mean', 'std', 'min', 'max', 'sparsity', 'energy_share'];
  const state = {
    mechanism: 'se',
    lane: 'right', // whose statistics the table and the chosen channel show
    channel: null,
    query: null,
    statistic: 'mean',
    sort: { key: 'change_norm', descending: true },
  };
  let model = null;
  let photo = null;
  let turn = 0;
  let frame = 0;
  const changed = new Set();
  let updates = []; // {on: what must change for it to happen, write: words, canvas and draw: a picture}

  const t = (key, params) => attn.t(`channels.${key}`, params);
  const number = (value) => core.readable(value, attn.lang);
  const rSquared = (value) => core.rSquared(value, attn.lang);
  const percent = (value) => `${number(100 * value)} %`;
  const subject = () => (state.lane === 'left' ? 'spatial' : state.mechanism);
  const titleOf = (name) => t(`name.${name}`);
  const when = (on, write) => updates.push({ on, write });

  /** All words, then all sizes, then all pictures: asking for a size between two changes lays out the page anew. */
  function flush() {
    cancelAnimationFrame(frame);
    const due = updates.filter(({ on }) => changed.has('all') || on.some((what) => changed.has(what)));
    changed.clear();
    for (const { write } of due) write?.();
    const pictures = due.filter(({ canvas }) => canvas)
      .map(({ canvas, draw }) => ({ canvas, draw, width: canvas.clientWidth, height: canvas.clientHeight }));
    const colours = palette();
    for (const picture of pictures) paint(picture, colours);
  }

  /** Notes what changed; it is shown with the next frame, once, however often it changed until then. */
  function update(what) {
    changed.add(what);
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(flush);
  }

  // --- a few words of HTML

  function h(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (typeof value === 'function') node.addEventListener(name, value);
      else if (value === true) node.setAttribute(name, '');
      else if (value !== false && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return node;
  }

  /** A piece of text that is written anew whenever one of `on` changes. */
  function live(on, text, tag = 'p', attributes = {}) {
    const node = h(tag, attributes);
    when(on, () => { node.textContent = text(); });
    return node;
  }

  /** A text whose **starred** parts are strong. */
  const emphasised = (text) => text.split('**').map((part, i) => (i % 2 ? h('strong', {}, part) : part));

  /** A row of radio buttons: `options` [{value, label}] read and written through get and set. */
  function choice(legend, options, get, set, on) {
    const group = `channels-${Math.random().toString(36).slice(2)}`;
    const inputs = options.map(({ value }) =>
      h('input', { type: 'radio', name: group, value, change: () => set(value) }));
    when(on, () => inputs.forEach((input) => { input.checked = input.value === get(); }));
    return h('fieldset', { class: 'choice' }, h('legend', {}, legend), h('div', {},
      options.map(({ label }, i) => h('label', {}, inputs[i], live(['mechanism'], label, 'span')))));
  }

  // --- drawing

  /** The theme's colours; derived ones are read off an element, which has them worked out. */
  function palette() {
    const style = getComputedStyle(root);
    return {
      text: style.color,
      quiet: getComputedStyle(root.querySelector('.note')).color,
      line: style.getPropertyValue('--border-color-primary').trim(),
      accent: style.caretColor, // the one colour property of a section that shows nowhere
      font: `12px ${style.fontFamily}`,
    };
  }

  /** A canvas at the screen's own resolution: draw(ctx, width, height, colours), sizes in CSS pixels. */
  function paint({ canvas, draw, width, height }, colours) {
    if (!width || !height) return; // in a hidden tab
    const density = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    const ctx = canvas.getContext('2d');
    ctx.scale(canvas.width / width, canvas.height / height);
    ctx.font = colours.font;
    draw(ctx, width, height, colours);
  }

  /** A colour map as a CSS gradient. */
  function gradient(table) {
    const colours = attn.core.colormap(table);
    const stops = Array.from({ length: 18 }, (_, i) => colours.subarray(45 * i, 45 * i + 3)); // every 15th of 256
    return `linear-gradient(to right, ${stops.map((rgb) => `rgb(${rgb.join(' ')})`).join(', ')})`;
  }

  /** Values (rows × cols) as a small picture, one pixel each; undefined ones stay transparent. */
  function picture(values, rows, cols, { table, low, high, log = false }) {
    const canvas = h('canvas', { width: cols, height: rows });
    const pixels = new ImageData(cols, rows);
    const flat = table === 'diverging' ? { low: -1, high: 1 } : { low, high: low + 1 };
    const range = { ...(high > low ? { low, high } : flat), log };
    attn.core.colourise(values, range, attn.core.colormap(table), pixels.data);
    for (let i = 0; i < values.length; i += 1) if (Number.isNaN(values[i])) pixels.data[4 * i + 3] = 0;
    canvas.getContext('2d').putImageData(pixels, 0, 0);
    return canvas;
  }

  function drawPicture(ctx, width, height, image, alpha = 1) {
    ctx.save();
    ctx.imageSmoothingEnabled = image.width > width; // cells stay sharp, a larger matrix is averaged
    ctx.globalAlpha = alpha;
    ctx.drawImage(image, 0, 0, width, height);
    ctx.restore();
  }

  /** A map over the grey photograph; returns its scale for the colour bar. */
  function drawOver(ctx, width, height, values, [rows, cols], scale) {
    ctx.drawImage(photo.grey, 0, 0, width, height);
    drawPicture(ctx, width, height, picture(values, rows, cols, scale), 0.72);
    return scale;
  }

  /** Cell (row, col) of a grid framed so that it is seen on light and on dark; with a number if given. */
  function drawCell(ctx, width, height, [rows, cols], { row, col }, label) {
    const box = [(col * width) / cols, (row * height) / rows, width / cols, height / rows];
    for (const [colour, thickness] of [['#000', 4], ['#fff', 2]]) {
      ctx.strokeStyle = colour;
      ctx.lineWidth = thickness;
      ctx.strokeRect(...box);
    }
    if (label === undefined) return;
    ctx.save();
    ctx.font = `bold ${ctx.font}`;
    ctx.textBaseline = 'middle';
    const x = Math.min(width - 12, box[0] + box[2] + 3);
    const y = Math.min(height - 8, Math.max(8, box[1] + box[3] / 2));
    ctx.strokeStyle = '#000';
    ctx.lineWidth = 3;
    ctx.strokeText(label, x, y);
    ctx.fillStyle = '#fff';
    ctx.fillText(label, x, y);
    ctx.restore();
  }

  /** Axes with ticks inside a canvas; returns where values lie on it. */
  function drawAxes(ctx, width, height, colours, [xLow, xHigh], [yLow, yHigh], { x = '', y = '', log = false } = {}) {
    const box = { left: AXIS.left, right: width - AXIS.right, top: y ? 20 : 8, bottom: height - (x ? 34 : 20) };
    const place = (value, low, high, from, to) => from + ((value - low) / (high > low ? high - low : 1)) * (to - from);
    const sx = (value) => place(value, xLow, xHigh, box.left, box.right);
    const sy = (value) => place(value, yLow, yHigh, box.bottom, box.top);
    const whole = (places) => (log ? places.filter((place) => Math.abs(place - Math.round(place)) < 1e-9) : places);
    const name = (value) => (log ? core.short(10 ** value, attn.lang) : number(Number(value.toPrecision(6))));
    ctx.lineWidth = 1;
    ctx.strokeStyle = colours.line;
    ctx.fillStyle = colours.quiet;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'top';
    for (const value of whole(core.ticks(xLow, xHigh, Math.max(2, Math.floor(width / 90))))) {
      ctx.fillText(name(value), sx(value), box.bottom + 4);
    }
    if (x) ctx.fillText(x, (box.left + box.right) / 2, height - 14);
    ctx.textAlign = 'right';
    ctx.textBaseline = 'middle';
    for (const value of whole(core.ticks(yLow, yHigh, 4))) {
      ctx.beginPath();
      ctx.moveTo(box.left, sy(value));
      ctx.lineTo(box.right, sy(value));
      ctx.stroke();
      ctx.fillText(name(value), box.left - 5, sy(value));
    }
    ctx.textAlign = 'left';
    ctx.textBaseline = 'alphabetic';
    if (y) ctx.fillText(y, 4, 12);
    return { sx, sy, box };
  }

  function drawLine(ctx, from, to, colour, { width = 1.5, dash = [] } = {}) {
    ctx.save();
    ctx.setLineDash(dash);
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.beginPath();
    ctx.moveTo(...from);
    ctx.lineTo(...to);
    ctx.stroke();
    ctx.restore();
  }

  function drawDot(ctx, x, y, radius, colour, alpha = 1) {
    ctx.save();
    ctx.globalAlpha = alpha;
    ctx.fillStyle = colour;
    ctx.beginPath();
    ctx.arc(x, y, radius, 0, 2 * Math.PI);
    ctx.fill();
    ctx.restore();
  }

  /**
   * A titled canvas with an optional colour bar and a line of text below, drawn anew when one of `on` changes.
   * `draw` returns the bar's scale. `pick(x, y, canvas)` gets the place clicked in 0 … 1, `hover` the one moved over.
   */
  function figure({ title, draw, on, ratio = '1', bar = false, caption, label, shows, pick, hover, keys }) {
    const heading = live(['mechanism', 'lane', 'channel'], title, 'span', { class: 'title' });
    const canvas = h('canvas', { role: keys ? 'application' : 'img', tabindex: keys ? 0 : undefined });
    canvas.style.aspectRatio = ratio;
    canvas.style.maxWidth = `${TALLEST_PX * Number(ratio)}px`;
    const strip = h('div', { class: 'strip' });
    const ends = [h('span'), h('span'), h('span')];
    const scaleBar = h('div', { class: 'bar', style: `max-width:${canvas.style.maxWidth}` }, strip,
      h('div', { class: 'ends' }, ends));
    const note = caption ? live(on, caption, 'p', { class: 'note' }) : null;
    const drawWithBar = (...place) => {
      const scale = draw(...place);
      canvas.setAttribute('aria-label', (label ?? title)());
      if (!bar || !scale) return;
      const { low, high, table, log, unit = '' } = scale;
      const middle = log ? Math.sqrt(low * high) : (low + high) / 2;
      [low, middle, high].forEach((value, i) => { ends[i].textContent = `${number(value)}${unit}`; });
      if (strip.dataset.table === table) return;
      strip.dataset.table = table;
      strip.style.background = gradient(table);
    };
    updates.push({ on, canvas, draw: drawWithBar });
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      const clip = (v) => Math.min(1 - 1e-9, Math.max(0, v));
      return [clip((event.clientX - box.left) / box.width), clip((event.clientY - box.top) / box.height)];
    };
    if (pick) {
      canvas.classList.add('pick');
      canvas.addEventListener('click', (event) => pick(...at(event), canvas));
    }
    if (hover) canvas.addEventListener('pointermove', (event) => hover(...at(event), canvas));
    if (keys) canvas.addEventListener('keydown', keys);
    return h('figure', { 'data-shows': shows }, h('figcaption', {}, heading), canvas,
      bar ? scaleBar : null, note);
  }

  // --- what everything follows

  function setQuery(row, col, tell) {
    const [rows, cols] = model.facts.grid;
    const query = { row: Math.max(0, Math.min(rows - 1, row)), col: Math.max(0, Math.min(cols - 1, col)) };
    if (state.query?.row === query.row && state.query?.col === query.col) return;
    state.query = query;
    root.dataset.row = query.row;
    root.dataset.col = query.col;
    update('query');
    if (tell) attn.emit('attn:query', { source: SOURCE, ...query, rows, cols });
  }

  function setChannel(channel, tell = true) {
    if (!(channel >= 0 && channel < model.facts.channels) || channel === state.channel) return;
    state.channel = channel;
    root.dataset.channel = channel;
    update('channel');
    if (tell) attn.emit('attn:channel', { source: SOURCE, channel });
  }

  function setMechanism(name, tell = true) {
    if (!(name in model.mechanisms) || name === 'spatial' || name === state.mechanism) return;
    state.mechanism = name;
    root.dataset.mechanism = name;
    update('mechanism');
    if (tell) attn.emit('attn:mechanism', { source: SOURCE, name });
  }

  function setLane(lane) {
    state.lane = lane;
    update('lane');
  }

  const queryIndex = () => state.query.row * model.facts.grid[1] + state.query.col;
  const channelAt = (x) => Math.floor(x * model.facts.channels);
  const cell = ({ row, col }) => t('cell', { row, col });
  const scaleFrom = (table, low, high, unit) => ({ table, low, high, unit });

  /** Zero to the greatest value; and, for changes, the same to both sides of zero. */
  const fromZero = (values, table, unit) => scaleFrom(table, 0, core.extent(values)[1], unit);
  const aroundZero = (values) => {
    const peak = attn.core.peakOf(values);
    return scaleFrom('diverging', -peak, peak);
  };

  // --- the two lanes

  function lanes() {
    const grid = model.facts.grid;
    const ratio = String(model.facts.image_size[1] / model.facts.image_size[0]);
    return h('div', { class: 'lanes' }, ['left', 'right'].map((side) => {
      const name = () => (side === 'left' ? 'spatial' : state.mechanism);
      const mechanism = () => model.mechanisms[name()];
      const on = side === 'left' ? [] : ['mechanism'];
      const onChannel = ['channel', ...on];
      return h('article', { class: `lane ${side}`, 'data-lane': side },
        laneHead(name, mechanism, on),
        laneFormula(name, on),
        h('div', { class: 'pair' },
          side === 'left' ? attentionFigure() : weightsFigure(), answerFigure(side, ratio)),
        h('div', { class: 'pair' },
          figure({
            title: () => t('where'), on, ratio, bar: true, shows: 'y',
            draw: (ctx, w, height) => {
              const values = model.arrays[`position_change_${name()}`];
              return drawOver(ctx, w, height, values, grid, fromZero(values, 'magma'));
            },
          }),
          changeFigure(name, onChannel, ratio)),
        h('div', { class: 'pair' },
          figure({
            title: () => t('moved', { channel: state.channel }), on: onChannel, ratio, bar: true, shows: 'y',
            draw: (ctx, w, height) => {
              const values = model.change(name(), state.channel);
              return drawOver(ctx, w, height, values, model.facts.maps_grid, aroundZero(values));
            },
            caption: () => t('moved.note', {
              norm: number(model.stat(name(), 'change_norm')[state.channel]),
              r2: rSquared(model.stat(name(), 'delta_r2')[state.channel]),
            }),
          }),
          fitFigure(name, on, ratio)),
        laneNumbers(name, mechanism, on));
    }));
  }

  function laneHead(name, mechanism, on) {
    const badge = live(on, () => {
      const { source, seed } = mechanism();
      return source === 'random' ? t('source.random', { seed }) : t(`source.${source}`);
    }, 'span', { class: 'badge' });
    const paper = h('a', { target: '_blank', rel: 'noopener' });
    when(on, () => {
      badge.dataset.source = mechanism().source;
      badge.title = t(`source.${mechanism().source}.note`);
      paper.href = mechanism().paper;
      paper.textContent = t('paper');
    });
    const [rows, cols] = model.facts.grid;
    return h('header', {},
      h('h3', {}, live(on, () => titleOf(name()), 'span'), badge, paper),
      live(on, () => t(`compares.${mechanism().kind}`, {
        positions: number(rows * cols), rows, cols, channels: number(model.facts.channels),
        weights: number(mechanism().kind === 'spatial' ? (rows * cols) ** 2
          : mechanism().kind === 'gate' ? model.facts.channels : model.facts.channels ** 2),
      }), 'p', { class: 'compares' }));
  }

  function laneFormula(name, on) {
    const [rows, cols] = model.facts.grid;
    const formula = h('div', { class: 'formula' });
    const light = (event, lit) => {
      const symbol = event.target.closest?.('[data-symbol]')?.dataset.symbol;
      if (!symbol) return;
      for (const shown of formula.closest('.lane').querySelectorAll('[data-shows]')) {
        shown.classList.toggle('lit', lit && shown.dataset.shows === symbol);
      }
    };
    formula.addEventListener('pointerover', (event) => light(event, true));
    formula.addEventListener('pointerout', (event) => light(event, false));
    when(on, () => { formula.innerHTML = channelsFormulas[name()]; });
    return h('div', {}, formula, live(on, () => t(`symbols.${name()}`, {
      positions: number(rows * cols), rows, cols, channels: number(model.facts.channels),
    }), 'p', { class: 'note' }));
  }

  function attentionFigure() {
    const positions = model.facts.grid[0] * model.facts.grid[1];
    const { attention, attention_low: low, attention_step: step } = model.arrays;
    const values = Float32Array.from(attention, (code, i) => {
      const row = Math.floor(i / positions);
      return positions * (low[row] + step[row] * code);
    });
    const scale = { table: 'viridis', low: 0.01, high: 100, log: true, unit: '×' };
    const image = picture(values, positions, positions, scale);
    return figure({
      title: () => t('attention', { positions: number(positions) }), on: ['query'], bar: true, shows: 'weights',
      draw: (ctx, width, height) => {
        drawPicture(ctx, width, height, image);
        drawRowMark(ctx, width, height, queryIndex(), positions);
        return scale;
      },
      caption: () => t('attention.note', { at: cell(state.query) }),
      pick: (x, y) => {
        const index = Math.floor(y * positions);
        setQuery(Math.floor(index / model.facts.grid[1]), index % model.facts.grid[1], true);
      },
    });
  }

  /** A thin frame around a matrix's row, and arrowheads at its ends. */
  function drawRowMark(ctx, width, height, row, rows) {
    const y = ((row + 0.5) * height) / rows;
    const half = Math.max(2, height / rows / 2 + 1);
    for (const [colour, out] of [['#000', 1], ['#fff', 0]]) {
      ctx.strokeStyle = colour;
      ctx.fillStyle = colour;
      ctx.lineWidth = 1;
      ctx.strokeRect(-1, y - half - out, width + 2, 2 * (half + out));
      for (const [x, inward] of [[0, 1], [width, -1]]) {
        ctx.beginPath();
        ctx.moveTo(x, y - 5 - out);
        ctx.lineTo(x, y + 5 + out);
        ctx.lineTo(x + inward * (6 + out), y);
        ctx.fill();
      }
    }
  }

  function weightsFigure() {
    const channels = model.facts.channels;
    const cache = {};
    const matrix = (name) => {
      const low = model.arrays[`map_${name}_low`];
      const step = model.arrays[`map_${name}_step`];
      const side = low.length;
      cache[name] ??= picture(Float32Array.from(model.arrays[`map_${name}`], (code, i) => {
        const row = Math.floor(i / side);
        return channels * (low[row] + step[row] * code);
      }), side, side, { table: 'viridis', low: 0.01, high: 100, log: true });
      return cache[name];
    };
    const drawGates = (ctx, width, height, colours, gates) => {
      const strip = 22;
      ctx.save();
      drawPicture(ctx, width, strip, picture(gates, 1, channels, { table: 'viridis', low: 0, high: 1 }));
      ctx.restore();
      ctx.fillStyle = colours.accent;
      const x = ((state.channel + 0.5) * width) / channels;
      ctx.beginPath();
      ctx.moveTo(x, strip);
      ctx.lineTo(x - 5, strip + 8);
      ctx.lineTo(x + 5, strip + 8);
      ctx.fill();
      ctx.save();
      ctx.translate(0, strip + 8);
      const order = core.sortedOrder(gates, true);
      const { sx, sy } = drawAxes(ctx, width, height - strip - 8, colours, [1, channels], [0, 1],
        { x: t('gates.rank'), y: t('gates.axis') });
      drawLine(ctx, [sx(1), sy(0.5)], [sx(channels), sy(0.5)], colours.quiet, { dash: [4, 4] });
      ctx.strokeStyle = colours.text;
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      order.forEach((channel, rank) => ctx.lineTo(sx(rank + 1), sy(gates[channel])));
      ctx.stroke();
      drawDot(ctx, sx(order.indexOf(state.channel) + 1), sy(gates[state.channel]), 5, colours.accent);
      ctx.restore();
      return { table: 'viridis', low: 0, high: 1 };
    };
    return figure({
      title: () => t(model.mechanisms[state.mechanism].kind === 'gate' ? 'gates' : 'channel_map',
        { channels: number(channels) }),
      on: ['channel', 'mechanism'], bar: true, shows: 'weights',
      draw: (ctx, width, height, colours) => {
        const gates = model.arrays[`gates_${state.mechanism}`];
        if (gates) return drawGates(ctx, width, height, colours, gates);
        drawPicture(ctx, width, height, matrix(state.mechanism));
        drawRowMark(ctx, width, height, state.channel, channels);
        return { table: 'viridis', low: 0.01, high: 100, log: true, unit: '×' };
      },
      caption: () => weightsNote(),
      pick: (x, y) => setChannel(channelAt(model.arrays[`gates_${state.mechanism}`] ? x : y)),
    });
  }

  function weightsNote() {
    const name = state.mechanism;
    const gates = model.arrays[`gates_${name}`];
    if (gates) {
      const rank = core.sortedOrder(gates, true).indexOf(state.channel) + 1;
      return t('gates.note', { channel: state.channel, gate: number(gates[state.channel]), rank, of: gates.length });
    }
    const width = model.arrays[`sources_${name}`].length / model.facts.channels;
    const from = [0, 1, 2].filter((i) => i < width).map((i) => {
      const at = state.channel * width + i;
      return `#${model.arrays[`sources_${name}`][at]} (${percent(model.arrays[`shares_${name}`][at])})`;
    });
    const note = t('channel_map.note', { channel: state.channel, from: from.join(', ') });
    const pooled = model.arrays[`map_${name}_low`].length < model.facts.channels ? ` ${t('channel_map.pooled')}` : '';
    return note + pooled;
  }

  function answerFigure(side, ratio) {
    const grid = model.facts.grid;
    const positions = grid[0] * grid[1];
    const point = (x, y) => setQuery(Math.floor(y * grid[0]), Math.floor(x * grid[1]), true);
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const left = side === 'left';
    return figure({
      title: () => t(`answer.${side}`), on: left ? ['query'] : ['query', 'mechanism'], ratio, bar: left,
      label: () => t('answer.label', { at: cell(state.query) }),
      draw: (ctx, width, height) => {
        let scale = null;
        if (left) {
          const row = core.decodeRow(model.arrays, 'attention', queryIndex()).map((a) => positions * a);
          scale = drawOver(ctx, width, height, row, grid, { ...scaleFrom('viridis', 0, 5), unit: '×' });
        } else ctx.drawImage(photo.grey, 0, 0, width, height);
        drawCell(ctx, width, height, grid, state.query);
        return scale;
      },
      caption: () => (left
        ? t('answer.left.note', { at: cell(state.query), moved: percent(model.arrays.query_difference[queryIndex()]) })
        : t(`answer.right.${model.mechanisms[state.mechanism].kind}`,
          { at: cell(state.query), channels: number(model.facts.channels) })),
      hover: point, pick: point,
      keys: (event) => {
        const step = steps[event.key];
        if (!step) return;
        event.preventDefault();
        setQuery(state.query.row + step[0], state.query.col + step[1], true);
      },
    });
  }

  function changeFigure(name, on, ratio) {
    return figure({
      title: () => t('which'), on, ratio, shows: 'y',
      draw: (ctx, width, height, colours) => {
        const norms = model.stat(name(), 'change_norm');
        const { sx, sy } = drawAxes(ctx, width, height, colours, [0, norms.length], [0, core.extent(norms)[1]],
          { x: t('axis.channel'), y: '‖Δ‖' });
        ctx.fillStyle = colours.quiet;
        const bar = Math.max(1, sx(1) - sx(0));
        norms.forEach((norm, i) => ctx.fillRect(sx(i), sy(norm), bar, sy(0) - sy(norm)));
        const norm = norms[state.channel];
        ctx.fillStyle = colours.accent;
        ctx.fillRect(sx(state.channel) - 1, sy(norm), bar + 2, sy(0) - sy(norm));
        drawDot(ctx, sx(state.channel) + bar / 2, sy(norm), 4, colours.accent);
        return null;
      },
      caption: () => t('which.note', {
        channel: state.channel, norm: number(model.stat(name(), 'change_norm')[state.channel]),
      }),
      pick: (x, y, canvas) => {
        const along = (x * canvas.clientWidth - AXIS.left) / (canvas.clientWidth - AXIS.left - AXIS.right);
        setChannel(channelAt(Math.min(1 - 1e-9, Math.max(0, along))));
      },
    });
  }

  function fitFigure(name, on, ratio) {
    return figure({
      title: () => t('fit'), on, ratio, shows: 'y',
      draw: (ctx, width, height, colours) => {
        const half = height / 2;
        [['affine_r2', t('fit.y')], ['delta_r2', t('fit.delta')]].forEach(([field, label], i) => {
          ctx.save();
          ctx.translate(0, i * half);
          const counts = core.histogram(model.stat(name(), field), 0, 1, 20);
          const { sx, sy } = drawAxes(ctx, width, half, colours, [0, 1], [0, Math.max(1, ...counts)], { y: label });
          ctx.fillStyle = i ? colours.accent : colours.quiet;
          const wide = sx(0.05) - sx(0) - 2;
          counts.forEach((count, bin) => ctx.fillRect(sx(bin / 20) + 1, sy(count), wide, sy(0) - sy(count)));
          ctx.restore();
        });
        return null;
      },
      caption: () => {
        const still = model.stat(name(), 'delta_r2').filter(Number.isNaN).length;
        return t('fit.note', {
          y: rSquared(model.mechanisms[name()].median_r2), delta: rSquared(model.mechanisms[name()].median_delta_r2),
        }) + (still ? ` ${t('fit.still', { still })}` : '');
      },
    });
  }

  function laneNumbers(name, mechanism, on) {
    const line = (key, text) => [
      live(on, () => t(`numbers.${key}`), 'dt'),
      live(on, text, 'dd', { 'data-number': key }),
    ];
    const short = (value) => core.short(value, attn.lang);
    return h('dl', {},
      line('relative_change', () => number(mechanism().relative_change)),
      line('specificity', () => {
        const [divergence, cosine] = mechanism().specificity;
        return t(mechanism().kind === 'spatial' ? 'numbers.specificity.value' : 'numbers.specificity.none',
          { divergence: number(divergence), cosine: number(cosine) });
      }),
      line('r2', () => t('numbers.r2.value', {
        y: rSquared(mechanism().median_r2), delta: rSquared(mechanism().median_delta_r2),
      })),
      line('effective_rank', () => t('numbers.effective_rank.value', {
        before: number(model.facts.effective_rank), after: number(mechanism().effective_rank),
      })),
      line('parameters', () => number(mechanism().parameters)),
      line('multiply_adds', () => short(mechanism().multiply_adds)),
      line('milliseconds', () => t('ms', { value: number(mechanism().milliseconds) })));
  }

  // --- the table of channels

  function columns() {
    const name = subject();
    const stat = (field) => ({ key: field, values: model.stat(name, field) });
    const gates = model.arrays[`gates_${name}`];
    const all = Array.from({ length: model.facts.channels }, (_, i) => i);
    return [
      { key: 'channel', values: all },
      stat('change_norm'),
      { key: 'gate', values: gates ?? new Float32Array(all.length).fill(NaN) },
      ...STATISTICS.flatMap((s) => [stat(`${s}_before`), stat(`${s}_after`)]),
      stat('importance_shift'),
      ...['affine_a', 'affine_b', 'affine_r2', 'delta_a', 'delta_b', 'delta_r2'].map(stat),
    ];
  }

  function cellText(key, value) {
    if (key === 'importance_shift') return core.signedPercent(value);
    if (key.startsWith('energy_share') || key.startsWith('sparsity')) return Number.isNaN(value) ? '–' : percent(value);
    return key.endsWith('r2') ? rSquared(value) : number(value);
  }

  function table() {
    let shown = columns();
    let order = [];
    const rowId = `channels-row-${Math.random().toString(36).slice(2)}-`;
    const sortBy = (key) => {
      const same = state.sort.key === key;
      state.sort = { key, descending: same ? !state.sort.descending : key !== 'channel' };
      arrange();
    };
    const byKey = Object.fromEntries(shown.map((column) => [column.key, column]));
    const header = (key, label, group, attributes) => h('th', { scope: 'col', 'data-key': key, ...attributes },
      h('button', { type: 'button', click: () => sortBy(key), title: t(`column.${group}.note`) },
        h('span', {}, label), h('i', { 'aria-hidden': 'true' })));
    const top = [];
    const second = [];
    for (const group of ['channel', 'change_norm', 'gate', ...STATISTICS, 'importance_shift', 'affine', 'delta']) {
      const parts = ['before', 'after', 'a', 'b', 'r2'].filter((part) => byKey[`${group}_${part}`]);
      if (!parts.length) top.push(header(group, t(`column.${group}`), group, { rowspan: 2 }));
      else {
        const about = t(`column.${group}.note`);
        top.push(h('th', { colspan: parts.length, scope: 'colgroup', title: about }, t(`column.${group}`)));
        second.push(...parts.map((part) => header(`${group}_${part}`, t(part), group)));
      }
    }
    const body = h('tbody');
    const grid = h('table', { role: 'grid', tabindex: 0, 'aria-rowcount': model.facts.channels + 2 },
      h('caption', { class: 'unseen' }, t('table.caption')),
      h('thead', {}, h('tr', {}, top), h('tr', {}, second)), body);
    const box = h('div', { class: 'scroll' }, grid);

    function arrange() {
      shown = columns();
      const by = shown.find((column) => column.key === state.sort.key);
      order = core.sortedOrder(by.values, state.sort.descending);
      for (const th of grid.querySelectorAll('th[data-key]')) {
        const active = th.dataset.key === state.sort.key;
        th.setAttribute('aria-sort', active ? (state.sort.descending ? 'descending' : 'ascending') : 'none');
      }
      rows();
    }

    // Only the rows in sight exist: thousands of channels must not cost thousands of table rows.
    function rows() {
      const first = Math.max(0, Math.floor(box.scrollTop / ROW_PX) - 4);
      const last = Math.min(order.length, first + Math.ceil((box.clientHeight || 400) / ROW_PX) + 8);
      const gap = (count) => h('tr', { class: 'gap', 'aria-hidden': 'true', style: `height:${count * ROW_PX}px` });
      body.replaceChildren(gap(first), ...order.slice(first, last).map((channel, i) => h('tr', {
        id: rowId + channel, 'data-channel': channel, 'aria-rowindex': first + i + 3,
        'aria-selected': String(channel === state.channel), click: () => setChannel(channel),
      }, shown.map(({ key, values }) => (key === 'channel'
        ? h('th', { scope: 'row' }, h('small', {}, `${first + i + 1}.`), ` #${channel}`)
        : h('td', {}, cellText(key, values[channel])))))), gap(order.length - last));
      grid.setAttribute('aria-activedescendant', rowId + state.channel);
    }

    function reveal(rank) {
      const top = rank * ROW_PX;
      const room = box.clientHeight - grid.tHead.offsetHeight - ROW_PX;
      if (top < box.scrollTop) box.scrollTop = top;
      else if (top > box.scrollTop + room) box.scrollTop = top - room;
    }

    const jumps = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    box.addEventListener('keydown', (event) => {
      if (!(event.key in jumps) || event.target.tagName === 'BUTTON') return;
      event.preventDefault();
      const rank = order.indexOf(state.channel) + jumps[event.key];
      const next = Math.max(0, Math.min(order.length - 1, rank));
      setChannel(order[next]);
      reveal(next);
    });
    box.addEventListener('scroll', rows, { passive: true });
    when(['mechanism', 'lane'], arrange);
    when(['channel'], () => {
      for (const row of body.rows) row.setAttribute('aria-selected', row.dataset.channel === String(state.channel));
      grid.setAttribute('aria-activedescendant', rowId + state.channel);
    });
    return h('div', { class: 'table' }, box, h('button', { type: 'button', class: 'csv', click: saveTable }, t('csv')));

    function saveTable() {
      const text = core.csvOf(columns(), order);
      const link = h('a', {
        href: URL.createObjectURL(new Blob([text], { type: 'text/csv' })), download: `channels-${subject()}.csv`,
      });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    }
  }

  /** The channels whose share of the energy rose or fell most, five each, as buttons. */
  function movers(direction) {
    const list = h('ol');
    when(['mechanism', 'lane', 'channel'], () => {
      const shift = model.stat(subject(), 'importance_shift');
      const order = core.sortedOrder(shift, direction === 'raised')
        .filter((channel) => (direction === 'raised' ? shift[channel] > 0 : shift[channel] < 0)).slice(0, 5);
      const item = (channel) => h('li', {}, h('button', {
        type: 'button', 'aria-pressed': String(channel === state.channel), click: () => setChannel(channel),
      }, h('b', {}, `#${channel}`), ` ${core.signedPercent(shift[channel])}`));
      const items = order.map(item);
      list.replaceChildren(...(items.length ? items : [h('li', { class: 'note' }, t('movers.none'))]));
    });
    return h('div', { class: `movers ${direction}` }, h('h4', {}, t(`movers.${direction}`)), list);
  }

  function statisticsFigure() {
    let pointed = null;
    const places = [];
    const nearest = (x, y, canvas) => {
      const [px, py] = [x * canvas.clientWidth, y * canvas.clientHeight];
      let best = null;
      places.forEach(([cx, cy], channel) => {
        const distance = (cx - px) ** 2 + (cy - py) ** 2;
        if (distance < (best?.distance ?? 400)) best = { channel, distance };
      });
      return best?.channel ?? null;
    };
    const values = () => ['before', 'after'].map((side) => model.stat(subject(), `${state.statistic}_${side}`));
    const plot = figure({
      title: () => t('statistics.plot'), on: ['mechanism', 'lane', 'channel', 'statistic', 'pointed'], ratio: '1.1',
      draw: (ctx, width, height, colours) => {
        const [before, after] = values();
        const range = core.extent(before, after);
        const { sx, sy } = drawAxes(ctx, width, height, colours, range, range,
          { x: `${t(`column.${state.statistic}`)}, ${t('before')}`, y: t('after') });
        drawLine(ctx, [sx(range[0]), sy(range[0])], [sx(range[1]), sy(range[1])], colours.quiet, { dash: [4, 4] });
        before.forEach((value, channel) => {
          places[channel] = [sx(value), sy(after[channel])];
          drawDot(ctx, ...places[channel], 2.5, colours.text, 0.45);
        });
        drawDot(ctx, ...places[state.channel], 5.5, colours.accent);
        return null;
      },
      caption: () => {
        const channel = pointed ?? state.channel;
        const [before, after] = values();
        const share = ['sparsity', 'energy_share'].includes(state.statistic);
        const text = (v) => (share ? percent(v) : number(v));
        return t('statistics.note', { channel, before: text(before[channel]), after: text(after[channel]) });
      },
      hover: (x, y, canvas) => {
        const next = nearest(x, y, canvas);
        if (next === pointed) return;
        pointed = next;
        update('pointed');
      },
      pick: (x, y, canvas) => {
        const channel = nearest(x, y, canvas);
        if (channel !== null) setChannel(channel);
      },
    });
    const select = h('select', { change: () => { state.statistic = select.value; update('statistic'); } },
      STATISTICS.map((s) => h('option', { value: s, selected: s === state.statistic }, t(`column.${s}`))));
    return h('div', {}, h('label', { class: 'inline' }, t('statistics.choose'), ' ', select), plot);
  }

  function laneChoice() {
    return choice(t('lane'), [
      { value: 'left', label: () => titleOf('spatial') },
      { value: 'right', label: () => titleOf(state.mechanism) },
    ], () => state.lane, setLane, ['lane']);
  }

  // --- the chosen channel

  function channelStepper() {
    const last = model.facts.channels - 1;
    const input = h('input', {
      type: 'number', min: 0, max: last, 'aria-label': t('channel.number'),
      change: () => {
        setChannel(Math.max(0, Math.min(last, Math.round(Number(input.value)) || 0)));
        input.value = state.channel;
      },
    });
    when(['channel'], () => { input.value = state.channel; });
    const step = (by, text, label) => h('button', {
      type: 'button', 'aria-label': label, click: () => setChannel((state.channel + by + last + 1) % (last + 1)),
    }, text);
    return h('div', { class: 'stepper' }, h('span', {}, t('channel')), step(-1, '‹', t('channel.previous')), input,
      step(1, '›', t('channel.next')), h('span', { class: 'note' }, t('channel.of', { last })));
  }

  function chosenChannel() {
    const ratio = String(model.facts.image_size[1] / model.facts.image_size[0]);
    const on = ['channel', 'mechanism', 'lane'];
    const grid = model.facts.maps_grid;
    const both = () => {
      const before = model.before(state.channel);
      const after = model.after(subject(), state.channel);
      return { before, after, range: core.extent(before, after) };
    };
    const over = (which) => figure({
      title: () => t(`channel.${which}`), on, ratio, bar: true, shows: which === 'before' ? 'x' : 'y',
      draw: (ctx, width, height) => {
        const { before, range, ...rest } = both();
        const values = which === 'before' ? before : rest.after;
        const scale = drawOver(ctx, width, height, values, grid, scaleFrom('viridis', ...range));
        if (which === 'before') {
          topPlaces().forEach((place, i) => drawCell(ctx, width, height, grid, place, String(i + 1)));
        }
        return scale;
      },
    });
    const fit = () => ['a', 'b', 'r2'].map((part) => model.stat(subject(), `affine_${part}`)[state.channel]);
    return h('div', { class: 'chosen' },
      h('div', { class: 'triple' }, over('before'), over('after'),
        figure({
          title: () => t('channel.change'), on, ratio, bar: true, shows: 'y',
          draw: (ctx, width, height) => {
            const values = model.change(subject(), state.channel);
            return drawOver(ctx, width, height, values, grid, aroundZero(values));
          },
        })),
      h('div', { class: 'triple' },
        crops(),
        figure({
          title: () => t('scatter'), on, ratio: '1.1',
          draw: (ctx, width, height, colours) => {
            const { before, after } = both();
            const xs = core.extent(before);
            const { sx, sy, box } = drawAxes(ctx, width, height, colours, xs, core.extent(after),
              { x: t('before'), y: t('after') });
            before.forEach((x, i) => drawDot(ctx, sx(x), sy(after[i]), 2.5, colours.text, 0.4));
            const [a, b] = fit();
            ctx.save();
            ctx.beginPath();
            ctx.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
            ctx.clip();
            if (Number.isFinite(a)) {
              const [from, to] = xs.map((x) => [sx(x), sy(a * x + b)]);
              drawLine(ctx, from, to, colours.accent, { width: 2 });
            }
            ctx.restore();
            return null;
          },
          caption: () => {
            const [a, b, r2] = fit();
            return t('scatter.note', {
              a: number(a), b: number(b), r2: rSquared(r2),
              delta: rSquared(model.stat(subject(), 'delta_r2')[state.channel]),
            });
          },
        }),
        figure({
          title: () => t('histogram'), on, ratio: '1.1',
          draw: (ctx, width, height, colours) => {
            const { before, after, range } = both();
            const counts = [before, after].map((values) => core.histogram(values, ...range, BINS));
            const { sx, sy } = drawAxes(ctx, width, height, colours, range, [0, Math.max(...counts.flat())],
              { x: t('histogram.x'), y: t('histogram.y') });
            const edge = (bin) => range[0] + (bin / BINS) * (range[1] - range[0]);
            ctx.globalAlpha = 0.5;
            ctx.fillStyle = colours.quiet;
            counts[0].forEach((count, bin) =>
              ctx.fillRect(sx(edge(bin)), sy(count), sx(edge(bin + 1)) - sx(edge(bin)), sy(0) - sy(count)));
            ctx.globalAlpha = 1;
            ctx.strokeStyle = colours.accent;
            ctx.lineWidth = 2;
            ctx.beginPath();
            ctx.moveTo(sx(range[0]), sy(0));
            counts[1].forEach((count, bin) => {
              ctx.lineTo(sx(edge(bin)), sy(count));
              ctx.lineTo(sx(edge(bin + 1)), sy(count));
            });
            ctx.lineTo(sx(range[1]), sy(0));
            ctx.stroke();
            return null;
          },
          caption: () => {
            const stat = (s) => number(model.stat(subject(), s)[state.channel]);
            return t('histogram.note', {
              mean: stat('mean_before'), std: stat('std_before'), mean2: stat('mean_after'), std2: stat('std_after'),
            });
          },
        })));
  }

  const topPlaces = () => core.topPositions(model.before(state.channel), model.facts.maps_grid[1], 4, 1);

  /** Pieces of the photograph around the positions where the channel is strongest, five cells wide. */
  function crops() {
    const [rows, cols] = model.facts.maps_grid;
    const list = h('ol');
    const width = photo.image.naturalWidth;
    const height = photo.image.naturalHeight;
    const side = Math.min(5 * Math.max(width / cols, height / rows), width, height);
    when(['channel'], () => {
      const mean = model.stat('spatial', 'mean_before')[state.channel];
      const places = topPlaces();
      list.replaceChildren(...(places.length ? places.map((place, i) => {
        const label = t('crop.label', { at: cell(place) });
        const canvas = h('canvas', { width: 128, height: 128, role: 'img', 'aria-label': label });
        const left = Math.max(0, Math.min(width - side, ((place.col + 0.5) * width) / cols - side / 2));
        const top = Math.max(0, Math.min(height - side, ((place.row + 0.5) * height) / rows - side / 2));
        canvas.getContext('2d').drawImage(photo.image, left, top, side, side, 0, 0, 128, 128);
        return h('li', {}, h('button', {
          type: 'button', title: t('crop.point'),
          click: () => setQuery(
            Math.floor(((place.row + 0.5) * model.facts.grid[0]) / rows),
            Math.floor(((place.col + 0.5) * model.facts.grid[1]) / cols), true),
        }, canvas), h('span', {}, h('b', {}, String(i + 1)), ` ${number(place.value)}`,
          h('small', {}, mean > 0 ? t('crop.times', { times: number(place.value / mean) }) : '')));
      }) : [h('li', { class: 'note' }, t('crops.none'))]));
    });
    return h('figure', { class: 'crops' }, h('figcaption', {}, h('span', { class: 'title' }, t('crops'))), list,
      h('p', { class: 'note' }, t('crops.note')));
  }

  // --- correlation between channels

  function correlations() {
    const { correlation_order: order, correlation_features: reference } = model.arrays;
    const side = Math.sqrt(reference.length);
    const rank = Array.from(order);
    const cache = {};
    const image = (name) => {
      const codes = model.arrays[`correlation_${name}`] ?? reference; // a gate changes no correlation
      cache[name] ??= picture(Float32Array.from(codes, (code) => (code === 255 ? NaN : (code - 127) / 127)), side, side,
        { table: 'diverging', low: -1, high: 1 });
      return cache[name];
    };
    const matrix = (title, name, effective, on) => figure({
      title, on: ['channel', ...on], bar: true,
      draw: (ctx, width, height) => {
        drawPicture(ctx, width, height, image(name()));
        drawRowMark(ctx, width, height, rank.indexOf(state.channel), rank.length);
        return { table: 'diverging', low: -1, high: 1 };
      },
      caption: () => t('rank.note', { rank: number(effective()), most: number(Math.min(
        model.facts.channels, model.facts.grid[0] * model.facts.grid[1] - 1)) }),
      pick: (x, y) => setChannel(rank[Math.floor(y * rank.length)]),
    });
    return h('section', {}, h('h2', {}, t('correlation')), h('p', {}, t('correlation.note')),
      h('div', { class: 'triple' },
        matrix(() => t('before'), () => 'features', () => model.facts.effective_rank, []),
        matrix(() => t('after.of', { name: titleOf('spatial') }), () => 'spatial',
          () => model.mechanisms.spatial.effective_rank, []),
        matrix(() => t('after.of', { name: titleOf(state.mechanism) }), () => state.mechanism,
          () => model.mechanisms[state.mechanism].effective_rank, ['mechanism'])),
      live(['mechanism'], () => {
        const mixes = model.mechanisms[state.mechanism].kind === 'channel_map';
        return t(mixes ? 'correlation.mixed' : 'correlation.gate', { name: titleOf(state.mechanism) });
      }, 'p', { class: 'note' }));
  }

  // --- what it costs

  function costs() {
    const { curves, grid, channels } = model.facts;
    const positions = grid[0] * grid[1];
    const names = Object.keys(model.mechanisms);
    const short = (value) => core.short(value, attn.lang);
    const body = h('tbody', {}, names.map((name) => {
      const m = model.mechanisms[name];
      const time = t('ms', { value: number(m.milliseconds) });
      const row = h('tr', {}, h('th', { scope: 'row' }, titleOf(name)),
        [number(m.parameters), short(m.multiply_adds), time, t(`growth.${name}`)].map((text) => h('td', {}, text)));
      when(['mechanism'], () => row.classList.toggle('chosen', name === state.mechanism));
      return row;
    }));
    const curve = (title, xs, series, now) => figure({
      title: () => title, on: ['mechanism'], ratio: '1.35',
      draw: (ctx, width, height, colours) => {
        const log = (v) => Math.log10(v);
        const room = 62;
        const [low, high] = core.extent(...Object.values(series));
        const range = [log(xs[0]), log(xs[xs.length - 1])];
        const decades = [Math.floor(log(low)), Math.ceil(log(high))];
        ctx.save();
        const { sx, sy } = drawAxes(ctx, width - room, height, colours, range, decades,
          { x: title, y: t('numbers.multiply_adds'), log: true });
        const here = decades.map((decade) => [sx(log(now)), sy(decade)]);
        drawLine(ctx, ...here, colours.quiet, { dash: [4, 4] });
        const labels = names.map((name) => {
          const strong = name === 'spatial' || name === state.mechanism;
          const colour = strong ? colours.text : colours.quiet;
          ctx.strokeStyle = name === 'spatial' ? colours.accent : colour;
          ctx.lineWidth = strong ? 2.5 : 1;
          ctx.beginPath();
          xs.forEach((x, i) => ctx.lineTo(sx(log(x)), sy(log(series[name][i]))));
          ctx.stroke();
          return { at: sy(log(series[name][xs.length - 1])), text: t(`short.${name}`), colour };
        });
        ctx.textBaseline = 'middle';
        for (const label of core.spread(labels, 13)) {
          ctx.fillStyle = label.colour;
          ctx.fillText(label.text, sx(range[1]) + 6, label.y);
        }
        ctx.restore();
        return null;
      },
    });
    const headings = [
      'costs.mechanism', 'numbers.parameters', 'numbers.multiply_adds', 'numbers.milliseconds', 'costs.growth',
    ];
    const head = h('thead', {}, h('tr', {}, headings.map((key) => h('th', { scope: 'col' }, t(key)))));
    return h('section', {}, h('h2', {}, t('costs')),
      h('p', {}, t('costs.note', { positions: number(positions), channels: number(channels) })),
      h('div', { class: 'costs' },
        h('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': t('costs') },
          h('table', { class: 'plain' }, head, body)),
        curve(t('costs.positions'), curves.positions, curves.by_positions, positions),
        curve(t('costs.channels'), curves.channels, curves.by_channels, channels)));
  }

  // --- the whole panel

  function build() {
    updates = [];
    const { facts } = model;
    const names = Object.keys(model.mechanisms).filter((name) => name !== 'spatial');
    const [rows, cols] = facts.grid;
    const lead = h('p', { class: 'lead' });
    when(['mechanism'], () => lead.replaceChildren(...emphasised(t(`lead.${model.mechanisms[state.mechanism].kind}`, {
      name: titleOf(state.mechanism), positions: number(rows * cols), channels: number(facts.channels),
      divergence: number(model.mechanisms.spatial.specificity[0]),
    }))));
    const [drawnRows, drawnCols] = facts.maps_grid;
    const pooled = drawnRows < rows
      ? h('p', { class: 'note' }, t('pooled', { rows: drawnRows, cols: drawnCols, full: rows, full2: cols })) : null;
    root.lang = attn.lang === 'zh' ? 'zh-CN' : 'en';
    root.replaceChildren(
      h('section', {}, h('h2', {}, t('lanes')), lead,
        h('div', { class: 'controls' },
          choice(t('mechanism'), names.map((name) => ({ value: name, label: () => t(`short.${name}`) })),
            () => state.mechanism, setMechanism, ['mechanism']),
          channelStepper()),
        lanes()),
      h('section', {}, h('h2', {}, t('statistics')),
        h('div', { class: 'controls' }, laneChoice()),
        h('p', { class: 'note' }, t('trap')),
        h('div', { class: 'statistics' },
          h('div', { class: 'side' }, movers('raised'), movers('lowered'), statisticsFigure()), table())),
      h('section', {}, h('h2', {}, live(['channel'], () => t('chosen', { channel: state.channel }), 'span')),
        h('div', { class: 'controls' }, channelStepper(), laneChoice()), pooled, chosenChannel()),
      correlations(),
      costs());
    changed.add('all');
    flush();
  }

  function greyOf(image) {
    const canvas = h('canvas', { width: image.naturalWidth, height: image.naturalHeight });
    const ctx = canvas.getContext('2d', { willReadFrequently: true });
    ctx.drawImage(image, 0, 0);
    const pixels = ctx.getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < pixels.data.length; i += 4) {
      const [r, g, b] = pixels.data.subarray(i, i + 3);
      pixels.data.fill(0.299 * r + 0.587 * g + 0.114 * b, i, i + 3);
    }
    ctx.putImageData(pixels, 0, 0);
    return canvas;
  }

  async function loadImage(url) {
    const image = new Image();
    image.src = url;
    await image.decode();
    return image;
  }

  const say = (key) => root.replaceChildren(h('p', { class: 'note' }, t(key)));

  async function load() {
    turn += 1;
    const mine = turn;
    const value = props.value;
    if (!value?.arrays) {
      model = null;
      root.dataset.state = 'empty';
      say('empty');
      return;
    }
    root.dataset.state = 'loading'; // what was shown stays until the new is there
    try {
      const [arrays, image] = await Promise.all([
        attn.fetchArrays(value.arrays.url), loadImage(value.image.url),
      ]);
      if (mine !== turn) return;
      model = core.channelsModel(value.facts, arrays);
      photo = { image, grey: greyOf(image) };
      const [rows, cols] = model.facts.grid;
      const [row, col] = attn.query ? attn.core.sameSpot(attn.query, [rows, cols]) : [rows >> 1, cols >> 1];
      state.query = { row, col };
      if (!(state.channel !== null && state.channel < model.facts.channels)) {
        state.channel = core.sortedOrder(arrays.stats_std_before, true)[0];
      }
      if (!(state.mechanism in model.mechanisms) || state.mechanism === 'spatial') state.mechanism = 'se';
      Object.assign(root.dataset, { ...state.query, channel: state.channel, mechanism: state.mechanism });
      build();
      root.dataset.state = 'ready';
    } catch (error) {
      if (mine !== turn) return;
      root.dataset.state = 'error';
      if (!model) say('error');
      console.error(error);
    }
  }

  // What is said before the arrays are here is kept for them.
  const heard = (handler, keep) => (detail) => {
    if (detail.source === SOURCE) return;
    if (model) handler(detail);
    else keep(detail);
  };
  attn.on(root, 'attn:query', (query) => {
    if (query.source !== SOURCE && model) setQuery(...attn.core.sameSpot(query, model.facts.grid), false);
  });
  attn.on(root, 'attn:channel', heard(
    ({ channel }) => setChannel(channel, false), ({ channel }) => { state.channel = channel; }));
  attn.on(root, 'attn:mechanism', heard(
    ({ name }) => setMechanism(name, false), ({ name }) => { state.mechanism = name; }));
  attn.on(root, 'attn:lang', () => { if (model) build(); else say('empty'); });

  let width = 0;
  const redraw = () => {
    if (!root.isConnected) observers.forEach((observer) => observer.disconnect());
    else if (model) update('all');
  };
  const size = new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    redraw();
  });
  const theme = new MutationObserver(redraw); // light and dark are a class of Gradio's
  const observers = [size, theme];
  size.observe(root);
  for (const node of [document.documentElement, document.body]) {
    theme.observe(node, { attributes: true, attributeFilter: ['class'] });
  }

  watch('value', load);
  load();
}

export async function mount(element, host) {
  await loadTexts('channels');
  channelsPanel(element.querySelector('.attn-channels'), host, (_, callback) => host.watch(callback));
}

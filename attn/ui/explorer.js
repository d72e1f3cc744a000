// The explorer. Everything below answers from data already here: pointing sends no request and never touches `props`.

const core = attn.core;
const t = attn.t;
const root = element.querySelector('.attn-explorer');
const find = (selector) => root.querySelector(selector);
const stage = find('.ax-stage');
const canvas = stage.querySelector('canvas');
const id = `explorer-${Math.random().toString(36).slice(2, 9)}`;

const PIN_COLOURS = ['#e69f00', '#56b4e9', '#2bb58a', '#f0e442', '#ff8a65', '#d58fc0']; // dark digits read on each
const SWEEP_SLICE_MS = 12;
const SWEEP_UNASKED = 1024; // up to this many positions the pass over all queries runs without being asked for
const JUMP = 4; // cells per Shift + arrow
const SHARE = 0.6; // of the mass, in the read-outs, unless the slider says otherwise
const FLAT = 0.98; // entropy above which attention lies nowhere in particular

let data = null; // what came with the last value, see load()
let view = core.decodeState('');
let all = null; // result of the pass over all queries, for this data and temperature
let sweepRun = 0; // a newer run ends the older
let sweeping = false;
let progress = 0;
let recalled = null; // index of the pin being looked at again
let pinMaps = [];
let photo = null; // the photograph at the canvas's own resolution
let frame = 0;

// --- maps --------------------------------------------------------------------------------------------------------

const sameCell = (a, b) => a[0] === b[0] && a[1] === b[1];
const queryCell = () => (recalled === null ? view.cell : view.pins[recalled]);
const comparing = () => view.compare.length === 2;
const pinAt = (cell) => view.pins.findIndex((pin) => sameCell(pin, cell));
const waiting = () => view.direction !== 'row' && !all; // other directions need the pass over all queries

// The map of one query: p, its distribution over the positions, and the values to show, in × uniform.
function mapOf([row, col], direction = view.direction) {
  const n = data.source.n;
  const i = row * data.cols + col;
  const p = new Float32Array(n);
  if (direction === 'average') return { p: all.mean, values: core.scaled(all.mean, n), signed: false };
  if (direction === 'column') {
    const column = core.attentionColumn(data.source, i, view.temperature, all.logSumExp, p);
    return { p: core.scaled(column, 1 / (n * all.mean[i])), values: core.scaled(column, n), signed: false };
  }
  core.softmax(data.source.row(i, p), view.temperature, p);
  if (direction === 'own') return { p, values: core.scaled(p, n, all.mean), signed: true };
  return { p, values: core.scaled(p, n), signed: false };
}

// Two pins: the first's map minus the second's.
function difference() {
  const direction = view.direction === 'column' ? 'column' : 'row';
  const [a, b] = view.compare.map((index) => mapOf(view.pins[index], direction));
  return { values: core.scaled(a.values, 1, b.values), signed: true, pair: [a, b] };
}

// The pass over all queries, in slices short enough to keep the pointer live.
function startSweep() {
  const run = ++sweepRun;
  const steps = core.sweep(data.source, view.temperature);
  all = null;
  sweeping = true;
  progress = 0;
  const slice = () => {
    if (run !== sweepRun || !root.isConnected) return;
    const until = performance.now() + SWEEP_SLICE_MS;
    let step;
    do step = steps.next(); while (!step.done && performance.now() < until);
    if (step.done) {
      all = step.value;
      sweeping = false;
      refreshPins();
      return;
    }
    progress = step.value / data.source.n;
    if (waiting()) schedule();
    setTimeout(slice);
  };
  setTimeout(slice);
}

function attentionChanged() {
  sweepRun++;
  sweeping = false;
  all = null;
  if (data.source.n <= SWEEP_UNASKED || waiting()) startSweep();
  refreshPins();
}

// --- drawing -----------------------------------------------------------------------------------------------------

function schedule() {
  if (!frame) frame = requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  if (!data || !photo) return;
  const cell = queryCell();
  root.dataset.row = cell[0];
  root.dataset.col = cell[1];
  if (waiting()) {
    say(t('explorer.say.computing', { percent: Math.round(progress * 100) }));
    return;
  }
  const map = comparing() ? difference() : mapOf(cell);
  const scale = scaleFor(map);
  const context = canvas.getContext('2d');
  paint(context, map, scale, photo);
  paintMarkers(context, cell);
  writeScale(scale, map.signed);
  const numbers = numbersOf(map, cell);
  writeNumbers(numbers);
  writeSentence(map, numbers[0], cell);
}

function scaleFor(map) {
  const shared = view.fixed && pinMaps.length && !comparing();
  const peak = shared ? Math.max(...pinMaps.map((pin) => core.peakOf(pin.values))) : core.peakOf(map.values);
  return core.scaleOf(view.scale, map.signed, peak);
}

const tableFor = (signed) => core.colormap(signed ? 'diverging' : view.colormap);

function paint(context, map, scale, picture) {
  const { width, height } = context.canvas;
  const heat = data.heat.getContext('2d');
  const pixels = heat.createImageData(data.cols, data.rows);
  const mass = view.share && map.p ? map.p : null;
  const least = mass ? core.massPositions(mass, view.share).least : 0;
  core.colourise(map.values, scale, tableFor(map.signed), pixels.data, mass, least);
  heat.putImageData(pixels, 0, 0);
  context.drawImage(picture, 0, 0, width, height);
  context.globalAlpha = view.opacity;
  context.imageSmoothingEnabled = view.smooth;
  context.drawImage(data.heat, 0, 0, width, height);
  context.globalAlpha = 1;
}

function paintMarkers(context, cell) {
  const dpr = canvas.width / stage.clientWidth;
  const [w, h] = [canvas.width / data.cols, canvas.height / data.rows];
  for (const [colour, width] of [['#000', 4], ['#fff', 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * dpr;
    context.strokeRect(cell[1] * w, cell[0] * h, w, h);
  }
  const radius = 9 * dpr;
  context.font = `bold ${12 * dpr}px sans-serif`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.lineWidth = 1.5 * dpr;
  view.pins.forEach(([row, col], index) => {
    const x = Math.min(canvas.width - radius, Math.max(radius, (col + 0.5) * w));
    const y = Math.min(canvas.height - radius, Math.max(radius, (row + 0.5) * h));
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = PIN_COLOURS[index];
    context.fill();
    context.strokeStyle = '#111';
    context.stroke();
    context.fillStyle = '#111';
    context.fillText(index + 1, x, y + dpr / 2);
  });
}

// The photograph is scaled once per size, so that a frame only copies it.
function resize() {
  if (!data) return;
  const dpr = window.devicePixelRatio || 1;
  const width = Math.round(stage.clientWidth * dpr);
  const height = Math.round(stage.clientHeight * dpr);
  if (!width || !height) return;
  Object.assign(canvas, { width, height });
  photo = Object.assign(document.createElement('canvas'), { width, height });
  const context = photo.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(data.image, 0, 0, width, height);
  schedule();
}

// --- colour bar, numbers, sentence -------------------------------------------------------------------------------

function signed(value, digits) {
  return (value > 0 ? '+' : value < 0 ? '−' : '') + Math.abs(value).toFixed(digits);
}

function short(value) {
  if (value >= 10 || Number.isInteger(value)) return value.toFixed(0);
  return value.toFixed(value >= 1 ? 1 : 2);
}

let scaleDrawn = '';
function writeScale(scale, isSigned) {
  const key = JSON.stringify([scale, isSigned, view.colormap, attn.lang, view.direction, comparing()]);
  if (key === scaleDrawn) return;
  scaleDrawn = key;
  const bar = find('.ax-scale canvas').getContext('2d');
  const pixels = bar.createImageData(256, 1);
  const ramp = Float32Array.from({ length: 256 }, (_, level) => level / 255);
  core.colourise(ramp, { low: 0, high: 1, log: false }, tableFor(isSigned), pixels.data);
  bar.putImageData(pixels, 0, 0);
  const open = view.scale !== 'linear' || (view.fixed && pinMaps.length); // larger values take the last colour
  const { low, high, log } = scale;
  const ticks = log ? [0.01, 0.1, 1, 10, 100] : isSigned ? [low, low / 2, 0, high / 2, high] : [0, high / 2, high];
  if (!log && !isSigned && high > 3 && high < 20) ticks.splice(1, 0, 1); // uniform attention's own place
  const place = (value) => (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
  find('.ax-ticks').replaceChildren(...ticks.map((value) => {
    const tick = document.createElement('span');
    const ends = open && value === high ? '≥ ' : open && low && value === low ? '≤ ' : '';
    tick.textContent = ends + (isSigned ? signed(value, Number.isInteger(value) ? 0 : 1) : short(value));
    tick.style.left = `${100 * place(value)}%`;
    return tick;
  }));
  const unit = comparing() ? 'difference' : view.direction;
  find('.ax-unit').textContent = t(`explorer.unit.${unit}`);
}

const FORMATS = {
  perplexity: (v) => t('explorer.positions', { n: v < 9.95 ? v.toFixed(1) : v.toFixed(0) }),
  area: (v) => `${(100 * v).toFixed(1)} %`,
  distance: (v) => `${v.toFixed(1)} px`,
  entropy: (v) => v.toFixed(3),
  peak: (v) => `× ${v.toFixed(v < 10 ? 2 : 1)}`,
  own: (v) => `${(100 * v).toFixed(0)} %`,
  received: (v) => `× ${v.toFixed(2)}`,
};

function buildNumbers() {
  find('.ax-numbers tbody').replaceChildren(...Object.keys(FORMATS).map((name) => {
    const line = document.createElement('tr');
    line.dataset.number = name;
    const title = document.createElement('th');
    title.scope = 'row';
    title.title = t(`explorer.number.${name}.title`);
    line.append(title, document.createElement('td'), document.createElement('td'));
    return line;
  }));
}

// The two columns of the table: this query beside uniform attention, or the two pins compared.
function numbersOf(map, cell) {
  const seenFrom = ([row, col]) => [[data.rows, data.cols], data.stride, row, col, view.share || SHARE];
  const describe = ({ p }, [row, col]) => ({
    own: all && view.direction !== 'column' ? core.movedShare(p, all.mean) : undefined,
    received: all ? all.mean[row * data.cols + col] * data.source.n : undefined,
    ...core.summarise(p, ...seenFrom([row, col])),
  });
  if (comparing()) return map.pair.map((one, k) => describe(one, view.pins[view.compare[k]]));
  return [describe(map, cell), core.summariseEven(...seenFrom(cell))];
}

function writeNumbers(columns) {
  const share = Math.round(100 * (view.share || SHARE));
  for (const line of find('.ax-numbers tbody').children) {
    const name = line.dataset.number;
    line.children[0].textContent = t(`explorer.number.${name}`, { share });
    columns.forEach((numbers, k) => {
      const value = numbers[name];
      line.children[k + 1].textContent = value === undefined ? '–' : FORMATS[name](value);
      line.children[k + 1].dataset.value = value ?? '';
    });
  }
  const heads = comparing() ? view.compare.map((index) => t('explorer.pin', { n: index + 1 })) :
    [t(view.direction === 'average' ? 'explorer.mean' : 'explorer.here'), t('explorer.even')];
  root.querySelectorAll('.ax-numbers thead th:not(.ax-which)').forEach((node, k) => { node.textContent = heads[k]; });
}

function writeSentence(map, { perplexity, entropy, drift, own, received }, cell) {
  const [row, col] = cell;
  if (comparing()) {
    const [a, b] = map.pair;
    const overlap = { divergence: core.jensenShannon(a.p, b.p).toFixed(2), cosine: core.cosine(a.p, b.p).toFixed(2) };
    find('.ax-overlap').textContent = t('explorer.overlap', overlap);
    const value = map.values[row * data.cols + col];
    say(t('explorer.say.compare', {
      a: view.compare[0] + 1, b: view.compare[1] + 1, row, col, value: signed(value, 1), ...overlap,
    }));
    return;
  }
  find('.ax-overlap').textContent = '';
  const way = core.compass(drift, data.stride / 2);
  const where = entropy > FLAT ? t('explorer.where.flat') : way === 'here' ? t('explorer.where.here') :
    t('explorer.where.away', { px: Math.round(Math.hypot(...drift)), way: t(`explorer.way.${way}`) });
  say(t(`explorer.say.${view.direction}`, {
    row, col, where, n: perplexity.toFixed(0), own: Math.round(100 * own), received: received?.toFixed(1),
    specificity: all?.specificity.toFixed(2),
  }));
}

// The sentence is seen at once and spoken when the pointer rests.
let speaking = 0;
function say(sentence) {
  find('.ax-sentence').textContent = sentence;
  clearTimeout(speaking);
  speaking = setTimeout(() => { find('.ax-live').textContent = sentence; }, 500);
}

// --- query and pins ----------------------------------------------------------------------------------------------

const clampCell = ([row, col]) => [
  Math.max(0, Math.min(data.rows - 1, row)), Math.max(0, Math.min(data.cols - 1, col)),
];

function moveTo(cell, tell = true) {
  recalled = null;
  if (sameCell(cell, view.cell)) return;
  view.cell = cell;
  schedule();
  if (!tell) return;
  tellQuery();
  stateChanged();
}

function tellQuery() {
  const [row, col] = view.cell;
  attn.emit('attn:query', { source: id, row, col, rows: data.rows, cols: data.cols });
}

function recall(index) {
  recalled = index;
  schedule();
}

function togglePin(cell) {
  const index = pinAt(cell);
  if (index >= 0) removePin(index);
  else if (view.pins.length < core.MAX_PINS) {
    view.pins.push([...cell]);
    pinsChanged();
  } else requestAnimationFrame(() => say(t('explorer.pins.full', { n: core.MAX_PINS }))); // after this cell's sentence
}

function removePin(index) {
  view.pins.splice(index, 1);
  view.compare = view.compare.filter((k) => k !== index).map((k) => (k > index ? k - 1 : k));
  recalled = null;
  pinsChanged();
}

function clearPins() {
  view.pins = [];
  view.compare = [];
  recalled = null;
  pinsChanged();
}

// At most two pins are compared: choosing a third lets go of the first.
function toggleCompare(index) {
  const chosen = view.compare.includes(index);
  view.compare = chosen ? view.compare.filter((k) => k !== index) : [...view.compare, index].slice(-2);
  recalled = null;
  pinsChanged();
}

function pinsChanged() {
  buildPins();
  refreshPins();
  stateChanged();
}

function button(label, textContent, onclick, marks) {
  const node = Object.assign(document.createElement('button'), { type: 'button', title: label, textContent, onclick });
  node.setAttribute('aria-label', label);
  Object.assign(node.dataset, marks);
  return node;
}

function buildPins() {
  const focused = [...find('.ax-pins').querySelectorAll('button')].indexOf(document.activeElement);
  find('.ax-pins').replaceChildren(...view.pins.map(([row, col], index) => {
    const place = { n: index + 1, row, col };
    const item = document.createElement('li');
    item.style.setProperty('--pin', PIN_COLOURS[index]);
    const main = button(t('explorer.pins.recall', place), '', () => moveTo(view.pins[index]), { pin: index });
    const number = Object.assign(document.createElement('b'), { textContent: index + 1 });
    const mini = Object.assign(document.createElement('canvas'), { width: 96, height: Math.round(96 / data.aspect) });
    main.append(mini, number);
    main.onmouseenter = main.onfocus = () => recall(index);
    main.onmouseleave = main.onblur = () => recall(null);
    const compare = button(t('explorer.pins.compare', place), '⇄', () => toggleCompare(index), { compare: index });
    compare.setAttribute('aria-pressed', view.compare.includes(index));
    const remove = button(t('explorer.pins.remove', place), '×', () => removePin(index), { remove: index });
    item.append(main, compare, remove);
    return item;
  }));
  if (focused >= 0) (find('.ax-pins').querySelectorAll('button')[focused] ?? canvas).focus({ preventScroll: true });
  find('.ax-hint').hidden = view.pins.length > 0;
  find('[data-do=clear]').disabled = !view.pins.length;
  root.dataset.pins = view.pins.length;
}

function refreshPins() {
  schedule();
  if (waiting()) return;
  pinMaps = view.pins.map((pin) => mapOf(pin));
  find('.ax-pins').querySelectorAll('canvas').forEach((mini, index) => {
    paint(mini.getContext('2d'), pinMaps[index], scaleFor(pinMaps[index]), data.image);
  });
}

// --- controls ----------------------------------------------------------------------------------------------------

// What each control shows of the view, what it changes, and its read-out.
const choice = (name) => ({ show: () => view[name], take: (value) => { view[name] = value; } });
const percent = (value) => `${Math.round(100 * value)} %`;
const SETTINGS = {
  direction: choice('direction'),
  scale: choice('scale'),
  colormap: choice('colormap'),
  smooth: choice('smooth'),
  fixed: choice('fixed'),
  opacity: {
    show: () => view.opacity,
    take: (value) => { view.opacity = Number(value); },
    read: () => percent(view.opacity),
  },
  temperature: {
    show: () => Math.log2(view.temperature),
    take: (value) => { view.temperature = 2 ** value; },
    read: () => view.temperature.toFixed(2),
  },
  share: {
    show: () => Math.round(100 * (view.share || SHARE)),
    take: (value) => { view.share = value / 100; },
    read: () => percent(view.share || SHARE),
  },
  masked: { show: () => view.share > 0, take: (on) => { view.share = on ? SHARE : 0; } },
};

function writeControls() {
  for (const control of root.querySelectorAll('[data-set]')) {
    const { show, read } = SETTINGS[control.dataset.set];
    control[control.type === 'checkbox' ? 'checked' : 'value'] = show();
    if (read) control.nextElementSibling.textContent = read();
  }
}

function change(event) {
  const control = event.target.closest('[data-set]');
  if (!control || !data) return;
  const name = control.dataset.set;
  SETTINGS[name].take(control.type === 'checkbox' ? control.checked : control.value);
  writeControls();
  settingChanged(name);
  stateChanged();
}

function settingChanged(name) {
  if (name === 'temperature') attentionChanged();
  else {
    if (waiting() && !sweeping) startSweep();
    refreshPins();
  }
}

const ACTIONS = { clear: clearPins, help: () => find('dialog').showModal() };

root.addEventListener('input', change);
root.addEventListener('click', (event) => {
  const pressed = event.target.closest('[data-do], [data-export]');
  if (!pressed) return;
  if (pressed.dataset.do) ACTIONS[pressed.dataset.do]();
  else if (data) {
    const asked = { kind: pressed.dataset.export, view: core.encodeState(view), lang: attn.lang };
    trigger('export', { ...asked, ...getState() });
  }
});

// --- pointer and keyboard ----------------------------------------------------------------------------------------

let press = null; // {cell, pin, moved} while a button or finger is down

function cellUnder(event) {
  const box = canvas.getBoundingClientRect();
  return clampCell([
    Math.floor(((event.clientY - box.top) / box.height) * data.rows),
    Math.floor(((event.clientX - box.left) / box.width) * data.cols),
  ]);
}

canvas.addEventListener('pointerdown', (event) => {
  if (!data || event.button) return;
  const cell = cellUnder(event);
  press = { cell, pin: pinAt(cell), moved: false };
  canvas.setPointerCapture(event.pointerId);
  moveTo(cell);
});

canvas.addEventListener('pointermove', (event) => {
  if (!data || !view.cell) return;
  const cell = cellUnder(event);
  if (press && !sameCell(cell, press.cell)) press.moved = true;
  if (press?.pin >= 0 && pinAt(cell) < 0) {
    view.pins[press.pin] = cell;
    pinsChanged();
  }
  moveTo(cell);
});

canvas.addEventListener('pointerup', () => {
  if (press && !press.moved) togglePin(view.cell);
  press = null;
});

canvas.addEventListener('pointercancel', () => { press = null; });

// A pinned position is held: the map goes back to it when the mouse leaves. (A finger leaves whenever it is lifted.)
canvas.addEventListener('pointerleave', (event) => {
  if (data && !press && view.pins.length && event.pointerType === 'mouse') moveTo(view.pins.at(-1));
});

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

canvas.addEventListener('keydown', (event) => {
  if (!data || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = STEPS[event.key];
  const pin = Number(event.key) - 1;
  if (step) {
    const far = event.shiftKey ? JUMP : 1;
    moveTo(clampCell([view.cell[0] + far * step[0], view.cell[1] + far * step[1]]));
  } else if (event.key === 'Enter' || event.key === ' ') togglePin(view.cell);
  else if (event.key === 'Escape' && view.compare.length) {
    view.compare = [];
    pinsChanged();
  } else if (event.key === 'Escape') clearPins();
  else if (event.key === '?') ACTIONS.help();
  else if (view.pins[pin]) moveTo(view.pins[pin]);
  else return;
  event.preventDefault();
});

// --- state, language, loading ------------------------------------------------------------------------------------

let telling = 0;
function stateChanged() {
  clearTimeout(telling);
  telling = setTimeout(() => {
    attn.emit('attn:state', { source: id, state: core.encodeState(view), view: getState() });
  }, 250);
}

// A pin waiting for another to be compared with is no part of it.
function getState() {
  return structuredClone({ ...view, compare: comparing() ? view.compare : [] });
}

// Takes a view or its text as in share links; cells outside the grid move to its edge.
function setState(state) {
  view = typeof state === 'string' ? core.decodeState(state) : { ...core.decodeState(''), ...structuredClone(state) };
  if (!data) return;
  view.cell = clampCell(view.cell ?? view.pins.at(-1) ?? [data.rows >> 1, data.cols >> 1]);
  view.pins = view.pins.map(clampCell);
  recalled = null;
  writeControls();
  buildPins();
  attentionChanged();
}

root.explorer = { id, getState, setState };

attn.on(root, 'attn:query', (query) => {
  if (query.source !== id && data) moveTo(core.sameSpot(query, [data.rows, data.cols]), false);
});

const GESTURES = ['point', 'click', 'drag', 'arrows', 'shift', 'enter', 'digits', 'escape', 'help'];

function writeTexts() {
  attn.fillTexts(root);
  for (const name of Object.keys(core.CHOICES)) {
    const options = core.CHOICES[name].map((choice) => new Option(t(`explorer.${name}.${choice}`), choice));
    find(`select[data-set=${name}]`).replaceChildren(...options);
  }
  find('.ax-help dl').replaceChildren(...GESTURES.flatMap((name) => [
    Object.assign(document.createElement('dt'), { textContent: t(`explorer.help.${name}.key`) }),
    Object.assign(document.createElement('dd'), { textContent: t(`explorer.help.${name}.does`) }),
  ]));
  buildNumbers();
  writeControls();
  scaleDrawn = '';
  if (!data) {
    find('.ax-notice').textContent = t('explorer.empty');
    return;
  }
  writeBadge();
  buildPins();
  refreshPins();
}

function writeBadge() {
  const { source, seed, file } = data.weights;
  const badge = find('.ax-badge');
  badge.dataset.source = source;
  badge.querySelector('b').textContent = t(`explorer.badge.${source}`, { seed, file: file?.split(/[\\/]/).pop() });
  badge.querySelector('span').textContent = t(`explorer.badge.${source}.note`);
  find('.ax-exact').textContent = t('explorer.exact', { tolerance: data.tolerance.toPrecision(1) });
}

let loads = 0;
async function load(value) {
  const run = ++loads;
  if (!value) {
    if (!data) root.dataset.state = 'empty';
    return;
  }
  const notice = find('.ax-notice');
  if (value.state !== 'ready') {
    root.dataset.state = value.state;
    notice.textContent = t(value.message);
    return;
  }
  root.dataset.state = 'loading';
  notice.textContent = data ? '' : t('explorer.loading');
  if (!data) stage.style.setProperty('--aspect', value.size[0] / value.size[1]);
  try {
    const image = Object.assign(new Image(), { src: value.image.url });
    const [arrays] = await Promise.all([attn.fetchArrays(value.arrays.url, value.layout), image.decode()]);
    if (run === loads) show(value, arrays, image);
  } catch (error) {
    if (run !== loads) return;
    root.dataset.state = 'error';
    notice.textContent = t('explorer.failed');
    console.error(error);
  }
}

function show(value, arrays, image) {
  const before = data;
  const [rows, cols] = value.grid;
  const source = arrays.logits
    ? core.logitsFromTable(arrays.logits, arrays.logit_scale)
    : core.logitsFromFactors(arrays.queries, arrays.query_scale, arrays.keys, arrays.key_scale);
  data = {
    source, image, rows, cols,
    stride: value.stride_px,
    aspect: value.size[0] / value.size[1],
    path: value.image.path,
    weights: value.weights,
    tolerance: value.tolerance,
    view: value.view,
    heat: Object.assign(document.createElement('canvas'), { width: cols, height: rows }),
  };
  stage.style.setProperty('--aspect', data.aspect);
  Object.assign(root.dataset, { rows, cols });
  find('.ax-notice').textContent = '';
  resize();
  writeBadge();
  if (value.view && value.view !== before?.view) setState(value.view);
  else setState(carriedView(before));
  draw();
  root.dataset.state = 'ready';
  // What follows the map, here and on the server, waits until it is painted.
  requestAnimationFrame(() => setTimeout(() => {
    tellQuery();
    trigger('shown');
  }));
}

// A new map keeps how it is looked at; of the same photograph also where, whatever the grid.
function carriedView(before) {
  if (!before) return view;
  if (before.path !== data.path) return { ...view, cell: null, pins: [], compare: [] };
  const carry = ([row, col]) => [
    Math.floor(((row + 0.5) / before.rows) * data.rows), Math.floor(((col + 0.5) / before.cols) * data.cols),
  ];
  return { ...view, cell: carry(view.cell), pins: view.pins.map(carry) };
}

writeTexts();
buildPins();
attn.on(root, 'attn:lang', writeTexts);
new ResizeObserver(resize).observe(stage);
watch('value', () => load(props.value));
load(props.value);

// The explorer: a photograph with the attention of the position under the pointer over it. Everything is answered from
// data already here: pointing sends no request.
import { asked, onAsked } from '../../web/address.js';
import { sameCell, sameSpot } from '../../web/cell.js';
import { scaleOf } from '../../web/colourise.js';
import { tellMap } from '../../web/current.js';
import { litPhotograph } from '../../web/light.js';
import { makeFigure } from '../../web/figure.js';
import { logitsOf, logitsOfOne } from '../../web/logits.js';
import { readable } from '../../web/numbers.js';
import { handed } from '../../web/hand.js';
import { emit, newSource, on, onSpoken } from '../../web/services.js';
import { publish } from '../../web/shown.js';
import { peakOf } from '../../web/statistics.js';
import { fillTexts, language, loadTexts, t } from '../../web/texts.js';
import { MAX_PINS, decodeView, encodeView } from '../../web/view.js';
import { afterPaint, makeArrival } from './arrival.js';
import { nameChoices, takeControl, writeControls } from './controls.js';
import { listen } from './gestures.js';
import { showOther } from './other.js';
import { difference, mapOf } from './maps.js';
import { isSmooth, paintMap, paintMarkers } from './paint.js';
import { viewOf, viewOn, wholeView } from './opening.js';
import { makePass } from './pass.js';
import { makePins } from './pins.js';
import { shownMap } from './shown_map.js';
import { buildNumbers, numbersOf, overlapOf, plainSentenceOf, sentenceOf, writeNumbers } from './readouts.js';
import { makeScaleBar } from './scalebar.js';
import { makeStrip } from './strip.js';

const LINKED = ['example', 'stem', 'stage', 'detail', 'side', 'weights', 'position', 'seed']; // what the server answers
const LINK_MS = 8000; // in vain
const GESTURES = ['point', 'click', 'drag', 'arrows', 'shift', 'enter', 'digits', 'smooth', 'escape', 'help'];

export async function mount(element, host) {
  await loadTexts('explorer', 'window');
  const root = element.querySelector('.attn-explorer');
  const find = (selector) => root.querySelector(selector);
  const stage = find('.ax-stage');
  const canvas = stage.querySelector('canvas');
  const id = newSource('explorer');
  const state = {
    data: null, // what came with the last value, see show()
    view: decodeView(''),
    all: null, // result of the pass over all queries, for this data and temperature
    overlap: null, // the share of their weight that two queries have in common, on average
    photo: null, // the photograph at the canvas's own resolution, ready to be lit
    progress: 0, // of that pass
    recalled: null, // index of the pin being looked at again
    map: null, // as drawn last, its scale, and the cell marked in it
    scale: null,
    drawn: null,
    get comparing() { return this.view.compare.length === 2; },
    get cell() { return this.recalled === null ? this.view.cell : this.view.pins[this.recalled]; },
  };
  const ax = {
    canvas, moveTo, schedule, refresh, changed: stateChanged,
    waiting: () => lacking() || (state.view.direction !== 'row' && !state.all),
    help: () => find('dialog').showModal(),
    smooth() {
      state.view.smooth = !isSmooth(state.view, grid());
      changed('smooth');
    },
    full: () => requestAnimationFrame(() => say(t('explorer.pins.full', { n: MAX_PINS }))), // after this cell's sentence
  };
  const pass = makePass(state, ax);
  const pins = makePins(root, state, ax);
  const writeScale = makeScaleBar(root);
  const strip = makeStrip(find('.attn-pane-strip canvas'), state, ax);
  const figure = makeFigure(canvas, shownMap(state), { keys: false });
  canvas.after(...figure.nodes);
  const arrival = makeArrival(root, state, host, { show, rowSuffices, schedule, counted, completed, showRow });
  let pinMaps = [];
  let frame = 0;
  let speaking = 0;
  let telling = 0;
  let wanted = asked().view ?? null; // the view that a link or the browser's back asks for, until it is there

  // Until all are here one query's map is known, whose row came with the value.
  const inRow = (row, view, cells) => view.direction === 'row' && cells.every((one) => sameCell(one, row.cell));

  function lacking() {
    const { data, view, cell } = state;
    return Boolean(data) && !data.factors && !inRow(data.row, view, [cell, ...view.pins]);
  }

  // --- drawing

  function schedule() {
    if (!frame) frame = requestAnimationFrame(draw);
  }

  const shared = () => state.view.fixed && pinMaps.length > 0;

  function scaleFor(map) {
    const peak = shared() && !state.comparing
      ? Math.max(...pinMaps.map((pin) => peakOf(pin.values))) : peakOf(map.values);
    return scaleOf(state.view.scale, map.signed, peak);
  }

  function draw() {
    frame = 0;
    const { data, cell, photo } = state;
    if (!data || !photo) return;
    if (ax.waiting()) handed();
    if (lacking()) {
      if (state.map) paint(); // the canvas may have another size
      say(t(arrival.lost() ? 'explorer.say.lacking' : 'explorer.say.arriving'));
      if (state.view.direction === 'row' && !state.view.pins.length) arrival.askRow(cell);
      return;
    }
    [root.dataset.row, root.dataset.col] = cell;
    if (ax.waiting()) {
      say(t('explorer.say.computing', { percent: Math.round(state.progress * 100) }));
      return;
    }
    const map = state.comparing ? difference(state) : mapOf(state, cell);
    const scale = scaleFor(map);
    Object.assign(state, { map, scale, drawn: cell });
    paint();
    writeScale(scale, map.signed, { view: state.view, comparing: state.comparing, shared: shared() });
    const columns = numbersOf(map, cell, state);
    writeNumbers(root, columns, state);
    find('.ax-overlap').textContent = overlapOf(map, state);
    const sentence = sentenceOf(map, columns[0], cell, state);
    const plain = state.view.direction === 'row' && !state.comparing;
    find('.ax-weights').textContent = plain ? t('window.weights.row', { n: readable(data.source.n) }) : '';
    find('.attn-pane-even').textContent = map.signed ? '' : t('explorer.even');
    say(plain ? plainSentenceOf(columns[0], state) : sentence, sentence);
    strip.draw();
    figure.refresh();
  }

  function paint() {
    const ctx = canvas.getContext('2d');
    paintMap(ctx, canvas.width, canvas.height, state.photo, state.map, state.scale, state);
    paintMarkers(ctx, canvas.width, canvas.height, state.drawn, state, canvas.width / stage.clientWidth);
  }

  // The sentence is seen at once and spoken when the pointer rests.
  function say(sentence, spoken = sentence) {
    find('.ax-sentence').textContent = sentence;
    clearTimeout(speaking);
    speaking = setTimeout(() => { find('.ax-live').textContent = spoken; }, 500);
  }

  // The photograph is scaled once per size, so that a frame only copies it.
  function resize() {
    if (!state.data) return;
    const density = window.devicePixelRatio || 1;
    const width = Math.round(stage.clientWidth * density);
    const height = Math.round(stage.clientHeight * density);
    if (!width || !height) return;
    Object.assign(canvas, { width, height });
    state.photo = litPhotograph(state.data.image, width, height);
    schedule();
  }

  function refresh() {
    schedule();
    if (ax.waiting() || !state.photo) return;
    pinMaps = state.view.pins.map((pin) => mapOf(state, pin));
    find('.ax-pins').querySelectorAll('canvas').forEach((mini, index) => {
      const map = pinMaps[index];
      paintMap(mini.getContext('2d'), mini.width, mini.height, state.photo, map, scaleFor(map), state);
    });
  }

  // --- the query and the view

  function moveTo(cell, tell = true) {
    state.recalled = null;
    wanted = null;
    if (sameCell(cell, state.view.cell)) return;
    state.view.cell = cell;
    schedule();
    if (tell) tellQuery();
    stateChanged();
  }

  function tellQuery() {
    const [row, col] = state.view.cell;
    emit('attn:query', { source: id, row, col, rows: state.data.rows, cols: state.data.cols });
  }

  const grid = () => (state.data ? [state.data.rows, state.data.cols] : [0, 0]);

  // In the window the numbers and settings lie beside the map when asked for.
  function openView(open) {
    if (open) root.dataset.view = '';
    else delete root.dataset.view;
    find('.ax-view').setAttribute('aria-expanded', open);
    const side = find('.ax-side'); // beside the map, but on a phone below it
    if (open && getComputedStyle(side).position === 'static') side.scrollIntoView({ block: 'start' });
  }

  function stateChanged() {
    clearTimeout(telling);
    telling = setTimeout(() => {
      emit('attn:state', { source: id, state: encodeView(state.view), view: getState() });
    }, 250);
  }

  // A pin waiting for another to be compared with is no part of it.
  function getState() {
    return structuredClone({ ...state.view, compare: state.comparing ? state.view.compare : [] });
  }

  function setState(wanted) {
    if (!state.data) {
      state.view = wholeView(wanted);
      return;
    }
    const sides = grid();
    state.view = viewOn(sides, wanted);
    state.recalled = null;
    writeControls(root, state.view, sides);
    pins.build();
    pass.renew();
    refresh();
  }

  const openingView = (value) => wanted ?? viewOf(value, state);

  // Whether the row that came with the value is all that its first map needs.
  function rowSuffices(value) {
    const { row } = value;
    if (!row) return false;
    const view = viewOn(value.grid, openingView(value));
    return inRow(row, view, [view.cell, ...view.pins]);
  }

  root.addEventListener('input', (event) => {
    if (!state.data) return;
    const name = takeControl(event, state.view);
    if (name) changed(name);
  });

  function changed(name) {
    writeControls(root, state.view, grid());
    if (name === 'temperature') pass.renew();
    else if (ax.waiting()) pass.ask();
    refresh();
    stateChanged();
  }
  root.addEventListener('click', (event) => {
    const pressed = event.target.closest('[data-do], [data-export]');
    if (!pressed) return;
    if (pressed.dataset.do === 'help') ax.help();
    else if (pressed.dataset.do === 'view') openView(root.dataset.view === undefined);
    else if (pressed.dataset.do === 'clear') pins.clear();
    else if (state.data) {
      const { mechanism, channel, row } = asked(); // the lane's part
      const file = { kind: pressed.dataset.export, view: encodeView(state.view), lang: language() };
      host.trigger('export', { ...file, lane: { mechanism, channel, row }, ...getState() });
    }
  });
  root.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || root.dataset.view === undefined || find('dialog').open) return;
    event.stopPropagation(); // what is open is closed first: the pins stay
    openView(false);
    if (event.target !== canvas) find('.ax-view').focus();
  }, true);
  listen(ax, state, pins);
  on(root, 'attn:query', (query) => {
    if (query.source !== id && state.data) moveTo(sameSpot(query, [state.data.rows, state.data.cols]), false);
  });

  on(root, 'attn:awaited', ({ on: awaited }) => {
    find('.ax-awaited').textContent = awaited ? t('explorer.loading') : '';
  });

  // --- words

  function writeTexts() {
    fillTexts(root);
    nameChoices(root);
    find('.ax-help dl').replaceChildren(...GESTURES.flatMap((name) => [
      Object.assign(document.createElement('dt'), { textContent: t(`explorer.help.${name}.key`) }),
      Object.assign(document.createElement('dd'), { textContent: t(`explorer.help.${name}.does`) }),
    ]));
    buildNumbers(root);
    writeControls(root, state.view, grid());
    if (!state.data) {
      find('.ax-notice').textContent = t(host.value ? 'explorer.loading' : 'explorer.empty');
      return;
    }
    writeBadge();
    pins.build();
    refresh();
  }

  function writeBadge() {
    const { source, seed, file } = state.data.weights;
    const badge = find('.ax-badge');
    badge.dataset.source = source;
    badge.querySelector('b').textContent = t(`explorer.badge.${source}`, { file: file?.split(/[\\/]/).pop() });
    badge.querySelector('span').textContent = badge.title = t(`explorer.badge.${source}.note`, { seed });
    find('.ax-what').textContent = t('window.what', { n: readable(state.data.source.n) });
    find('.ax-exact').textContent = t('explorer.exact', {
      tolerance: readable(state.data.tolerance, 1), checked: readable(state.data.checked), n: readable(state.data.source.n),
    });
  }

  // --- the value

  // The one query that is pointed at, before all are here.
  function showRow({ row, tolerance }) {
    Object.assign(state.data, { row, source: logitsOfOne(row), tolerance });
    writeBadge();
    schedule();
  }

  // What two queries have in common is known, though their maps are not here yet.
  function counted(overlap) {
    state.data.overlap = overlap;
    pass.renew();
    schedule();
  }

  // All queries of the map that is shown are here.
  function completed() {
    root.dataset.whole = '';
    writeBadge();
    pass.renew();
    refresh();
    publish('photograph', state.data);
  }

  // Without `whole`, {factors, tolerance, checked}, with the one row that came with the value.
  function show(value, image, whole = null) {
    const before = state.data;
    const { factors = null, tolerance, checked, overlap = null } = whole ?? value;
    arrival.settle();
    const opening = openingView(value);
    const [rows, cols] = value.grid;
    figure.hide();
    state.map = null;
    state.data = {
      source: factors ? logitsOf(factors) : logitsOfOne(value.row),
      row: value.row,
      factors, image, rows, cols,
      stride: value.stride_px,
      aspect: value.size[0] / value.size[1],
      path: value.image.path,
      weights: value.weights,
      tolerance,
      checked,
      overlap,
      view: value.view,
      key: value.key,
      heat: Object.assign(document.createElement('canvas'), { width: cols, height: rows }),
    };
    stage.style.setProperty('--aspect', state.data.aspect);
    Object.assign(root.dataset, { rows, cols, key: value.key });
    root.toggleAttribute('data-whole', Boolean(factors));
    find('.ax-notice').textContent = '';
    resize();
    writeBadge();
    setState(opening);
    wanted = null;
    // Another grid has other cells; another photograph is looked at as the last one was.
    if (before && (asked().view || encodeView({ ...state.view, cell: null }))) stateChanged();
    draw();
    root.dataset.state = 'ready';
    publish('photograph', state.data);
    tellMap(value.key, image);
    // What follows the map, here and on the server, waits until it is painted.
    afterPaint(() => {
      tellQuery();
      if (!factors && !value.arrays && value.key === state.data.key) arrival.ask(value);
      host.trigger('shown');
    });
  }

  showOther(root);
  root.explorer = { id, getState, setState, save: figure.save };
  writeTexts();
  pins.build();
  onSpoken(root, writeTexts);
  new ResizeObserver(resize).observe(stage);
  host.watch(() => arrival.load(host.value));
  onAsked(root, ({ view = '' }) => {
    setState(view);
    if (state.data) tellQuery();
    wanted = view; // another photograph may be on its way
  });
  // A link to other controls is answered by the server: nothing else is shown before.
  if (LINKED.some((name) => name in asked())) setTimeout(() => { if (!arrival.begun()) arrival.load(host.value); }, LINK_MS);
  else arrival.load(host.value);
}

// The position lab: one query's map before a shuffle, after it and put back, without and with the encoding.
import { asked, onAsked, remember } from '../../web/address.js';
import { fetchArrays } from '../../web/arrays.js';
import { clampCell, sameCell, sameSpot } from '../../web/cell.js';
import { gradient } from '../../web/colours.js';
import { markStale } from '../../web/current.js';
import { fetchImage } from '../../web/fetch.js';
import { foldable } from '../../web/fold.js';
import { fixed, readable } from '../../web/numbers.js';
import { whenOpened } from '../../web/opened.js';
import { emit, latest, on, onSpoken } from '../../web/services.js';
import { relativeError, summarise } from '../../web/statistics.js';
import { fillTexts, loadTexts, t } from '../../web/texts.js';
import { onLooks } from '../../web/theme.js';
import { strengthChart } from './charts.js';
import { errorRows } from './errors.js';
import { inverse, labModel, rangeOf } from './model.js';
import { labPicture, shuffledPicture } from './pictures.js';

const SAME = 1e-3; // a relative error below it is rounding
const PATIENCE_MS = 15000; // then the button can be pressed again
const SHARE = 0.6;

export async function mount(element, host) {
  await loadTexts('lab');
  const root = element.querySelector('.attn-lab');
  const all = (selector) => [...root.querySelectorAll(selector)];
  const one = (selector) => root.querySelector(selector);
  const lanes = ['without', 'with'].map((name) => one(`[data-lane="${name}"]`));
  const slider = one('input[type=range]');
  const button = one('.al-shuffle');
  const lab = {
    shown: null, // {facts, image, model, order, back, shuffled}
    cell: [0, 0],
    maps: [], // of each lane: {before, after, restored}
    high: 2,
    strength: () => Number(slider.value),
    setStrength(strength) {
      slider.value = strength;
      keepStrength();
      redraw();
    },
    pointTo,
  };
  const pictures = lanes.flatMap((lane, i) =>
    [...lane.querySelectorAll('.al-pictures canvas')].map((canvas) => labPicture(canvas, i, lab)));
  const charts = all('[data-chart]').map((node) => strengthChart(node, lab));
  const checkStale = markStale(root, () => lab.shown?.key);
  const opened = whenOpened(root, load);
  let loadedUrl = null;
  let loads = 0;
  let waiting = 0;
  let frame = 0;
  const opening = slider.value;
  let patient = true; // what the address asks for is waited for
  let last = null; // the shuffle asked for last: its answer is shown, however late

  // --- drawing

  function draw() {
    cancelAnimationFrame(frame);
    frame = 0;
    if (!lab.shown) return;
    const { facts, model, order, back } = lab.shown;
    const [row, col] = lab.cell;
    const query = row * facts.grid[1] + col;
    const strength = lab.strength();
    lab.maps = [0, strength].map((s) => model.maps(query, s, order, back));
    lab.high = rangeOf(lab.maps.map(({ before }) => before), query);
    pictures.forEach((picture) => picture.draw());
    // Without an encoding the browser's sums are equal by construction; there the error is that of the whole block.
    const whole = facts.mechanisms[0].weights_error;
    sayLane(lanes[0], whole);
    sayLane(lanes[1], strength ? relativeError(lab.maps[1].restored, lab.maps[1].before) : whole);
    const numbersOf = (map) => summarise(map, facts.grid, facts.stride_px, row, col, SHARE);
    const { entropy, distance } = numbersOf(lab.maps[1].before);
    const even = numbersOf(new Float32Array(model.n).fill(1 / model.n));
    Object.assign(root.dataset, { row, col, entropy, distance });
    one('.al-high').textContent = t('lab.scale.high', { high: lab.high });
    one('.al-here').textContent = t('lab.here.numbers', {
      entropy: fixed(entropy, 2), distance: fixed(distance), uniform: fixed(even.distance),
    });
    for (const output of all('.al-times')) output.textContent = `× ${fixed(strength, 1)}`;
    charts.forEach((chart) => chart.draw());
  }

  function sayLane(lane, error) {
    lane.dataset.error = error;
    lane.querySelector('.al-sentence').textContent =
      t(error < SAME ? 'lab.here.same' : 'lab.here.different', { error: readable(error, 2) });
  }

  function redraw() {
    frame ||= requestAnimationFrame(draw);
  }

  function fillWords() {
    fillTexts(root);
    if (!lab.shown) return;
    const { facts } = lab.shown;
    one('.al-seed').textContent = t('lab.seed', { seed: facts.seed });
    const { without, with: encoded, photographs } = facts.grouping;
    one('.al-grouping').textContent = without === undefined ? t('lab.grouping.none')
      : t('lab.grouping', { without: fixed(without, 3), with: fixed(encoded, 3), photographs });
    one('.al-charts').title = t('lab.charts.over', { queries: facts.queries_measured });
    const labels = all('.al-errors thead th').map((heading) => heading.textContent);
    one('.al-errors tbody').replaceChildren(...errorRows(facts.mechanisms, labels));
    redraw();
  }

  // --- the value

  async function load() {
    const { value } = host;
    const turn = ++loads;
    if (!value?.facts) return;
    if (root.dataset.state === 'empty') root.dataset.state = 'loading';
    try {
      const facts = JSON.parse(value.facts);
      if (patient && ![wanted(), last].includes(facts.seed)) {
        askFor(wanted()); // nothing else is shown before
        return;
      }
      patient = true;
      let { model, image } = lab.shown ?? {};
      if (value.arrays.url !== loadedUrl) {
        const [arrays, picture] = await Promise.all([fetchArrays(value.arrays.url), fetchImage(value.image.url)]);
        if (turn !== loads) return;
        image = picture;
        model = labModel(arrays);
        loadedUrl = value.arrays.url;
      }
      show(facts, value.key, model, image);
    } catch (error) {
      if (turn === loads) root.dataset.state = 'error';
      console.error(error);
    }
  }

  function show(facts, key, model, image) {
    const order = Uint16Array.from(facts.permutation);
    const told = latest('attn:query');
    const shown = { facts, key, model, image, order, back: inverse(order) };
    shown.shuffled = shuffledPicture(shown);
    lab.cell = told ? sameSpot(told, facts.grid) : facts.grid.map((side) => side >> 1);
    lab.shown = shown;
    pictures.forEach((picture) => picture.hide());
    for (const canvas of all('.al-pictures canvas')) {
      canvas.style.aspectRatio = `${facts.image_size[1]} / ${facts.image_size[0]}`;
    }
    root.dataset.state = 'ready';
    root.dataset.seed = facts.seed;
    remember({ shuffle: facts.seed || null });
    checkStale();
    settle();
    fillWords();
  }

  // --- what people do

  function settle() {
    clearTimeout(waiting);
    button.disabled = false;
    button.removeAttribute('aria-busy');
  }

  function shuffle() {
    if (!lab.shown || button.disabled) return;
    remember({ shuffle: lab.shown.facts.seed + 1 });
    askFor(wanted());
  }

  // The shuffle that the address holds; the bench comes with the first.
  function wanted() {
    const { shuffle: seed } = asked();
    return /^\d{1,9}$/.test(seed ?? '') ? Number(seed) : 0;
  }

  function askFor(seed) {
    clearTimeout(waiting);
    last = seed;
    button.disabled = true;
    button.setAttribute('aria-busy', 'true');
    waiting = setTimeout(() => {
      settle();
      if (lab.shown) return;
      patient = false;
      load();
    }, PATIENCE_MS);
    host.trigger('shuffle', { seed });
  }

  const keepStrength = () => remember({ strength: slider.value === opening ? null : slider.value });

  // What the address asks for; back or forward, too.
  function restore({ strength = opening } = asked()) {
    slider.value = strength; // nonsense is the middle, as the browser has it
    if (!lab.shown) return;
    if (wanted() !== lab.shown.facts.seed) askFor(wanted());
    redraw();
  }

  function pointTo(cell, how) {
    if (sameCell(cell, lab.cell)) return;
    const { grid } = lab.shown.facts;
    lab.cell = clampCell(cell, grid);
    const [row, col] = lab.cell;
    emit('attn:query', { source: 'lab', row, col, rows: grid[0], cols: grid[1] });
    if (how !== 'keyboard') {
      redraw();
      return;
    }
    draw();
    const [without, encoded] = lanes.map((lane) => lane.querySelector('.al-sentence').textContent);
    one('.al-live').textContent = t('lab.spoken', { row, col, without, with: encoded });
  }

  foldable(root, 'lab');
  one('.al-ramp').style.background = gradient('viridis');
  button.addEventListener('click', shuffle);
  slider.addEventListener('input', redraw);
  slider.addEventListener('change', keepStrength);
  on(root, 'attn:query', (query) => {
    if (query.source === 'lab' || !lab.shown) return;
    lab.cell = sameSpot(query, lab.shown.facts.grid);
    redraw();
  });
  onAsked(root, restore);
  onSpoken(root, fillWords);
  onLooks(root, redraw);
  restore();
  host.watch(opened);
  fillWords();
  opened();
}

// The lane: the weights of a channel mechanism, as a wall of the photograph's channels or one channel large, and as a
// strip. What others point at is marked here; the weights stay what they are.
import { fetchArrays } from '../../web/arrays.js';
import { cellUnder, drawCell, sameSpot } from '../../web/cell.js';
import { isBehind } from '../../web/current.js';
import { fetchImage } from '../../web/fetch.js';
import { lightOf, lightRamp, litPhotograph, paintLight, smoothGrid } from '../../web/light.js';
import { readable } from '../../web/numbers.js';
import { decodeRow } from '../../web/rows.js';
import { emit, latest, newSource, on, onSpoken } from '../../web/services.js';
import { fillTexts, language, loadTexts, t } from '../../web/texts.js';
import { onLooks } from '../../web/theme.js';
import { asked, onAsked, remember } from '../../web/address.js';
import { heightsOf, makeStrip } from './strip.js';
import { nameOf, sentenceOf, ticksOf, weighed } from './weights.js';
import { drawMarks, drawWall, layOut, spaced } from './wall.js';

const QUIET = 0.5; // opacity of the mark that follows the pointer: what it lies on does not change
const ANSWERS = 5; // times its mean: a channel's answer that lights a place of the large picture fully

export async function mount(element, host) {
  await loadTexts('window', 'channels', 'explorer');
  const root = element.querySelector('.attn-channel-lane');
  const find = (selector) => root.querySelector(selector);
  const source = newSource('lane');
  const canvas = find('.lane-stage canvas');
  const stage = find('.lane-stage');
  const select = find('.lane-mechanism');
  let data = null; // {arrays, facts, image}
  let refusal = null; // why what belongs to the map beside is not here: language → sentence
  let chosen = null; // a mechanism's facts
  let now = null; // what it weighs with: see weighed()
  let channel = null; // chosen: its row of a channel map, or the one shown large
  let pointed = null; // channel under the pointer
  let large = false;
  let drawn = 0; // channels of the wall: as many as there is room for
  let picture = null; // {base: canvas, tiles, size} as it is without marks
  let frame = 0;

  // The map beside is of another photograph, or of other settings, than what is here; or nothing is here yet.
  const waiting = () => !data || isBehind(data.facts.key);

  // --- what is shown -------------------------------------------------------------------------------------------------

  function schedule() {
    if (!frame) frame = requestAnimationFrame(draw);
  }

  /** The picture without the pointer: only a mechanism, a channel or a size changes it. */
  function build() {
    picture = null;
    if (waiting()) {
      buildWaiting();
      return;
    }
    if (!chosen || !stage.clientWidth) return;
    const density = window.devicePixelRatio || 1;
    const aspect = data.image.naturalWidth / data.image.naturalHeight;
    const [wide, high] = [stage.clientWidth, stage.clientHeight];
    const onPhotograph = large || now.positions;
    const layout = onPhotograph ? null : layOut(now.count, [wide, high], aspect);
    const size = layout
      ? [layout.columns * layout.width, layout.rows * layout.height]
      : [Math.min(wide, high * aspect), Math.min(high, wide / aspect)];
    const context = newPicture(size, density);
    if (layout) {
      const shown = spaced(now.sorted, layout.shown);
      const answers = (one) => decodeRow(data.arrays, 'features', one);
      const wall = drawWall(data.image, layout, density, shown, answers, data.facts.maps_grid, now.light);
      context.putImageData(wall.pixels, 0, 0);
      Object.assign(picture, { tiles: wall.tiles, size: wall.size, columns: layout.columns });
      if (shown.length !== drawn) {
        drawn = shown.length;
        say();
      }
    } else {
      const photograph = litPhotograph(data.image, canvas.width, canvas.height);
      const [values, grid] = now.positions ? [now.weights, data.facts.grid] : answersOf(channel);
      const levels = lightOf(values, { low: 0, high: now.positions ? now.high : ANSWERS });
      paintLight(context, canvas.width, canvas.height, photograph, levels, grid, smoothGrid(grid));
    }
    canvas.dataset.mode = onPhotograph ? 'channel' : 'wall';
  }

  // An empty picture of this size in CSS pixels; gives what draws in it.
  function newPicture(size, density) {
    Object.assign(canvas, { width: Math.round(size[0] * density), height: Math.round(size[1] * density) });
    Object.assign(canvas.style, { width: `${size[0]}px`, height: `${size[1]}px` });
    root.dataset.drawn = '';
    const base = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height });
    picture = { base, density, tiles: null };
    return base.getContext('2d');
  }

  // Until the weights of the map beside have come: its photograph, without any light.
  function buildWaiting() {
    const image = latest('attn:map')?.image;
    if (!image || !stage.clientWidth) return;
    const density = window.devicePixelRatio || 1;
    const aspect = image.naturalWidth / image.naturalHeight;
    const [wide, high] = [stage.clientWidth, stage.clientHeight];
    const context = newPicture([wide, high], density); // about as large as the wall that follows: nothing jumps
    const [width, height] = [Math.min(wide, high * aspect), Math.min(high, wide / aspect)].map((side) => side * density);
    const { dim } = litPhotograph(image, Math.round(width), Math.round(height));
    context.drawImage(dim, Math.round((canvas.width - width) / 2), Math.round((canvas.height - height) / 2));
    canvas.dataset.mode = 'waiting';
  }

  // A channel's answers, in multiples of their mean, after its weight has scaled them: the light is what goes on.
  function answersOf(one) {
    const values = decodeRow(data.arrays, 'features', one);
    let mean = 0;
    for (const value of values) mean += value / values.length;
    const factor = mean > 0 ? now.light(one) / mean : 0;
    return [values.map((value) => value * factor), data.facts.maps_grid];
  }

  function draw() {
    frame = 0;
    if (!picture) build();
    if (!picture) return;
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, canvas.width, canvas.height); // between the tiles the picture covers nothing
    context.drawImage(picture.base, 0, 0);
    if (waiting()) return;
    const query = latest('attn:query');
    const cell = query && sameSpot(query, data.facts.grid);
    if (picture.tiles) drawMarks(context, picture, pointed, cell, data.facts.grid);
    else if (cell) {
      context.globalAlpha = QUIET;
      drawCell(context, canvas.width, canvas.height, data.facts.grid, cell, picture.density);
      context.globalAlpha = 1;
    }
    if (cell) Object.assign(root.dataset, { row: cell[0], col: cell[1] });
  }

  const strip = makeStrip(find('.attn-pane-strip canvas'), {
    now: () => now,
    waiting,
    name: () => nameOf(chosen),
    marked: (one) => one === pointed || (large && one === channel),
    pointAt,
    choose,
  });

  function write() {
    const error = root.dataset.state === 'error';
    root.toggleAttribute('data-waiting', waiting());
    find('.lane-notice').textContent = error ? t('channels.error')
      : !waiting() ? '' : refusal ? refusal[language()] : t('window.lane.waiting');
    find('.lane-again').hidden = !(refusal && waiting());
    tellWeighed();
    if (waiting()) {
      for (const name of ['.lane-kind', '.lane-weights', '.attn-pane-even', '.lane-sentence']) find(name).textContent = '';
      find('.attn-pane-badge').dataset.source = '';
      find('.lane-all').hidden = true;
      return;
    }
    if (!chosen) return;
    find('.lane-kind').textContent = t(`window.kind.${chosen.kind}`, { count: readable(now.total), side: readable(data.facts.channels) });
    const badge = find('.attn-pane-badge');
    badge.dataset.source = chosen.source;
    badge.firstElementChild.textContent = t(`explorer.badge.${chosen.source}`, { file: '' });
    badge.title = t(`channels.source.${chosen.source}.note`);
    find('.lane-unit').textContent = t(now.even ? 'window.unit.uniform' : 'window.unit.gate');
    find('.attn-ramp').style.background = lightRamp();
    find('.lane-ends').replaceChildren(...ticksOf(now).map(({ text, place }) => {
      const tick = Object.assign(document.createElement('span'), { textContent: text });
      tick.style.left = `${100 * place}%`;
      return tick;
    }));
    canvas.setAttribute('aria-label', t('window.wall', { name: nameOf(chosen) }));
    find('.lane-all').hidden = !large;
    find('.lane-weights').textContent = weightsSaid();
    find('.attn-pane-even').textContent = now.even ? t('explorer.even') : '';
    Object.assign(root.dataset, { mechanism: chosen.name, kind: chosen.kind, weights: now.total, channel: channel ?? '', large });
    say();
  }

  const weightsSaid = () => t(`window.weights.${chosen.kind}`, { n: readable(now.count), channel: now.row ?? '' });

  // For the half beside, which shows them where this one is out of sight.
  function tellWeighed() {
    emit('attn:weighed', waiting() || !now ? null : {
      name: nameOf(chosen),
      weights: weightsSaid(),
      heights: heightsOf(now),
    });
  }

  function say() {
    if (waiting() || !chosen) return;
    const one = now.positions ? null : pointed ?? (large ? channel : null);
    find('.lane-sentence').textContent = sentenceOf(chosen.kind, now, one, large || now.positions ? now.count : drawn);
  }

  // --- choosing --------------------------------------------------------------------------------------------------------

  /** Reads the weights of the mechanism (and, of a channel map, the row) anew. */
  function weigh() {
    now = weighed(data, chosen, channel ?? 0);
    if (now.row !== undefined) channel = now.row;
    drawn = now.count;
  }

  function refresh() {
    picture = null;
    write();
    strip.draw();
    schedule();
  }

  // The address holds the channel shown large, or else the row of a channel map that the wall is lit by.
  function keep() {
    const row = !large && now.row ? now.row : null;
    remember({ mechanism: chosen.name, channel: large ? channel : null, row });
  }

  function setMechanism(name, tell = true) {
    const wanted = data?.facts.mechanisms.find((one) => one.name === name);
    if (!wanted) return;
    chosen = wanted;
    pointed = null;
    select.value = wanted.name;
    weigh();
    if (now.row === undefined && !large) channel = null;
    refresh();
    if (!tell) return;
    keep();
    emit('attn:mechanism', { source, name: wanted.name });
  }

  function pointAt(one) {
    if (one === pointed) return;
    pointed = one;
    say();
    strip.draw();
    schedule();
  }

  function choose(one, tell = true) {
    if (!data || !(one >= 0 && one < data.facts.channels)) return;
    channel = one;
    large = true;
    pointed = null;
    if (chosen) weigh();
    refresh();
    keep();
    if (tell) emit('attn:channel', { source, channel: one });
  }

  function showAll() {
    large = false;
    pointed = null;
    if (now?.row === undefined) channel = null;
    refresh();
    keep();
    canvas.focus({ preventScroll: true });
  }

  function tileUnder(event) {
    const box = canvas.getBoundingClientRect();
    const { tiles, size: [width, height], density } = picture;
    const [x, y] = [(event.clientX - box.left) * density, (event.clientY - box.top) * density];
    return tiles.find((one) => x >= one.left - 1 && x <= one.left + width + 1 && y >= one.top - 1 && y <= one.top + height + 1);
  }

  canvas.addEventListener('pointermove', (event) => {
    if (!picture || waiting()) return;
    if (picture.tiles) pointAt(tileUnder(event)?.channel ?? null);
    else if (event.pointerType === 'mouse' || event.pressure) tellCell(event);
  });
  canvas.addEventListener('pointerleave', () => { if (picture?.tiles) pointAt(null); });
  canvas.addEventListener('click', (event) => {
    if (!picture || waiting()) return;
    if (!picture.tiles) tellCell(event);
    else {
      const tile = tileUnder(event);
      if (tile) choose(tile.channel);
    }
  });
  function tellCell(event) {
    const [rows, cols] = data.facts.grid;
    const [row, col] = cellUnder(event, canvas, [rows, cols]);
    emit('attn:query', { source, row, col, rows, cols });
    schedule();
  }

  const STEPS = { ArrowRight: 1, ArrowLeft: -1 };
  canvas.addEventListener('keydown', (event) => {
    if (!picture || waiting() || event.ctrlKey || event.metaKey || event.altKey) return;
    const { tiles, columns } = picture;
    const step = STEPS[event.key] ?? (tiles && { ArrowDown: columns, ArrowUp: -columns }[event.key]);
    if (event.key === 'Escape' && large) showAll();
    else if (step && tiles) {
      const at = tiles.findIndex((tile) => tile.channel === pointed);
      pointAt(tiles[Math.max(0, Math.min(tiles.length - 1, at < 0 ? 0 : at + step))].channel);
      find('.attn-spoken[aria-live]').textContent = now.describe(pointed);
    } else if (step && large) choose((channel + step + data.facts.channels) % data.facts.channels);
    else if ((event.key === 'Enter' || event.key === ' ') && pointed !== null) choose(pointed);
    else return;
    event.preventDefault();
  });
  select.addEventListener('change', () => setMechanism(select.value));
  find('.lane-all').addEventListener('click', showAll);
  find('.lane-again').addEventListener('click', () => {
    refused(null);
    canvas.focus({ preventScroll: true });
    host.trigger('again');
  });

  // --- language, others, loading --------------------------------------------------------------------------------------

  function writeTexts() {
    fillTexts(root);
    if (data) select.replaceChildren(...data.facts.mechanisms.map((one) => new Option(nameOf(one), one.name)));
    if (chosen) select.value = chosen.name;
    refresh();
  }

  function refused(why) {
    refusal = why;
    refresh();
  }

  on(root, 'attn:map', () => refused(null));
  on(root, 'attn:query', (query) => { if (query.source !== source && data) schedule(); });
  on(root, 'attn:mechanism', ({ source: who, name }) => {
    if (who === source || !data) return;
    setMechanism(name, false);
    keep();
  });
  on(root, 'attn:channel', ({ source: who, channel: one }) => { if (who !== source) choose(one, false); });
  onAsked(root, () => restore());
  onSpoken(root, writeTexts);
  onLooks(root, refresh);

  /** The name if there is such a mechanism, else the first's. */
  const known = (name) => {
    const names = data.facts.mechanisms.map((one) => one.name);
    return names.includes(name) ? name : names[0];
  };

  const isChannel = (asked) => /^\d+$/.test(asked ?? '') && Number(asked) < data.facts.channels;

  /** Shows what the address asks for, or else what came with the value. */
  function restore(opening = {}) {
    if (!data) return;
    const { mechanism, channel: one, row } = { ...opening, ...asked() };
    large = isChannel(one);
    channel = large ? Number(one) : isChannel(row) ? Number(row) : null;
    setMechanism(known(mechanism), false);
  }

  let loads = 0;
  async function load(value) {
    const run = ++loads;
    if (!value?.arrays) {
      if (value?.facts?.error) refused(value.facts.error);
      return;
    }
    try {
      const [arrays, image] = await Promise.all([fetchArrays(value.arrays.url), fetchImage(value.image.url)]);
      if (run !== loads) return;
      const before = data;
      data = { arrays, image, facts: value.facts, path: value.image.path };
      now = null;
      Object.assign(root.dataset, { state: 'ready', key: data.facts.key });
      select.replaceChildren(...data.facts.mechanisms.map((one) => new Option(nameOf(one), one.name)));
      if (before?.path !== data.path) restore(before ? {} : value.opening); // the last one's channel is of no interest, unless the address asks for one
      else {
        const gone = !(channel < data.facts.channels); // of a stage with fewer
        if (gone) [channel, large] = [null, false];
        setMechanism(known(chosen?.name), false);
        if (gone) keep();
      }
    } catch (error) {
      if (run !== loads) return;
      root.dataset.state = 'error';
      refresh();
      console.error(error);
    }
  }

  writeTexts();
  host.watch(() => load(host.value));
  await load(host.value);
}

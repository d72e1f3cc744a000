// The position lab: one query's map before a shuffle, after it and put back, without and with the encoding. Queries and
// keys travel once, as straight lines in the encoding's strength, so pointing and the slider ask no server.

import { attn, attnCore } from '../../web/legacy.js';
import { loadTexts } from '../../web/texts.js';

export const labCore = (() => {
  // value = code · scale of its row
  function decode(codes, scale) {
    const width = codes.length / scale.length;
    return Float32Array.from(codes, (code, at) => code * scale[Math.floor(at / width)]);
  }

  // Attention of any query at any strength s of the encoding, on the map as it is or with its positions shuffled.
  function model(arrays) {
    const n = arrays.queries_scale.length;
    const [q, dq, k, dk] = ['queries', 'query_steps', 'keys', 'key_steps'].map((name) =>
      decode(arrays[name], arrays[`${name}_scale`]));
    const channels = q.length / n;
    const vector = new Float32Array(channels);
    // Content `query` standing at place `place`; the content at place j is order[j].
    function attention(query, place, strength, order) {
      for (let c = 0; c < channels; c++) {
        vector[c] = q[query * channels + c] + strength * dq[place * channels + c];
      }
      const out = new Float32Array(n);
      for (let j = 0; j < n; j++) {
        let content = 0;
        let there = 0;
        for (let c = 0, a = order[j] * channels, b = j * channels; c < channels; c++) {
          content += vector[c] * k[a + c];
          there += vector[c] * dk[b + c];
        }
        out[j] = content + strength * there;
      }
      attnCore.softmax(out, 1, out);
      return out;
    }
    const asItIs = Uint16Array.from({ length: n }, (_, i) => i);
    return {
      n,
      // before: on the photograph; after: on the shuffled one, where the query moved along; restored: after, put back.
      maps(query, strength, order, back) {
        const before = attention(query, query, strength, asItIs);
        const after = attention(query, back[query], strength, order);
        return { before, after, restored: after.map((_, i) => after[back[i]]) };
      },
    };
  }

  // back[order[i]] = i
  function inverse(order) {
    const back = new Uint16Array(order.length);
    order.forEach((from, to) => { back[from] = to; });
    return back;
  }

  // ‖value − reference‖ / ‖reference‖
  function relativeError(value, reference) {
    let difference = 0;
    let norm = 0;
    for (let i = 0; i < value.length; i++) {
      difference += (value[i] - reference[i]) ** 2;
      norm += reference[i] ** 2;
    }
    return Math.sqrt(difference / norm);
  }

  // Where the colour scale of some maps ends, in × uniform: a whole number, the query's own share left out.
  function range(maps, query) {
    let peak = 0;
    for (const map of maps) map.forEach((value, i) => { if (i !== query) peak = Math.max(peak, value * map.length); });
    return Math.max(2, Math.ceil(peak));
  }

  // 0.16, or 8 × 10⁻⁷ for what is small; an en dash where nothing is defined.
  function readable(value) {
    if (value === null || !Number.isFinite(value)) return '–';
    if (value === 0) return '0';
    if (Math.abs(value) >= 1e-3) return String(Number(value.toPrecision(2)));
    const [digits, power] = value.toExponential(0).split('e');
    return `${digits} × 10${[...String(Number(power))].map((c) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[c] ?? '⁻').join('')}`;
  }

  return { decode, model, inverse, relativeError, range, readable };
})();

export async function mount(element, host) {
  await loadTexts('lab');
  const root = element.querySelector('.attn-lab');
  const all = (selector) => [...root.querySelectorAll(selector)];
  const one = (selector) => root.querySelector(selector);
  const lanes = ['without', 'with'].map((name) => one(`[data-lane="${name}"]`));
  const slider = one('input[type=range]');
  const button = one('.al-shuffle');
  let shown = null; // { facts, image, model, order, back, shuffledImage }
  let loadedUrl = null;
  let loads = 0;
  let cell = [0, 0];
  let waiting = 0;
  let frame = 0;

  // --- drawing

  function shufflePicture({ facts, image, order }) {
    const [rows, cols] = facts.grid;
    const canvas = document.createElement('canvas');
    [canvas.height, canvas.width] = facts.image_size;
    const height = canvas.height / rows;
    const width = canvas.width / cols;
    const context = canvas.getContext('2d');
    for (let to = 0; to < order.length; to++) {
      const [fromRow, fromCol] = [Math.floor(order[to] / cols), order[to] % cols];
      const [row, col] = [Math.floor(to / cols), to % cols];
      context.drawImage(image, fromCol * width, fromRow * height, width, height,
        col * width, row * height, width, height);
    }
    return canvas;
  }

  function drawMap(canvas, picture, map, position, high) {
    const [rows, cols] = shown.facts.grid;
    const [height, width] = shown.facts.image_size;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const pixels = new ImageData(cols, rows);
    const scale = attnCore.scaleOf('linear', false, high);
    attnCore.colourise(attnCore.scaled(map, map.length), scale, attnCore.colormap('viridis'), pixels.data);
    const heat = new OffscreenCanvas(cols, rows);
    heat.getContext('2d').putImageData(pixels, 0, 0);
    const context = canvas.getContext('2d');
    context.imageSmoothingEnabled = false;
    context.globalAlpha = 1;
    context.drawImage(picture, 0, 0, width, height);
    context.globalAlpha = 0.6;
    context.drawImage(heat, 0, 0, width, height);
    context.globalAlpha = 1;
    const [w, h] = [width / cols, height / rows];
    const [x, y] = [(position % cols) * w, Math.floor(position / cols) * h];
    for (const [colour, line] of [['#000', 5], ['#fff', 2.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.strokeRect(x, y, w, h);
    }
  }

  function drawLane(lane, maps, query, high) {
    for (const canvas of lane.querySelectorAll('canvas')) {
      const view = canvas.dataset.view;
      const moved = view === 'after';
      drawMap(canvas, moved ? shown.shuffled : shown.image, maps[view], moved ? shown.back[query] : query, high);
    }
  }

  function sayLane(lane, error) {
    lane.dataset.error = error;
    lane.querySelector('.al-sentence').textContent =
      attn.t(error < 1e-3 ? 'lab.here.same' : 'lab.here.different', { error: labCore.readable(error) });
  }

  function draw() {
    frame = 0;
    if (!shown) return;
    const { facts, model, order, back } = shown;
    const strength = Number(slider.value);
    const query = cell[0] * facts.grid[1] + cell[1];
    const maps = [0, strength].map((s) => model.maps(query, s, order, back));
    const high = labCore.range(maps.map(({ before }) => before), query);
    lanes.forEach((lane, i) => drawLane(lane, maps[i], query, high));
    // Without an encoding the browser's sums are equal by construction; there the error is that of the whole block.
    const whole = facts.mechanisms[0].weights_error;
    sayLane(lanes[0], whole);
    sayLane(lanes[1], strength ? labCore.relativeError(maps[1].restored, maps[1].before) : whole);
    const numbersOf = (map) => attnCore.summarise(map, facts.grid, facts.stride_px, cell[0], cell[1], 0.6);
    const numbers = numbersOf(maps[1].before);
    const even = numbersOf(new Float32Array(model.n).fill(1 / model.n));
    Object.assign(root.dataset, { row: cell[0], col: cell[1], entropy: numbers.entropy, distance: numbers.distance });
    one('.al-high').textContent = attn.t('lab.scale.high', { high });
    one('.al-here').textContent = attn.t('lab.here.numbers', {
      entropy: numbers.entropy.toFixed(2),
      distance: numbers.distance.toFixed(0),
      uniform: even.distance.toFixed(0),
    });
    for (const output of all('.al-times')) output.textContent = `× ${strength.toFixed(1)}`;
    drawChart('entropy', facts.entropy, 1, 2, strength);
    drawChart('distance', facts.distance_px, facts.uniform_distance_px, 0, strength);
  }

  function redraw() {
    frame ||= requestAnimationFrame(draw);
  }

  const svg = (name, attributes) => {
    const node = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };

  // Values over strength as a line, uniform attention as a dashed one, the chosen strength as a dot.
  function drawChart(name, values, uniform, digits, strength) {
    const figure = one(`[data-chart="${name}"]`);
    const { strengths } = shown.facts;
    const at = strengths.findIndex((s) => Math.abs(s - strength) < 0.05);
    const high = 1.08 * Math.max(uniform, ...values);
    const x = (s) => 10 + (220 * s) / strengths[strengths.length - 1];
    const y = (v) => 100 - (95 * v) / high;
    const line = values.map((v, i) => `${x(strengths[i]).toFixed(1)},${y(v).toFixed(1)}`).join(' ');
    figure.querySelector('svg').replaceChildren(
      svg('line', { class: 'al-axis', x1: 10, x2: 230, y1: 100, y2: 100 }),
      svg('line', { class: 'al-uniform', x1: 10, x2: 230, y1: y(uniform), y2: y(uniform) }),
      svg('polyline', { class: 'al-line', points: line }),
      svg('circle', { class: 'al-dot', cx: x(strengths[at]), cy: y(values[at]), r: 4.5 }),
    );
    const text = attn.t(`lab.chart.${name}.value`, {
      value: values[at].toFixed(digits),
      none: values[0].toFixed(digits),
      uniform: uniform.toFixed(digits),
    });
    figure.querySelector('p').textContent = text;
    figure.querySelector('svg').setAttribute('aria-label', `${attn.t(`lab.chart.${name}`)}: ${text}`);
    figure.dataset.value = values[at];
  }

  function fillTable() {
    one('.al-errors tbody').replaceChildren(...shown.facts.mechanisms.map((mechanism) => {
      const row = document.createElement('tr');
      row.dataset.mechanism = mechanism.name;
      row.dataset.same = mechanism.same;
      const verdict = `lab.verdict.${mechanism.kind}.${mechanism.same ? 'same' : 'different'}`;
      const cells = [
        attn.t(`lab.mechanism.${mechanism.name}`),
        labCore.readable(mechanism.change_error),
        labCore.readable(mechanism.weights_error),
        attn.t(mechanism.change_error === null ? 'lab.verdict.nothing' : verdict),
      ];
      row.append(...cells.map((text, column) => {
        const node = document.createElement(column ? 'td' : 'th');
        if (!column) node.scope = 'row';
        else node.dataset.label = one(`.al-errors thead th:nth-child(${column + 1})`).textContent;
        node.textContent = text;
        return node;
      }));
      return row;
    }));
  }

  function fillWords() {
    attn.fillTexts(root);
    if (!shown) return;
    const { facts } = shown;
    one('.al-seed').textContent = attn.t('lab.seed', { seed: facts.seed });
    const { without, with: encoded, photographs } = facts.grouping;
    one('.al-grouping').textContent = without === undefined
      ? attn.t('lab.grouping.none')
      : attn.t('lab.grouping', { without: without.toFixed(3), with: encoded.toFixed(3), photographs });
    one('.al-charts').title = attn.t('lab.charts.over', { queries: facts.queries_measured });
    fillTable();
    redraw();
  }

  // --- the value

  async function load() {
    const value = host.value;
    const turn = ++loads;
    if (!value?.facts) return;
    if (root.dataset.state === 'empty') root.dataset.state = 'loading';
    try {
      let { model, image } = shown ?? {};
      if (value.arrays.url !== loadedUrl) {
        image = new Image();
        image.src = value.image.url;
        const [arrays] = await Promise.all([attn.fetchArrays(value.arrays.url), image.decode()]);
        if (turn !== loads) return;
        model = labCore.model(arrays);
        loadedUrl = value.arrays.url;
      }
      const { facts } = value;
      const order = Uint16Array.from(facts.permutation);
      const [rows, cols] = facts.grid;
      cell = attn.query ? attn.core.sameSpot(attn.query, [rows, cols]) : [rows >> 1, cols >> 1];
      shown = { facts, model, image, order, back: labCore.inverse(order) };
      shown.shuffled = shufflePicture(shown);
      root.dataset.state = 'ready';
      root.dataset.seed = facts.seed;
      settle();
      fillWords();
    } catch (error) {
      if (turn === loads) root.dataset.state = 'error';
      console.error(error);
    }
  }

  // --- what people do

  function settle() {
    clearTimeout(waiting);
    button.disabled = false;
    button.removeAttribute('aria-busy');
  }

  function shuffle() {
    if (!shown || button.disabled) return;
    button.disabled = true;
    button.setAttribute('aria-busy', 'true');
    waiting = setTimeout(settle, 15000);
    host.trigger('shuffle', { seed: shown.facts.seed + 1 });
  }

  function pointTo(row, col) {
    if (!shown || (row === cell[0] && col === cell[1])) return;
    cell = [row, col];
    attn.emit('attn:query', { source: 'lab', row, col, rows: shown.facts.grid[0], cols: shown.facts.grid[1] });
    redraw();
  }

  function follow(event) {
    if (!shown) return;
    const [rows, cols] = shown.facts.grid;
    const box = event.target.getBoundingClientRect();
    const clamp = (value, count) => Math.max(0, Math.min(count - 1, Math.floor(value * count)));
    const row = clamp((event.clientY - box.top) / box.height, rows);
    const col = clamp((event.clientX - box.left) / box.width, cols);
    if (event.target.dataset.view !== 'after') return pointTo(row, col);
    const from = shown.order[row * cols + col];
    pointTo(Math.floor(from / cols), from % cols);
  }

  function say() {
    draw();
    one('.al-live').textContent = attn.t('lab.spoken', {
      row: cell[0],
      col: cell[1],
      without: lanes[0].querySelector('.al-sentence').textContent,
      with: lanes[1].querySelector('.al-sentence').textContent,
    });
  }

  const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  button.addEventListener('click', shuffle);
  slider.addEventListener('input', redraw);
  for (const canvas of all('.al-pictures canvas')) {
    canvas.addEventListener('pointermove', follow);
    canvas.addEventListener('pointerdown', follow);
  }
  one('canvas[tabindex]').addEventListener('keydown', (event) => {
    const step = ARROWS[event.key];
    if (!step || !shown || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const inside = (value, count) => Math.max(0, Math.min(count - 1, value));
    pointTo(...step.map((move, axis) => inside(cell[axis] + move, shown.facts.grid[axis])));
    say();
  });
  attn.on(root, 'attn:query', (query) => {
    if (query.source === 'lab' || !shown) return;
    cell = attn.core.sameSpot(query, shown.facts.grid);
    redraw();
  });
  attn.on(root, 'attn:lab', ({ shuffle: press, strength }) => {
    if (strength !== undefined) slider.value = strength;
    if (press) shuffle();
    redraw();
  });
  attn.on(root, 'attn:lang', fillWords);
  host.watch(load);
  fillWords();
  load();
}

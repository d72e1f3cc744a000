// Shared by every component of the page: pure functions (attnCore, no DOM, also run under Node by the tests) and the
// page's services (window.attn: texts, language, events, arrays). Joined in front of each component's own script.

const attnCore = (() => {
  const LN2 = Math.log(2);

  // --- arrays ------------------------------------------------------------------------------------------------------

  const TYPED = { u8: Uint8Array, i8: Int8Array, i16: Int16Array, u16: Uint16Array, f32: Float32Array };

  // Views into one inflated file; layout as written by component.pack_arrays.
  function unpack(buffer, layout) {
    const arrays = {};
    for (const [name, { dtype, shape, offset }] of Object.entries(layout)) {
      arrays[name] = new TYPED[dtype](buffer, offset, shape.reduce((a, b) => a * b, 1));
    }
    return arrays;
  }

  // --- logits, from either form the server sends ---------------------------------------------------------------------
  // A source has n positions and gives the logits of one query (row), of four at once (for passes over all queries), or
  // towards one key (column). Each row may be shifted by a constant, which no softmax sees.

  // logits[i, j] = -steps[i, j] * scale[i]
  function logitsFromTable(steps, scale) {
    const n = scale.length;
    const row = (i, out) => {
      const step = -scale[i];
      for (let j = 0, at = i * n; j < n; j++, at++) out[j] = steps[at] * step;
      return out;
    };
    return {
      n,
      row,
      fourRows: (first, outs) => outs.forEach((out, k) => row(Math.min(first + k, n - 1), out)),
      column(j, out) {
        for (let i = 0, at = j; i < n; i++, at += n) out[i] = -steps[at] * scale[i];
        return out;
      },
    };
  }

  // logits[i, j] = queries[i] · keys[j], both integer rows with one scale each
  function logitsFromFactors(queries, queryScale, keys, keyScale) {
    const n = queryScale.length;
    const channels = queries.length / n;
    const q = scaledRows(queries, queryScale);
    const k = scaledRows(keys, keyScale);
    const query = (i) => q.subarray(Math.min(i, n - 1) * channels, Math.min(i + 1, n) * channels);
    return {
      n,
      row: (i, out) => products(query(i), k, out),
      fourRows: (first, outs) => fourProducts([0, 1, 2, 3].map((m) => query(first + m)), k, outs),
      column: (j, out) => products(k.subarray(j * channels, (j + 1) * channels), q, out),
    };
  }

  function scaledRows(values, scale) {
    const width = values.length / scale.length;
    const out = new Float32Array(values.length);
    for (let i = 0, at = 0; i < scale.length; i++) {
      for (let c = 0; c < width; c++, at++) out[at] = values[at] * scale[i];
    }
    return out;
  }

  // out[i] = vector · rows[i]; four sums at once, so that additions do not wait for each other
  function products(vector, rows, out) {
    const width = vector.length;
    const whole = width & ~3;
    for (let i = 0, at = 0; i < out.length; i++) {
      let a = 0, b = 0, c = 0, d = 0, k = 0;
      for (; k < whole; k += 4, at += 4) {
        a += vector[k] * rows[at];
        b += vector[k + 1] * rows[at + 1];
        c += vector[k + 2] * rows[at + 2];
        d += vector[k + 3] * rows[at + 3];
      }
      for (; k < width; k++, at++) a += vector[k] * rows[at];
      out[i] = a + b + (c + d);
    }
    return out;
  }

  // outs[m][i] = vectors[m] · rows[i], reading each row once for all four: more than twice as fast
  function fourProducts([v0, v1, v2, v3], rows, [out0, out1, out2, out3]) {
    const width = v0.length;
    for (let i = 0, at = 0; i < out0.length; i++) {
      let a = 0, b = 0, c = 0, d = 0;
      for (let k = 0; k < width; k++, at++) {
        const value = rows[at];
        a += v0[k] * value;
        b += v1[k] * value;
        c += v2[k] * value;
        d += v3[k] * value;
      }
      out0[i] = a;
      out1[i] = b;
      out2[i] = c;
      out3[i] = d;
    }
  }

  // --- attention ---------------------------------------------------------------------------------------------------

  // Writes softmax(logits / temperature) to out and returns ln Σ exp(logits / temperature).
  function softmax(logits, temperature, out) {
    let top = -Infinity;
    for (let j = 0; j < logits.length; j++) if (logits[j] > top) top = logits[j];
    let sum = 0;
    for (let j = 0; j < logits.length; j++) {
      out[j] = Math.exp((logits[j] - top) / temperature);
      sum += out[j];
    }
    for (let j = 0; j < logits.length; j++) out[j] /= sum;
    return top / temperature + Math.log(sum);
  }

  // Every query's attention towards key j; needs each row's log-sum-exp at this temperature.
  function attentionColumn(source, j, temperature, logSumExp, out) {
    source.column(j, out);
    for (let i = 0; i < out.length; i++) out[i] = Math.exp(out[i] / temperature - logSumExp[i]);
    return out;
  }

  // One pass over all queries, in steps of four rows so that the caller can pause: the mean map, each row's
  // log-sum-exp, and query specificity (entropy of the mean map less the mean entropy, over ln n; 0: every query gets
  // the same map). Yields the number of rows done.
  function* sweep(source, temperature) {
    const n = source.n;
    const logits = Array.from({ length: 4 }, () => new Float32Array(n));
    const p = new Float32Array(n);
    const sum = new Float64Array(n);
    const logSumExp = new Float64Array(n);
    let entropies = 0;
    for (let first = 0; first < n; first += 4) {
      const done = Math.min(first + 4, n);
      source.fourRows(first, logits);
      for (let i = first; i < done; i++) {
        const row = logits[i - first];
        logSumExp[i] = softmax(row, temperature, p);
        let expected = 0;
        for (let j = 0; j < n; j++) {
          sum[j] += p[j];
          expected += p[j] * row[j];
        }
        entropies += logSumExp[i] - expected / temperature;
      }
      yield done;
    }
    const mean = Float32Array.from(sum, (s) => s / n);
    const specificity = n > 1 ? (entropy(mean) - entropies / n) / Math.log(n) : 0;
    return { mean, logSumExp, specificity };
  }

  // --- numbers (definitions: attn/attention_metrics.py) ------------------------------------------------------------

  // Shannon entropy in nats; 0 ln 0 = 0
  function entropy(p) {
    let sum = 0;
    for (let j = 0; j < p.length; j++) if (p[j] > 0) sum -= p[j] * Math.log(p[j]);
    return sum;
  }

  // How many positions, largest first, hold `share` of the mass, and the smallest value among them.
  function massPositions(p, share) {
    const sorted = Float32Array.from(p).sort();
    let held = 0;
    for (let count = 1; count <= sorted.length; count++) {
      held += sorted[sorted.length - count];
      if (held >= share - 1e-6 || count === sorted.length) return { count, least: sorted[sorted.length - count] };
    }
  }

  // The numbers of one distribution p over the grid as seen from position (row, col); distances in image pixels.
  // drift is the mean displacement [rows, cols] in pixels: where the attention lies from here.
  function summarise(p, [rows, cols], stride, row, col, share) {
    let distance = 0, down = 0, right = 0, peak = 0;
    for (let r = 0, j = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++, j++) {
        const v = p[j], dr = r - row, dc = c - col;
        distance += v * Math.sqrt(dr * dr + dc * dc);
        down += v * dr;
        right += v * dc;
        if (v > peak) peak = v;
      }
    }
    const nats = entropy(p);
    return {
      entropy: p.length > 1 ? nats / Math.log(p.length) : 0,
      perplexity: Math.exp(nats),
      distance: distance * stride,
      area: massPositions(p, share).count / p.length,
      peak: peak * p.length,
      drift: [down * stride, right * stride],
    };
  }

  // summarise() of uniform attention, the yardstick beside every number
  function summariseEven([rows, cols], stride, row, col, share) {
    const n = rows * cols;
    let distance = 0;
    for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) distance += Math.hypot(r - row, c - col);
    const area = Math.ceil(share * n - 1e-6) / n;
    return { entropy: 1, perplexity: n, distance: (distance / n) * stride, area, peak: 1, own: 0, received: 1 };
  }

  // Jensen–Shannon divergence of two distributions in bits: 0 (equal) … 1 (disjoint)
  function jensenShannon(p, q) {
    let sum = 0;
    for (let j = 0; j < p.length; j++) {
      const m = (p[j] + q[j]) / 2;
      if (p[j] > 0) sum += p[j] * Math.log(p[j] / m);
      if (q[j] > 0) sum += q[j] * Math.log(q[j] / m);
    }
    return Math.max(0, sum / 2 / LN2);
  }

  function cosine(p, q) {
    let pq = 0, pp = 0, qq = 0;
    for (let j = 0; j < p.length; j++) {
      pq += p[j] * q[j];
      pp += p[j] * p[j];
      qq += q[j] * q[j];
    }
    return pq / Math.sqrt(pp * qq);
  }

  // Half the total absolute difference: the share of the mass that would have to move to turn p into q.
  function movedShare(p, q) {
    let sum = 0;
    for (let j = 0; j < p.length; j++) sum += Math.abs(p[j] - q[j]);
    return sum / 2;
  }

  // values[j] = factor * (p[j] - q[j]); q may be absent
  function scaled(p, factor, q) {
    const out = new Float32Array(p.length);
    for (let j = 0; j < p.length; j++) out[j] = factor * (q ? p[j] - q[j] : p[j]);
    return out;
  }

  // One of eight directions as text keys ("up-left"), or "here" below `least` pixels.
  function compass([down, right], least) {
    if (Math.hypot(down, right) < least) return 'here';
    const names = ['right', 'down-right', 'down', 'down-left', 'left', 'up-left', 'up', 'up-right'];
    return names[(Math.round(Math.atan2(down, right) / (Math.PI / 4)) + 8) % 8];
  }

  // The position of a grid [height, width] at the same place as one of a grid of rows × cols (by default the same grid).
  function sameSpot({ row, col, rows, cols }, [height, width]) {
    const here = (place, from, to) => Math.max(0, Math.min(to - 1, Math.floor(((place + 0.5) / (from ?? to)) * to)));
    return [here(row, rows, height), here(col, cols, width)];
  }

  // --- colours -----------------------------------------------------------------------------------------------------

  // Evenly spaced anchors of matplotlib's colour maps, interpolated linearly (within 6/255 of the originals).
  const ANCHORS = {
    viridis:
      '440154470d6048196b482475472e7c4538824241863e4b8a3a548c365d8d32658e2e6d8e2b758e287d8e25848e228c8d' +
      '1f948c1e9c8920a38625ab822eb37c39ba7648c16e58c7656acd5b7ed34f93d741a8db34bedf26d4e21ae9e51afde725',
    magma:
      '0000040303120a0823140e351e11492a115c38106d46107854137d6018806d1d817a2282872781942c80a1307eaf347b' +
      'bd3977ca3e72d6456ce24d66ec5860f3655cf8745cfb835ffd9366fea26ffeb27afec185fed093fddfa1fceeb0fcfdbf',
    cividis:
      '00224e00285b002e6b0733701c396f293f6e33446d3d4a6c45506c4d556c555b6d5c616e6467706b6d72727274787877' +
      '807f78888578908b78979177a09875a89e73b0a571b9ab6dc1b26acab965d3c05fdcc859e5cf52efd748f8df3cfee838',
    grey: '000000ffffff',
    diverging: '0530612166ac4393c392c5ded1e5f0f6f6f6fddbc7f4a582d6604db2182c67001f',
  };
  const tables = {};

  // 256 RGB triples
  function colormap(name) {
    if (!tables[name]) {
      const anchors = ANCHORS[name].match(/../g).map((hex) => parseInt(hex, 16));
      const last = anchors.length / 3 - 1;
      const table = new Uint8ClampedArray(768);
      for (let level = 0; level < 256; level++) {
        const at = (level / 255) * last;
        const from = Math.min(Math.floor(at), last - 1);
        for (let c = 0; c < 3; c++) {
          const low = anchors[from * 3 + c];
          table[level * 3 + c] = low + (anchors[from * 3 + 3 + c] - low) * (at - from);
        }
      }
      tables[name] = table;
    }
    return tables[name];
  }

  // Where × uniform values lie on the colour bar. Each scale: [low, high] and whether the axis is logarithmic.
  // 'uniform' and 'log' are fixed yardsticks, so that flat attention looks flat; 'linear' ends at the map's own peak.
  // Signed maps fade towards zero: the photograph shows where nothing differs.
  const FIXED_HIGH = 5;
  function scaleOf(name, signed, peak) {
    if (signed) {
      const high = name === 'linear' ? Math.max(peak, 1e-6) : FIXED_HIGH;
      return { low: -high, high, log: false, fade: true };
    }
    if (name === 'log') return { low: 0.01, high: 100, log: true };
    return { low: 0, high: name === 'linear' ? Math.max(peak, 1e-6) : FIXED_HIGH, log: false };
  }

  // Writes RGBA pixels; with `mass`, positions whose mass is below `least` stay transparent.
  function colourise(values, { low, high, log, fade }, table, out, mass = null, least = 0) {
    const start = log ? Math.log(low) : low;
    const factor = 255 / ((log ? Math.log(high) : high) - start);
    for (let j = 0, at = 0; j < values.length; j++, at += 4) {
      const value = log ? Math.log(Math.max(values[j], low)) : values[j];
      const level = 3 * Math.max(0, Math.min(255, Math.round((value - start) * factor)));
      out[at] = table[level];
      out[at + 1] = table[level + 1];
      out[at + 2] = table[level + 2];
      out[at + 3] = mass && mass[j] < least ? 0 : fade ? Math.min(255, 64 + (765 * Math.abs(values[j])) / high) : 255;
    }
    return out;
  }

  function peakOf(values) {
    let peak = 0;
    for (let j = 0; j < values.length; j++) peak = Math.max(peak, Math.abs(values[j]));
    return peak;
  }

  // --- the view and its link ---------------------------------------------------------------------------------------

  const VIEW = {
    direction: 'row', // row: attends to, column: is attended by, average: all queries, own: this query minus average
    scale: 'uniform', // uniform, linear, log
    fixed: false, // linear scale only: one range for all pins
    temperature: 1,
    smooth: false,
    colormap: 'viridis',
    share: 0, // show only the positions holding this share of the mass; 0 shows all
    opacity: 0.65,
    cell: null, // [row, col]
    pins: [], // up to MAX_PINS of [row, col]
    compare: [], // indices of two pins, or empty
  };
  const MAX_PINS = 6;
  const CHOICES = {
    direction: ['row', 'column', 'average', 'own'],
    scale: ['uniform', 'linear', 'log'],
    colormap: ['viridis', 'magma', 'cividis', 'grey'],
  };
  const TEMPERATURES = [0.25, 4];

  // The view as a short text for a link: only what differs from VIEW, "~" between parts, a letter for each name.
  function encodeState(view) {
    const parts = [];
    const cells = (list) => list.map((cell) => cell.join('.')).join('_');
    if (view.cell) parts.push('q' + view.cell.join('.'));
    if (view.pins.length) parts.push('p' + cells(view.pins));
    if (view.compare.length === 2) parts.push('x' + view.compare.join('.'));
    for (const [letter, name] of [['d', 'direction'], ['s', 'scale'], ['c', 'colormap']]) {
      if (view[name] !== VIEW[name]) parts.push(letter + view[name]);
    }
    if (view.temperature !== VIEW.temperature) parts.push('t' + Number(view.temperature.toFixed(3)));
    if (view.share) parts.push('m' + Math.round(view.share * 100));
    if (view.opacity !== VIEW.opacity) parts.push('o' + Math.round(view.opacity * 100));
    if (view.smooth) parts.push('b1');
    if (view.fixed) parts.push('f1');
    return parts.join('~');
  }

  // The inverse; whatever is malformed or unknown is left at its default.
  function decodeState(text) {
    const view = { ...VIEW, pins: [], compare: [] };
    const cell = (part) => (/^\d{1,3}\.\d{1,3}$/.test(part) ? part.split('.').map(Number) : null);
    const number = (part, low, high, otherwise) =>
      part !== '' && Number.isFinite(Number(part)) ? Math.min(high, Math.max(low, Number(part))) : otherwise;
    const choose = (name, part) => { if (CHOICES[name].includes(part)) view[name] = part; };
    const read = {
      q: (part) => { view.cell = cell(part); },
      p: (part) => { view.pins = part.split('_').map(cell).filter(Boolean).slice(0, MAX_PINS); },
      x: (part) => { view.compare = cell(part) ?? []; },
      d: (part) => choose('direction', part),
      s: (part) => choose('scale', part),
      c: (part) => choose('colormap', part),
      t: (part) => { view.temperature = number(part, ...TEMPERATURES, VIEW.temperature); },
      m: (part) => { view.share = number(part, 5, 95, 0) / 100; },
      o: (part) => { view.opacity = number(part, 0, 100, VIEW.opacity * 100) / 100; },
      b: (part) => { view.smooth = part === '1'; },
      f: (part) => { view.fixed = part === '1'; },
    };
    for (const part of String(text ?? '').split('~')) read[part[0]]?.(part.slice(1));
    const [a, b] = view.compare;
    if (!(a < view.pins.length && b < view.pins.length && a !== b)) view.compare = [];
    return view;
  }

  return {
    unpack, logitsFromTable, logitsFromFactors, softmax, attentionColumn, sweep,
    entropy, massPositions, summarise, summariseEven, jensenShannon, cosine, movedShare, scaled, compass, sameSpot,
    colormap, scaleOf, colourise, peakOf,
    VIEW, MAX_PINS, CHOICES, TEMPERATURES, encodeState, decodeState,
  };
})();

// The first component on the page makes the services, the others share them.
const attn = typeof window === 'undefined' ? null : (window.attn ??= (() => {
  const asked = new URLSearchParams(location.search).get('lang') ?? navigator.language;
  const texts = { en: {}, zh: {} };
  const services = {
    core: attnCore,
    lang: asked.toLowerCase().startsWith('zh') ? 'zh' : 'en',

    setLang(lang) {
      services.lang = lang;
      services.emit('attn:lang', { lang });
    },

    addTexts(byLanguage) {
      for (const lang of Object.keys(byLanguage)) Object.assign(texts[lang], byLanguage[lang]);
    },

    // The text of a key in the current language, {name} filled in; a text that is no key is returned as it is.
    t(key, params = {}) {
      const text = texts[services.lang][key] ?? texts.en[key] ?? key;
      return text.replace(/\{(\w+)\}/g, (whole, name) => params[name] ?? whole);
    },

    // Fills data-t (text) and data-t-label (aria-label) in a constant template.
    fillTexts(root) {
      for (const node of root.querySelectorAll('[data-t]')) node.textContent = services.t(node.dataset.t);
      for (const node of [root, ...root.querySelectorAll('[data-t-label]')]) {
        if (node.dataset.tLabel) node.setAttribute('aria-label', services.t(node.dataset.tLabel));
      }
      root.lang = services.lang === 'zh' ? 'zh-CN' : 'en';
    },

    // The last query that any component told: what opens later begins there.
    query: null,

    // Components talk through events on the document; a listener goes when its element has left the page.
    emit(type, detail) {
      if (type === 'attn:query') services.query = detail;
      document.dispatchEvent(new CustomEvent(type, { detail }));
    },

    on(element, type, handler) {
      const listener = (event) => {
        if (element.isConnected) handler(event.detail);
        else document.removeEventListener(type, listener);
      };
      document.addEventListener(type, listener);
    },

    // The arrays of a file written by component.pack_arrays
    async fetchArrays(url, layout) {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`${response.status} ${url}`);
      const inflated = response.body.pipeThrough(new DecompressionStream('gzip'));
      return attnCore.unpack(await new Response(inflated).arrayBuffer(), layout);
    },
  };
  return services;
})());

// The view: how the explorer looks at a map (direction, scale, colours, query, pins), and its text in share links.

export const VIEW = {
  direction: 'row', // row: attends to, column: is attended by, average: all queries, own: this query minus average
  scale: 'uniform', // uniform, linear, log
  fixed: false, // linear scale only: one range for all pins
  temperature: 1,
  smooth: null, // between cells; null: where the grid is fine enough for it
  colormap: 'light', // light: the photograph itself, lit; else a colour map over it
  share: 0, // show only the positions holding this share of the mass; 0 shows all
  opacity: 0.65, // of a colour map
  cell: null, // [row, col]
  pins: [], // up to MAX_PINS of [row, col]
  compare: [], // indices of two pins, or empty
};
export const MAX_PINS = 6;
export const CHOICES = {
  direction: ['row', 'column', 'average', 'own'],
  scale: ['uniform', 'linear', 'log'],
  colormap: ['light', 'viridis', 'magma', 'cividis', 'grey'],
};
export const TEMPERATURES = [0.25, 4];

/** The view as a short text: only what differs from VIEW, "~" between parts, a letter for each name. */
export function encodeView(view) {
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
  if (view.smooth !== VIEW.smooth) parts.push(`b${Number(view.smooth)}`);
  if (view.fixed) parts.push('f1');
  return parts.join('~');
}

/** The inverse; whatever is malformed or unknown is left at its default. */
export function decodeView(text) {
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
    b: (part) => { view.smooth = { 0: false, 1: true }[part] ?? VIEW.smooth; },
    f: (part) => { view.fixed = part === '1'; },
  };
  for (const part of String(text ?? '').split('~')) read[part[0]]?.(part.slice(1));
  const [a, b] = view.compare;
  if (!(a < view.pins.length && b < view.pins.length && a !== b)) view.compare = [];
  return view;
}

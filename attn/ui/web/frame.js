// A figure with what is around it: a title, the colour bar, a line of text, and a button to save it.
import { gradient } from './colours.js';
import { makeFigure } from './figure.js';
import { readable } from './numbers.js';
import { h } from './reactive.js';
import { t } from './texts.js';

const TALLEST_PX = 330;

/**
 * `shown` as figure.js has it, drawn anew when one of `on` changes in `live` (a reactive()). Its draw() gives the scale
 * {table, low, high, log, unit} for the bar, if there is to be one.
 *
 * title(): above it, written anew when one of `onTitle` changes; caption(): below; shows: the formula's symbol it shows.
 */
export function framed(live, shown, { on, onTitle = on, title, caption, bar = false, ratio = '1', shows }) {
  const canvas = h('canvas');
  canvas.style.aspectRatio = ratio;
  canvas.style.maxWidth = `${TALLEST_PX * Number(ratio)}px`;
  const strip = bar ? barOf(canvas.style.maxWidth) : null;
  const draw = (...place) => {
    const scale = shown.draw(...place);
    if (strip && scale) strip.write(scale);
    return scale;
  };
  const figure = makeFigure(canvas, { name: title, ...shown, draw });
  live.picture(on, figure);
  return h('figure', { class: 'attn-figure', 'data-shows': shows },
    h('figcaption', {}, live.live(onTitle, title, 'span', { class: 'title' }), saving(figure, title)),
    canvas, figure.nodes, strip?.node, caption ? live.live(on, caption, 'p', { class: 'note' }) : null);
}

function barOf(maxWidth) {
  const strip = h('div', { class: 'strip' });
  const ends = [h('span'), h('span'), h('span')];
  return {
    node: h('div', { class: 'bar', style: `max-width:${maxWidth}` }, strip, h('div', { class: 'ends' }, ends)),
    write({ low, high, table, log, unit = '' }) {
      const middle = log ? Math.sqrt(low * high) : (low + high) / 2;
      [low, middle, high].forEach((value, i) => { ends[i].textContent = `${readable(value)}${unit}`; });
      if (strip.dataset.table === table) return;
      strip.dataset.table = table;
      strip.style.background = gradient(table);
    },
  };
}

/** A button that opens into the kinds of file in which the figure can be saved. */
export function saving(figure, name) {
  const kinds = h('span', { hidden: true }, figure.kinds.map((kind) =>
    h('button', { type: 'button', click: () => figure.save(kind) }, kind.toUpperCase())));
  const opener = h('button', {
    type: 'button', 'aria-expanded': 'false', title: t('figure.save'),
    click: () => {
      kinds.hidden = !kinds.hidden;
      opener.setAttribute('aria-expanded', String(!kinds.hidden));
    },
  }, '⤓');
  opener.addEventListener('focus', () => opener.setAttribute('aria-label', t('figure.save.of', { name: name() })));
  opener.setAttribute('aria-label', t('figure.save'));
  return h('span', { class: 'attn-save' }, opener, kinds);
}

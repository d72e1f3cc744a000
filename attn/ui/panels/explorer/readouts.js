// The table of numbers beside the map, and the sentence under it.
import { compass } from '../../web/cell.js';
import { fixed, percent, readable, signed } from '../../web/numbers.js';
import { rich } from '../../web/rich.js';
import { cosine, jensenShannon, movedShare, summarise, summariseEven } from '../../web/statistics.js';
import { sentences, t } from '../../web/texts.js';

export const SHARE = 0.6; // of the mass, in the read-outs, unless the slider says otherwise
const FLAT = 0.98; // entropy above which attention lies nowhere in particular

const FORMATS = {
  perplexity: (v) => t('explorer.positions', { n: fixed(v, v < 9.95 ? 1 : 0) }),
  area: (v) => percent(v, 1),
  distance: (v) => t('explorer.px', { value: fixed(v, 1) }),
  entropy: (v) => fixed(v, 3),
  peak: (v) => `× ${fixed(v, v < 10 ? 2 : 1)}`,
  own: (v) => percent(v, 0),
  received: (v) => `× ${fixed(v, 2)}`,
};

/** The rows of the table, without numbers yet. */
export function buildNumbers(root) {
  root.querySelector('.ax-numbers tbody').replaceChildren(...Object.keys(FORMATS).map((name) => {
    const line = document.createElement('tr');
    line.dataset.number = name;
    const title = document.createElement('th');
    title.scope = 'row';
    title.title = t(`explorer.number.${name}.title`);
    line.append(title, document.createElement('td'), document.createElement('td'));
    return line;
  }));
}

/** The two columns of the table: this query beside uniform attention, or the two pins compared. */
export function numbersOf(map, cell, { data, view, all, comparing }) {
  const seenFrom = ([row, col]) => [[data.rows, data.cols], data.stride, row, col, view.share || SHARE];
  const describe = ({ p }, [row, col]) => ({
    own: all && view.direction !== 'column' ? movedShare(p, all.mean) : undefined,
    received: all ? all.mean[row * data.cols + col] * data.source.n : undefined,
    ...summarise(p, ...seenFrom([row, col])),
  });
  if (comparing) return map.pair.map((one, k) => describe(one, view.pins[view.compare[k]]));
  return [describe(map, cell), summariseEven(...seenFrom(cell))];
}

export function writeNumbers(root, columns, { data, view, comparing }) {
  const [width, height] = [data.cols, data.rows].map((side) => side * data.stride); // as the network saw it
  const share = Math.round(100 * (view.share || SHARE));
  for (const line of root.querySelector('.ax-numbers tbody').children) {
    const name = line.dataset.number;
    line.children[0].replaceChildren(...rich(t(`explorer.number.${name}`, { share, width: readable(width), height: readable(height) })));
    columns.forEach((numbers, k) => {
      const value = numbers[name];
      line.children[k + 1].textContent = value === undefined ? '–' : FORMATS[name](value);
      line.children[k + 1].dataset.value = value ?? '';
    });
  }
  const heads = comparing ? view.compare.map((index) => t('explorer.pin', { n: index + 1 }))
    : [t(view.direction === 'average' ? 'explorer.mean' : 'explorer.here'), t('explorer.even')];
  root.querySelectorAll('.ax-numbers thead th').forEach((node, k) => { node.textContent = heads[k]; });
}

/** How much two compared pins have in common, in words; '' where none are compared, or that a second is to be chosen. */
export function overlapOf(map, { view, comparing }) {
  if (!comparing) return view.compare.length ? t('explorer.pins.second') : '';
  const [a, b] = map.pair;
  return t('explorer.overlap', { divergence: fixed(jensenShannon(a.p, b.p), 2), cosine: fixed(cosine(a.p, b.p), 2) });
}

/** The same in plain words, where it is one query's own map. */
export function plainSentenceOf({ perplexity }, { data, overlap }) {
  const here = t('window.say.row', { count: fixed(perplexity, perplexity < 9.95 ? 1 : 0), n: readable(data.source.n) });
  // Its room is kept from the start.
  return sentences(here, overlap === null ? t('window.say.counting') : t('window.say.overlap', { share: percent(overlap, 0) }));
}

/** What is seen, in a sentence. */
export function sentenceOf(map, numbers, [row, col], { data, view, all, comparing }) {
  if (comparing) {
    const [a, b] = map.pair;
    return t('explorer.say.compare', {
      a: view.compare[0] + 1, b: view.compare[1] + 1, row, col, value: signed(map.values[row * data.cols + col], 1),
      divergence: fixed(jensenShannon(a.p, b.p), 2), cosine: fixed(cosine(a.p, b.p), 2),
    });
  }
  const { perplexity, entropy, drift, own, received } = numbers;
  const way = compass(drift, data.stride / 2);
  const where = entropy > FLAT ? t('explorer.where.flat') : way === 'here' ? t('explorer.where.here')
    : t('explorer.where.away', { px: fixed(Math.hypot(...drift)), way: t(`explorer.way.${way}`) });
  return t(`explorer.say.${view.direction}`, {
    row, col, where, n: fixed(perplexity), own: fixed(100 * own), received: fixed(received, 1),
    specificity: fixed(all?.specificity, 2),
  });
}

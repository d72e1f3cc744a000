// What a mechanism weighs with, from the arrays as they travel, and how one weight is said.
import { fixed, readable } from '../../web/numbers.js';
import { decodeRow } from '../../web/rows.js';
import { entropy } from '../../web/statistics.js';
import { sentences, t } from '../../web/texts.js';
import { heaviestFirst } from './wall.js';

const OF_UNIFORM = 5; // the fixed scale of maps: as the AttnBlock's
const SPIKE = 2; // a row that draws on fewer channels than this is nearly one channel's

/** What the page calls a mechanism: its short name where the texts have one, else its own title. */
export function nameOf(mechanism) {
  if (!mechanism) return '';
  const key = `channels.short.${mechanism.name}`;
  const short = t(key);
  return short === key ? mechanism.title : short;
}

/**
 * {weights, sorted, count, total, high, even, row, name, summed, positions, light(index), describe(index)} of a
 * mechanism: `count` weights of `total`, `high` the full scale, `even` uniform attention's weight (of maps), `row` the
 * channel whose row of a map it is (the nearest that travelled), `summed` over how many positions a map's products run,
 * `positions` whether they are weights of positions.
 */
export function weighed({ arrays, facts }, { name, kind }, channel) {
  if (kind === 'channel_map') {
    const at = nearest(arrays[`rows_${name}`], channel);
    const row = arrays[`rows_${name}`][at];
    const weights = decodeRow(arrays, `map_${name}`, at);
    const even = 1 / weights.length;
    const high = OF_UNIFORM * even;
    return {
      weights, even, high, row, name,
      summed: facts.grid[0] * facts.grid[1],
      count: weights.length,
      total: weights.length ** 2,
      positions: false,
      sorted: heaviestFirst(weights),
      light: (index) => weights[index] / high,
      describe: (index) => t('window.one.channel_map', { channel: index, row, times: fixed(weights[index] / even, 1) }),
    };
  }
  const weights = arrays[`weights_${name}`];
  const high = Math.max(1, ...weights);
  const positions = kind === 'spatial_gate';
  return {
    weights, high, positions,
    count: weights.length,
    total: weights.length,
    even: 0,
    sorted: positions ? Array.from(weights.keys()) : heaviestFirst(weights),
    light: (index) => weights[index] / high,
    describe: (index) => (positions
      ? t('window.one.spatial_gate', {
        row: Math.floor(index / facts.grid[1]), col: index % facts.grid[1], gate: fixed(weights[index], 2),
      })
      : t('window.one.gate', { channel: index, gate: fixed(weights[index], 2) })),
  };
}

/** The ticks of the scale, [{text, place}] with place in 0 … 1: of a map where uniform attention is, as on the left. */
export function ticksOf({ even, high }) {
  if (!even) return [0, 1].map((place) => ({ text: readable(place * high), place }));
  const top = high / even;
  return [0, 1, top / 2, top].map((times) => ({ text: `${times === top ? '≥ ' : ''}${readable(times)}`, place: times / top }));
}

/**
 * What is seen, in words: of all, of the channel `one` unless it is null, and, where only `drawn` of them are drawn,
 * that; `now` is of `weighed`.
 */
export function sentenceOf(kind, now, one, drawn) {
  const { count, weights, row } = now;
  const values = { count: readable(count), channel: row ?? '' };
  let spike = false;
  if (kind === 'channel_map') {
    const sum = weights.reduce((all, weight) => all + weight, 0); // not quite 1: they travel rounded
    const effective = Math.exp(entropy(weights.map((weight) => weight / sum)));
    values.effective = fixed(effective, effective < 9.95 ? 1 : 0);
    spike = now.name === 'transposed' && effective < SPIKE;
  }
  const said = [t(`window.say.${kind}`, values)];
  if (spike) said.push(t('window.say.transposed', { n: readable(now.summed) }));
  if (one !== null) said.push(now.describe(one));
  else if (drawn < count) said.push(t('window.say.drawn', { drawn: readable(drawn), count: readable(count) }));
  return sentences(...said);
}

function nearest(rows, channel) {
  let best = 0;
  for (let i = 1; i < rows.length; i++) if (Math.abs(rows[i] - channel) < Math.abs(rows[best] - channel)) best = i;
  return best;
}


// A channel × channel map: which channels each channel listens to.
import { drawRowMark } from '../../web/cell.js';
import { framed } from '../../web/frame.js';
import { matrixFigure } from '../../web/grid.js';
import { percent, readable } from '../../web/numbers.js';
import { picture } from '../../web/picture.js';
import { decodeRows } from '../../web/rows.js';
import { listed, sentences } from '../../web/texts.js';
import { t } from './words.js';

const SCALE = { table: 'viridis', low: 0.01, high: 100, log: true, unit: '×' };

/** The map of the mechanism name(), in × uniform; a click chooses a row's channel. */
export function channelMapFigure(panel, name, on) {
  const { model, state } = panel;
  const channels = model.facts.channels;
  const kept = {}; // mechanism → {values, image, side}
  const map = () => {
    kept[name()] ??= matrixOf(model.arrays, name(), channels);
    return kept[name()];
  };
  const block = () => Math.ceil(channels / map().side);
  return framed(panel.live, matrixFigure({
    image: () => map().image, values: () => map().values, side: () => map().side, scale: SCALE,
    marks: (ctx, { width, height }) => drawRowMark(ctx, width, height, state.channel / block(), channels / block()),
    describe: ([row, col], value) => t('tip.map', {
      row: row * block(), col: col * block(), value: readable(value),
    }),
    start: () => [Math.floor(state.channel / block()), 0],
    pick: ([row]) => panel.setChannel(Math.min(channels - 1, row * block())),
  }), {
    on: ['channel', ...on], bar: true, shows: 'weights',
    title: () => t('channel_map', { channels: readable(channels) }),
    caption: () => sentences(noteOf(model, name(), state.channel), block() > 1 && t('channel_map.pooled')),
  });
}

function matrixOf(arrays, name, channels) {
  const side = arrays[`map_${name}_low`].length;
  const values = decodeRows(arrays, `map_${name}`, channels);
  return { side, values, image: picture(values, side, side, SCALE) };
}

function noteOf({ arrays, facts }, name, channel) {
  const width = arrays[`sources_${name}`].length / facts.channels;
  const from = [0, 1, 2].filter((i) => i < width).map((i) => {
    const at = channel * width + i;
    return t('channel_map.source', { channel: arrays[`sources_${name}`][at], share: percent(arrays[`shares_${name}`][at]) });
  });
  return t('channel_map.note', { channel, from: listed(from) });
}

// A gate's weights: one number a channel, as a strip in their own order and as a curve in order of size.
import { drawAxes, drawDot, drawLine, axesOf } from '../../web/axes.js';
import { framed } from '../../web/frame.js';
import { readable } from '../../web/numbers.js';
import { drawPicture, picture } from '../../web/picture.js';
import { sortedOrder } from '../../web/statistics.js';
import { t } from './words.js';

const STRIP_PX = 22;
const GAP_PX = 8;

/** The gates of the mechanism name(); a click chooses a channel. */
export function gatesFigure(panel, name, on) {
  const { model, state } = panel;
  const gates = () => model.gates(name());
  const channels = model.facts.channels;
  const order = () => sortedOrder(gates(), true);
  const names = () => ({ x: t('gates.rank'), y: t('gates.axis') });
  const below = ({ width, height }) => ({ width, height: height - STRIP_PX - GAP_PX });
  return framed(panel.live, {
    draw(ctx, size, colours) {
      const shown = gates();
      const { width } = size;
      drawPicture(ctx, { width, height: STRIP_PX }, picture(shown, 1, channels, { table: 'viridis', low: 0, high: 1 }));
      const x = ((state.channel + 0.5) * width) / channels;
      ctx.fillStyle = colours.accent;
      ctx.beginPath();
      ctx.moveTo(x, STRIP_PX);
      ctx.lineTo(x - 5, STRIP_PX + GAP_PX);
      ctx.lineTo(x + 5, STRIP_PX + GAP_PX);
      ctx.fill();
      ctx.save();
      ctx.translate(0, STRIP_PX + GAP_PX);
      const ranked = order();
      const { sx, sy } = drawAxes(ctx, below(size), colours, [1, channels], [0, 1], names());
      drawLine(ctx, [sx(1), sy(0.5)], [sx(channels), sy(0.5)], colours.quiet, { dash: [4, 4] });
      ctx.strokeStyle = colours.text;
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      ranked.forEach((channel, rank) => ctx.lineTo(sx(rank + 1), sy(shown[channel])));
      ctx.stroke();
      drawDot(ctx, sx(ranked.indexOf(state.channel) + 1), sy(shown[state.channel]), 5, colours.accent);
      ctx.restore();
      return { table: 'viridis', low: 0, high: 1 };
    },
    items: order,
    start: () => state.channel,
    hit(px, py, size) {
      if (py < STRIP_PX + GAP_PX) return Math.max(0, Math.min(channels - 1, Math.floor((px / size.width) * channels)));
      const { box } = axesOf(below(size), [1, channels], [0, 1], names());
      const along = (px - box.left) / (box.right - box.left);
      return order()[Math.max(0, Math.min(channels - 1, Math.round(along * (channels - 1))))];
    },
    place(channel, size) {
      const { sx, sy } = axesOf(below(size), [1, channels], [0, 1], names());
      const rank = order().indexOf(channel) + 1;
      return [sx(rank) - 5, sy(gates()[channel]) + STRIP_PX + GAP_PX - 5, 10, 10];
    },
    describe: (channel) => t('tip.gate', {
      channel, gate: readable(gates()[channel]), rank: order().indexOf(channel) + 1, of: channels,
    }),
    pick: (channel) => panel.setChannel(channel),
    data: () => [{ key: 'channel', values: panel.channelRange() }, { key: 'gate', values: gates() }],
  }, {
    on: ['channel', ...on], bar: true, shows: 'weights',
    title: () => t('gates', { channels: readable(channels) }),
    caption: () => t('gates.note', {
      channel: state.channel, gate: readable(gates()[state.channel]),
      rank: order().indexOf(state.channel) + 1, of: channels,
    }),
  });
}

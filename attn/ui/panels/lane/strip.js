// The strip under the wall: every weight of the mechanism, the largest first.
import { makeFigure } from '../../web/figure.js';
import { t } from '../../web/texts.js';

const TOP = 4; // px left free above the tallest bar

/** Bars of what `weighed` gives, in their order: 0 … 1 of the full scale. */
export const heightsOf = ({ sorted, weights, high }) => sorted.map((one) => Math.max(0, Math.min(1, weights[one] / high)));

/**
 * The strip in `canvas`, a figure; `lane` is {now(): as of `weighed`, waiting(), name(), marked(one), pointAt(one),
 * choose(one)}.
 */
export function makeStrip(canvas, lane) {
  const count = () => lane.now()?.sorted.length ?? 0;
  const strip = makeFigure(canvas, {
    name: () => t('window.strip.channels', { name: lane.name() }),
    draw(context, { width, height }, colours) {
      const now = lane.now();
      if (!now || lane.waiting()) return;
      const bar = width / count();
      heightsOf(now).forEach((share, i) => {
        const high = share * (height - TOP);
        context.fillStyle = lane.marked(now.sorted[i]) ? colours.text : colours.accent;
        context.fillRect(i * bar, height - high, Math.max(1, bar - (bar > 3 ? 1 : 0)), high);
      });
      if (now.even) {
        const y = height - (now.even / now.high) * (height - TOP);
        context.strokeStyle = colours.text;
        context.setLineDash([4, 4]);
        context.strokeRect(0, y, width, 0);
      }
    },
    items: count,
    hit: (x, y, { width }) => (lane.now() && !lane.waiting() ? Math.max(0, Math.min(count() - 1, Math.floor((x / width) * count()))) : null),
    place: (i, { width, height }) => [(i * width) / count(), 0, Math.max(2, width / count()), height],
    describe: (i) => lane.now().describe(lane.now().sorted[i]),
    point: (i) => { if (!lane.now().positions) lane.pointAt(lane.now().sorted[i]); },
    pick: (i) => { if (!lane.now().positions) lane.choose(lane.now().sorted[i]); },
    data() {
      const { positions, sorted, weights } = lane.now();
      return [{ key: positions ? 'position' : 'channel', values: sorted }, { key: 'weight', values: sorted.map((one) => weights[one]) }];
    },
  });
  canvas.closest('.attn-pane-strip').append(...strip.nodes);
  return strip;
}

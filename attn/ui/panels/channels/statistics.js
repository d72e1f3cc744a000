// One statistic of every channel, after against before.
import { framed } from '../../web/frame.js';
import { dotsFigure } from '../../web/plots.js';
import { h } from '../../web/reactive.js';
import { extent } from '../../web/statistics.js';
import { listed } from '../../web/texts.js';
import { STATISTICS } from './choices.js';
import { statisticText, t } from './words.js';

/** A dot a channel, with the statistic to choose; on the dashed line nothing changed. */
export function statisticsFigure(panel) {
  const { live, model, state } = panel;
  const values = (side) => model.stat(panel.subject(), `${state.statistic}_${side}`);
  const range = () => extent(values('before'), values('after'));
  const describe = (channel) => t('statistics.note', {
    channel,
    before: statisticText(state.statistic, values('before')[channel]),
    after: statisticText(state.statistic, values('after')[channel]),
  });
  const plot = framed(live, dotsFigure({
    xs: () => values('before'), ys: () => values('after'), chosen: () => state.channel,
    ranges: () => [range(), range()],
    lines: () => {
      const [low, high] = range();
      return [{ from: [low, low], to: [high, high], dash: [4, 4] }];
    },
    x: () => listed([t(`column.${state.statistic}`), t('before')]), y: () => t('after'),
    describe,
    pick: (channel) => panel.setChannel(channel),
  }), {
    on: ['columns', 'subject', 'channel', 'statistic'], ratio: '1.1', title: () => t('statistics.plot'),
    caption: () => describe(state.channel),
  });
  const select = h('select', {
    change: () => {
      state.statistic = select.value;
      live.update('statistic');
    },
  }, STATISTICS.map((s) => h('option', { value: s, selected: s === state.statistic }, t(`column.${s}`))));
  return h('div', {}, h('label', { class: 'inline' }, t('statistics.choose'), ' ', select), plot);
}

// The channels whose share of the energy rose or fell most, as buttons.
import { signedPercent } from '../../web/numbers.js';
import { h } from '../../web/reactive.js';
import { rich } from '../../web/rich.js';
import { sortedOrder } from '../../web/statistics.js';
import { t } from './words.js';

const COUNT = 5;

/** `direction`: raised or lowered. */
export function movers(panel, direction) {
  const { live, model, state } = panel;
  const raised = direction === 'raised';
  const list = h('ol');
  live.when(['columns', 'subject', 'channel'], () => {
    const shift = model.stat(panel.subject(), 'importance_shift');
    const order = sortedOrder(shift, raised)
      .filter((channel) => (raised ? shift[channel] > 0 : shift[channel] < 0)).slice(0, COUNT);
    const item = (channel) => h('li', {}, h('button', {
      type: 'button', 'aria-pressed': String(channel === state.channel), click: () => panel.setChannel(channel),
    }, h('b', {}, `#${channel}`), ` ${signedPercent(shift[channel])}`));
    list.replaceChildren(...(order.length ? order.map(item) : [h('li', { class: 'note' }, t('movers.none'))]));
  });
  return h('div', { class: `movers ${direction}` }, h('h3', {}, rich(t(`movers.${direction}`))), list);
}

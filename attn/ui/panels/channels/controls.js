// What is chosen by hand: the channel, the mechanism, and which lane the table shows.
import { h } from '../../web/reactive.js';
import { shortOf, t, titleOf } from './words.js';

/** A channel by number, or the next one. */
export function channelStepper(panel) {
  const { live, model, state } = panel;
  const last = model.facts.channels - 1;
  const input = h('input', {
    type: 'number', min: 0, max: last, 'aria-label': t('channel.number'),
    change: () => {
      panel.setChannel(Math.max(0, Math.min(last, Math.round(Number(input.value)) || 0)));
      input.value = state.channel;
    },
  });
  live.when(['channel'], () => { input.value = state.channel; });
  const step = (by, text, label) => h('button', {
    type: 'button', 'aria-label': label, click: () => panel.setChannel((state.channel + by + last + 1) % (last + 1)),
  }, text);
  return h('div', { class: 'stepper' }, h('span', {}, t('channel')), step(-1, '‹', t('channel.previous')), input,
    step(1, '›', t('channel.next')), h('span', { class: 'note' }, t('channel.of', { last })));
}

/** One of the channel mechanisms. */
export function mechanismChoice({ live, model, state, setMechanism }) {
  const others = Object.values(model.mechanisms).filter(({ name }) => name !== 'spatial');
  return live.choice(t('mechanism'), others.map((one) => ({ value: one.name, label: () => shortOf(one) })),
    () => state.mechanism, setMechanism, ['mechanism']);
}

/** Whose "after" is shown. */
export function laneChoice({ live, model, state, setLane }) {
  return live.choice(t('lane'), [
    { value: 'left', label: () => titleOf(model.mechanisms.spatial) },
    { value: 'right', label: () => titleOf(model.mechanisms[state.mechanism]) },
  ], () => state.lane, setLane, ['lane', 'mechanism']);
}

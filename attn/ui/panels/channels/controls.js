// What is chosen by hand: the channel, and which column the table and the chosen channel show.
import { h } from '../../web/reactive.js';
import { shortOf, t } from './words.js';

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

/** Whose "after" is shown. */
export function subjectChoice({ live, model, state, setSubject }) {
  return live.choice(t('lane'), state.columns.map((_, at) => ({
    value: `column:${at}`, label: () => shortOf(model.mechanisms[state.columns[at]]),
  })), () => `column:${state.subject}`, (value) => setSubject(Number(value.split(':')[1])), ['subject', 'columns']);
}

// One question of a step: the reader says what they expect, then the step says what there is to see.
import { h } from '../../web/reactive.js';
import { rich } from '../../web/rich.js';

/** `answered(choice)`: the number of the option, or null for "show me". */
export function question({ step, say, choice, answered }) {
  const options = Array.from({ length: step.options }, (_, n) => n);
  const button = (label, value) => h('button', {
    type: 'button', 'aria-pressed': String(choice === value), 'data-right': choice !== undefined && value === step.right,
    click: () => answered(value),
  }, label);
  const reveal = h('div', { class: 'st-reveal', 'aria-live': 'polite' });
  if (choice !== undefined) {
    const verdict = choice === null ? 'unsure' : choice === step.right ? 'right' : 'other';
    reveal.append(h('strong', {}, say(`verdict.${verdict}`)), h('p', {}, rich(say(`${step.id}.reveal`))));
  }
  return h('div', { class: 'st-question', 'data-answered': choice !== undefined },
    h('div', { class: 'st-options', role: 'group', 'aria-label': say('predict') },
      options.map((n) => button(say(`${step.id}.option.${n + 1}`), n)), button(say('unsure'), null)),
    reveal);
}

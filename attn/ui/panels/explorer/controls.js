// The controls beside the map: what each shows of the view, what it changes, and its read-out.
import { fixed, percent } from '../../web/numbers.js';
import { t } from '../../web/texts.js';
import { CHOICES } from '../../web/view.js';
import { isSmooth } from './paint.js';
import { SHARE } from './readouts.js';

const choice = (name) => ({ show: (view) => view[name], take: (view, value) => { view[name] = value; } });

const SETTINGS = {
  direction: choice('direction'),
  scale: choice('scale'),
  colormap: choice('colormap'),
  smooth: {
    show: (view, grid) => isSmooth(view, grid),
    take: (view, on) => { view.smooth = on; },
  },
  fixed: choice('fixed'),
  opacity: {
    show: (view) => view.opacity,
    take: (view, value) => { view.opacity = Number(value); },
    read: (view) => percent(view.opacity, 0),
  },
  temperature: {
    show: (view) => Math.log2(view.temperature),
    take: (view, value) => { view.temperature = Number((2 ** value).toFixed(3)); }, // as in links
    read: (view) => fixed(view.temperature, 2),
  },
  share: {
    show: (view) => Math.round(100 * (view.share || SHARE)),
    take: (view, value) => { view.share = value / 100; },
    read: (view) => percent(view.share || SHARE, 0),
  },
  masked: { show: (view) => view.share > 0, take: (view, on) => { view.share = on ? SHARE : 0; } },
};

/** The options of every choice, in the language in use. */
export function nameChoices(root) {
  for (const name of Object.keys(CHOICES)) {
    const options = CHOICES[name].map((value) => new Option(t(`explorer.${name}.${value}`), value));
    root.querySelector(`select[data-set=${name}]`).replaceChildren(...options);
  }
}

/** Shows the view of a map of this grid [rows, cols] in the controls. */
export function writeControls(root, view, grid) {
  for (const control of root.querySelectorAll('[data-set]')) {
    const { show, read } = SETTINGS[control.dataset.set];
    control[control.type === 'checkbox' ? 'checked' : 'value'] = show(view, grid);
    if (read) control.nextElementSibling.textContent = read(view);
  }
  root.querySelector('[data-set=opacity]').disabled = view.colormap === 'light';
}

/** Takes a control's value into the view; gives its name, or null where the event is of no control. */
export function takeControl(event, view) {
  const control = event.target.closest('[data-set]');
  if (!control) return null;
  SETTINGS[control.dataset.set].take(view, control.type === 'checkbox' ? control.checked : control.value);
  return control.dataset.set;
}

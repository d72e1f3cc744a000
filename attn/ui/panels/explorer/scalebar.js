// The colour bar under the map: its colours, its ticks and what it is the unit of.
import { colourise } from '../../web/colourise.js';
import { fixed, signed } from '../../web/numbers.js';
import { language, t } from '../../web/texts.js';
import { lightRampPixels } from '../../web/light.js';
import { isLight, tableFor } from './paint.js';

const short = (value) => fixed(value, value >= 10 || Number.isInteger(value) ? 0 : value >= 1 ? 1 : 2);

/** A function that writes the bar into `root` whenever what it says has changed. */
export function makeScaleBar(root) {
  const find = (selector) => root.querySelector(selector);
  let drawn = '';
  return (scale, isSigned, { view, comparing, shared }) => {
    const key = JSON.stringify([scale, isSigned, view.colormap, language(), view.direction, comparing, shared]);
    if (key === drawn) return;
    drawn = key;
    const bar = find('.ax-scale canvas').getContext('2d');
    const pixels = bar.createImageData(256, 1);
    const ramp = Float32Array.from({ length: 256 }, (_, level) => level / 255);
    if (isLight(isSigned, view)) lightRampPixels(ramp, pixels.data);
    else colourise(ramp, { low: 0, high: 1, log: false }, tableFor(isSigned, view), pixels.data);
    bar.putImageData(pixels, 0, 0);
    const open = view.scale !== 'linear' || shared; // larger values take the last colour
    find('.ax-ticks').replaceChildren(...ticksOf(scale, isSigned).map(({ value, place }) => {
      const tick = document.createElement('span');
      const ends = open && value === scale.high ? '≥ ' : open && scale.low && value === scale.low ? '≤ ' : '';
      tick.textContent = ends + (isSigned ? signed(value, Number.isInteger(value) ? 0 : 1) : short(value));
      tick.style.left = `${100 * place}%`;
      return tick;
    }));
    find('.ax-unit').textContent = t(`explorer.unit.${comparing ? 'difference' : view.direction}`);
  };
}

/** Where a scale has its ticks: [{value, place}], place in 0 … 1 along the bar. */
export function ticksOf({ low, high, log }, isSigned) {
  const values = log ? [0.01, 0.1, 1, 10, 100] : isSigned ? [low, low / 2, 0, high / 2, high] : [0, high / 2, high];
  if (!log && !isSigned && high > 3 && high < 20) values.splice(1, 0, 1); // uniform attention's own place
  const place = (value) => (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
  return values.map((value) => ({ value, place: place(value) }));
}

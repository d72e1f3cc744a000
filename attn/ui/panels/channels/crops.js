// Pieces of the photograph where the chosen channel is strongest.
import { readable } from '../../web/numbers.js';
import { h } from '../../web/reactive.js';
import { sameSpot } from '../../web/cell.js';
import { topPositions } from './model.js';
import { cellText, t } from './words.js';

const COUNT = 4;
const CELLS = 5; // wide
const SIDE_PX = 128;

/** Where the chosen channel is strongest before the mechanism: [{row, col, value}]. */
export const topPlaces = ({ model, state }) =>
  topPositions(model.before(state.channel), model.facts.maps_grid[1], COUNT, 1);

/** The pieces, each a button that makes its place the query. */
export function crops(panel) {
  const { live, model, photo, state } = panel;
  const [rows, cols] = model.facts.maps_grid;
  const { naturalWidth: width, naturalHeight: height } = photo.image;
  const side = Math.min(CELLS * Math.max(width / cols, height / rows), width, height);
  const list = h('ol');
  const piece = (place, i, mean) => {
    const label = t('crop.label', { at: cellText(place) });
    const canvas = h('canvas', { width: SIDE_PX, height: SIDE_PX, role: 'img', 'aria-label': label });
    const left = Math.max(0, Math.min(width - side, ((place.col + 0.5) * width) / cols - side / 2));
    const top = Math.max(0, Math.min(height - side, ((place.row + 0.5) * height) / rows - side / 2));
    canvas.getContext('2d').drawImage(photo.image, left, top, side, side, 0, 0, SIDE_PX, SIDE_PX);
    const ask = () => panel.setQuery(...sameSpot({ ...place, rows, cols }, model.facts.grid));
    return h('li', {}, h('button', { type: 'button', title: t('crop.point'), click: ask }, canvas),
      h('span', {}, h('b', {}, String(i + 1)), ` ${readable(place.value)}`,
        h('small', {}, mean > 0 ? t('crop.times', { times: readable(place.value / mean) }) : '')));
  };
  live.when(['channel'], () => {
    const mean = model.stat('spatial', 'mean_before')[state.channel];
    const places = topPlaces(panel);
    list.replaceChildren(...(places.length ? places.map((place, i) => piece(place, i, mean))
      : [h('li', { class: 'note' }, t('crops.none'))]));
  });
  return h('figure', { class: 'crops' }, h('figcaption', {}, h('span', { class: 'title' }, t('crops'))), list,
    h('p', { class: 'note' }, t('crops.note', { cells: CELLS })));
}

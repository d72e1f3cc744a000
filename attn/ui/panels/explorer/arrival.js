// How a map arrives: one query's row with the value, then, once it is painted and somebody is there to point, the factors
// of all queries.
import { fetchLogits } from '../../web/arrays.js';
import { tellMap } from '../../web/current.js';
import { fetchImage } from '../../web/fetch.js';
import { somebody } from '../../web/hand.js';
import { logitsOf } from '../../web/logits.js';
import { t } from '../../web/texts.js';

const REST_MS = 30000; // as long as a busy server may take
const AGAIN_MS = 2000;

/** Calls `then` once what was drawn last is painted, and a frame is over in which it was: what follows takes long. */
export const afterPaint = (then) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(then)));

/**
 * `show(value, image, whole)` shows a map, `counted(overlap)` tells what its queries have in common, and `completed()`
 * follows when all of them are here; `showRow({row, tolerance})` is for one that is pointed at before.
 */
export function makeArrival(root, state, host, { show, rowSuffices, schedule, counted, completed, showRow }) {
  const find = (selector) => root.querySelector(selector);
  const stage = find('.ax-stage');
  let loads = 0;
  let rest = null; // {value, tries, timer, lost}: the map whose arrays are on their way

  function ask(value, tries = 1) {
    settle();
    rest = { value, tries, timer: setTimeout(lose, REST_MS), lost: false };
    host.trigger('rest', { key: value.key });
  }

  function settle() {
    clearTimeout(rest?.timer);
    rest = null;
  }

  // In vain: once more, then it is said.
  function lose(value = rest?.value) {
    if (!value) return;
    const { tries } = rest ?? { tries: 1 };
    settle();
    rest = { value, tries, lost: tries > 1 };
    if (!rest.lost) rest.timer = setTimeout(() => ask(value, tries + 1), AGAIN_MS);
    else if (value.key === state.data?.key) schedule();
    else {
      root.dataset.state = 'error';
      find('.ax-notice').textContent = t('explorer.failed');
      if (!state.data) tellMap('');
    }
  }

  async function load(value) {
    if (value?.state === 'lacking') {
      lose();
      return;
    }
    if (value?.state === 'rest') {
      if (value.key !== rest?.value.key) return; // of a map that is shown no more
      clearTimeout(rest.timer);
      const { arrays, tolerance, checked, overlap = null } = value;
      value = { ...rest.value, arrays, tolerance, checked, overlap };
      if (state.data && !state.data.factors && value.key === state.data.key) {
        counted(overlap);
        await complete(value, state.data);
        return;
      }
    }
    const run = ++loads;
    if (!value) {
      if (!state.data) root.dataset.state = 'empty';
      return;
    }
    const notice = find('.ax-notice');
    if (value.state !== 'ready') {
      root.dataset.state = value.state;
      notice.textContent = t(value.message);
      if (!state.data) tellMap(''); // nobody need wait for one
      return;
    }
    root.dataset.state = 'loading';
    notice.textContent = state.data ? '' : t('explorer.loading');
    if (!state.data) stage.style.setProperty('--aspect', value.size[0] / value.size[1]);
    try {
      const image = await fetchImage(value.image.url);
      if (run !== loads) return;
      const { data } = state;
      if (!value.arrays && data?.factors && value.key && value.key === data.key) show(value, image, data);
      else if (rowSuffices(value)) {
        show(value, image);
        const now = state.data;
        if (value.arrays) afterPaint(() => complete(value, now));
      } else if (value.arrays) {
        const factors = await fetchLogits(value.arrays.url);
        if (run === loads) show(value, image, { ...value, factors });
      } else ask(value);
    } catch (error) {
      if (run !== loads) return;
      root.dataset.state = 'error';
      notice.textContent = t('explorer.failed');
      if (!state.data) tellMap('');
      console.error(error);
    }
  }

  // All queries of the map that is shown, `data`, if it is then, and once there is somebody to point at it.
  async function complete(value, data) {
    const waited = () => !rest || rest.value.key === data.key; // else another map's have been asked for since
    try {
      await somebody;
      if (state.data !== data) return;
      const factors = await fetchLogits(value.arrays.url);
      if (state.data !== data) return;
      if (waited()) settle();
      const { tolerance, checked } = value;
      Object.assign(data, { factors, source: logitsOf(factors), tolerance, checked });
      completed();
    } catch (error) {
      console.error(error);
      if (state.data === data && waited()) lose(value);
    }
  }

  // One at a time: when it is here, the pointer may be elsewhere, and that one is asked for.
  async function askRow([row, col]) {
    const { data } = state;
    if (data.asking || !data.key) return;
    data.asking = true;
    try {
      const response = await fetch(new URL(`../../../../rows/${data.key}/${row}.${col}`, import.meta.url));
      if (!response.ok) return; // nor will another: the arrays are waited for
      const one = await response.json();
      data.asking = false;
      if (state.data === data && !data.factors) showRow(one);
    } catch (error) {
      console.error(error);
    }
  }

  return { load, ask, askRow, settle, lost: () => Boolean(rest?.lost), begun: () => loads > 0 };
}

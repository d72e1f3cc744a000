// The pass over all queries, which every direction but one query's own map needs: in the background, one at a time.
import { inBackground } from '../../web/background.js';

const UNASKED = 4096; // up to this many positions it runs without being asked for

/** Keeps `state.all` in step with the data and the temperature; `ax`: schedule, refresh. */
export function makePass(state, ax) {
  let controller = null;

  // It comes with the map, or after it, for its own temperature.
  const known = () => (state.view.temperature === 1 ? state.data.overlap : null);

  function start() {
    controller?.abort();
    controller = new AbortController();
    const { signal } = controller;
    const { data, view } = state;
    state.all = null;
    state.overlap = known();
    state.progress = 0;
    inBackground('sweep', { factors: data.factors, temperature: view.temperature }, {
      signal,
      progress(share) {
        state.progress = share;
        if (ax.waiting()) ax.schedule();
      },
    }).then((all) => {
      if (signal.aborted) return null;
      state.all = all;
      ax.refresh();
      if (state.overlap !== null) return state.overlap;
      const { logSumExp } = all;
      return inBackground('meanOverlap', { factors: data.factors, temperature: view.temperature, logSumExp }, { signal });
    }).then((overlap) => {
      if (signal.aborted) return;
      controller = null;
      state.overlap = overlap;
      ax.schedule();
    }, (error) => {
      if (!signal.aborted) console.error(error);
    });
  }

  return {
    /** The data or the temperature are others: what was found out is no longer so. Without all queries it waits for them. */
    renew() {
      controller?.abort();
      controller = null;
      state.all = null;
      state.overlap = known();
      if (state.data.factors && (state.data.source.n <= UNASKED || ax.waiting())) start();
    },
    /** Something needs it: it runs, if it does not already. */
    ask() {
      if (state.data.factors && !state.all && !controller) start();
    },
  };
}

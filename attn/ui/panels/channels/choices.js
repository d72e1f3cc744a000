// What the panel's pieces share: the data, what is chosen, and how that changes. Every piece takes it first:
//   live (reactive()), model, photo {image, grey}, state {mechanism, lane, channel, query, statistic, sort}
// `state` changes through the setters alone, which tell the other panels. What depends on a choice is written anew when
// its name changes in `live`: mechanism, lane, channel, query, statistic.
import { reactive } from '../../web/reactive.js';
import { emit } from '../../web/services.js';
import { extent, peakOf } from '../../web/statistics.js';

export const STATISTICS = ['mean', 'std', 'min', 'max', 'sparsity', 'energy_share'];

/** The choices of the panel in `root`; `source` is its name among those that tell. */
export function makeChoices(root, source) {
  const panel = {
    root,
    live: reactive(),
    model: null,
    photo: null,
    state: {
      mechanism: 'se',
      lane: 'right', // whose statistics the table and the chosen channel show
      channel: null,
      query: null,
      statistic: 'mean',
      sort: { key: 'change_norm', descending: true },
    },

    setQuery(row, col, tell = true) {
      const { state, model } = panel;
      const [rows, cols] = model.facts.grid;
      const query = { row: Math.max(0, Math.min(rows - 1, row)), col: Math.max(0, Math.min(cols - 1, col)) };
      if (state.query?.row === query.row && state.query?.col === query.col) return;
      state.query = query;
      Object.assign(root.dataset, query);
      panel.live.update('query');
      if (tell) emit('attn:query', { source, ...query, rows, cols });
    },

    setChannel(channel, tell = true) {
      if (!(channel >= 0 && channel < panel.model.facts.channels) || channel === panel.state.channel) return;
      panel.state.channel = channel;
      root.dataset.channel = channel;
      panel.live.update('channel');
      if (tell) emit('attn:channel', { source, channel });
    },

    setMechanism(name, tell = true) {
      if (!(name in panel.model.mechanisms) || name === 'spatial' || name === panel.state.mechanism) return;
      panel.state.mechanism = name;
      root.dataset.mechanism = name;
      panel.live.update('mechanism');
      if (tell) emit('attn:mechanism', { source, name });
    },

    setLane(lane) {
      panel.state.lane = lane;
      panel.live.update('lane');
    },

    /** The mechanism that the table and the chosen channel show. */
    subject: () => (panel.state.lane === 'left' ? 'spatial' : panel.state.mechanism),
    queryIndex: () => panel.state.query.row * panel.model.facts.grid[1] + panel.state.query.col,
    queryCell: () => [panel.state.query.row, panel.state.query.col],
    channelRange: () => Array.from({ length: panel.model.facts.channels }, (_, i) => i),
    ratio: () => String(panel.model.facts.image_size[1] / panel.model.facts.image_size[0]),
  };
  return panel;
}

/** Zero to the greatest value. */
export const fromZero = (table, unit) => (values) => ({ table, low: 0, high: extent(values)[1], unit });

/** For changes: the same to both sides of zero. */
export function aroundZero(values) {
  const peak = peakOf(values);
  return { table: 'diverging', low: -peak, high: peak };
}

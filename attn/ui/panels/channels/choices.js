// What the panel's pieces share: the data, what is chosen, and how that changes. Every piece takes it first:
//   live (reactive()), model, photo {image, grey}, state {columns, subject, channel, query, statistic, sort, measured}
// `state` changes through the setters alone, which tell the other panels. What depends on a choice is written anew when
// its name changes in `live`: "column:0" …, "columns" (any of them), subject, channel, query, statistic, measured.
import { reactive } from '../../web/reactive.js';
import { emit } from '../../web/services.js';
import { extent, peakOf } from '../../web/statistics.js';

export const STATISTICS = ['mean', 'std', 'min', 'max', 'sparsity', 'energy_share'];
export const FEWEST_COLUMNS = 2;
export const MOST_COLUMNS = 4;

/** The choices of the panel in `root`; `source` is its name among those that tell. rebuild() makes the panel anew. */
export function makeChoices(root, source, rebuild) {
  const panel = {
    root,
    live: reactive(),
    model: null,
    photo: null,
    state: {
      columns: ['spatial', 'se'], // a mechanism each
      subject: 1, // the column whose statistics the table and the chosen channel show
      channel: null,
      query: null,
      statistic: 'mean',
      sort: { key: 'change_norm', descending: true },
      measured: null, // which record of the measured figures
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

    /** Shows another mechanism in a column; all that it needs is here. */
    setColumn(at, name, tell = true) {
      const { columns } = panel.state;
      if (!(name in panel.model.mechanisms) || !(at in columns) || columns[at] === name) return;
      columns[at] = name;
      root.dataset.columns = columns.join(' ');
      panel.live.update(`column:${at}`, 'columns');
      if (tell) emit('attn:mechanism', { source, name });
    },

    addColumn() {
      const { columns } = panel.state;
      if (columns.length >= MOST_COLUMNS) return;
      columns.push(Object.keys(panel.model.mechanisms).find((name) => !columns.includes(name)) ?? columns[0]);
      root.dataset.columns = columns.join(' ');
      rebuild();
    },

    removeColumn(at) {
      const { columns } = panel.state;
      if (columns.length <= FEWEST_COLUMNS) return;
      columns.splice(at, 1);
      panel.state.subject = Math.min(panel.state.subject, columns.length - 1);
      root.dataset.columns = columns.join(' ');
      rebuild();
    },

    setSubject(at) {
      panel.state.subject = at;
      panel.live.update('subject');
    },

    /** What another panel shows is shown here, too: in a column already, else in the first for channels. */
    follow(name) {
      const { columns } = panel.state;
      if (columns.includes(name) || name === 'spatial') return;
      const at = columns.findIndex((one) => one !== 'spatial');
      panel.setColumn(at < 0 ? columns.length - 1 : at, name, false);
    },

    /** The mechanism that the table and the chosen channel show. */
    subject: () => panel.state.columns[panel.state.subject],
    /** For what is on one scale in all columns: `valuesOf(name)` of each mechanism shown. */
    each: (valuesOf) => panel.state.columns.map(valuesOf),
    queryIndex: () => panel.state.query.row * panel.model.facts.grid[1] + panel.state.query.col,
    queryCell: () => [panel.state.query.row, panel.state.query.col],
    channelRange: () => Array.from({ length: panel.model.facts.channels }, (_, i) => i),
    ratio: () => String(panel.model.facts.image_size[1] / panel.model.facts.image_size[0]),
  };
  return panel;
}

/** Zero to the greatest of some lists' values. */
export const fromZero = (table, lists) => ({ table, low: 0, high: extent(...lists)[1] });

/** For changes: the same to both sides of zero. */
export function aroundZero(...lists) {
  const peak = Math.max(...lists.map(peakOf));
  return { table: 'diverging', low: -peak, high: peak };
}

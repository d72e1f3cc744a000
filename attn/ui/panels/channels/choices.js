// What the panel's pieces share: the data, what is chosen, and how that changes. Every piece takes it first:
//   live (reactive()), model, photo {image, grey}, state {columns, subject, channel, picked, query, statistic, sort, measured}
// `state` changes through the setters alone, which tell the other panels. What depends on a choice is written anew when
// its name changes in `live`: "column:0" …, "columns" (any of them), subject, channel, query, statistic, measured.
import { asked, remember } from '../../web/address.js';
import { reactive } from '../../web/reactive.js';
import { emit } from '../../web/services.js';
import { extent, peakOf } from '../../web/statistics.js';
import { FEWEST_COLUMNS, MOST_COLUMNS, partsOf, stateOf } from './linked.js';

export const STATISTICS = ['mean', 'std', 'min', 'max', 'sparsity', 'energy_share'];

/** The choices of the panel in `root`; `source` is its name among those that tell. rebuild() makes the panel anew. */
export function makeChoices(root, source, rebuild) {
  // What of it a link holds.
  const link = () => {
    root.dataset.columns = panel.state.columns.join(' ');
    remember(partsOf(panel.state, asked()));
  };
  const panel = {
    root,
    live: reactive(),
    model: null,
    photo: null,
    // columns: a mechanism each; subject: the column whose statistics the table and the chosen channel show; sort: of the
    // table; picked: the channel was chosen, by somebody or a link; measured: which record of the measured figures.
    state: { query: null, statistic: 'mean', measured: null, ...stateOf(asked()) },
    link,

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
      Object.assign(panel.state, { channel, picked: true });
      root.dataset.channel = channel;
      panel.live.update('channel');
      if (!tell) return;
      remember({ channel });
      emit('attn:channel', { source, channel });
    },

    /** Shows another mechanism in a column; all that it needs is here. */
    setColumn(at, name, tell = true) {
      const { columns } = panel.state;
      if (!(name in panel.model.mechanisms) || !(at in columns) || columns[at] === name) return;
      columns[at] = name;
      link();
      panel.live.update(`column:${at}`, 'columns');
      if (tell) emit('attn:mechanism', { source, name });
    },

    addColumn() {
      const { columns } = panel.state;
      if (columns.length >= MOST_COLUMNS) return;
      columns.push(Object.keys(panel.model.mechanisms).find((name) => !columns.includes(name)) ?? columns[0]);
      link();
      rebuild();
    },

    removeColumn(at) {
      const { columns } = panel.state;
      if (columns.length <= FEWEST_COLUMNS) return;
      columns.splice(at, 1);
      panel.state.subject = Math.min(panel.state.subject, columns.length - 1);
      link();
      rebuild();
    },

    setSubject(at) {
      panel.state.subject = at;
      link();
      panel.live.update('subject');
    },

    setSort(sort) {
      panel.state.sort = sort;
      link();
    },

    /** What another panel shows is shown here, too: in a column already, else in the first for channels. */
    follow(name) {
      const { columns } = panel.state;
      if (columns.includes(name) || name === 'spatial') return;
      const first = columns.findIndex((one) => one !== 'spatial');
      const at = first < 0 ? columns.length - 1 : first;
      if (panel.model) panel.setColumn(at, name, false);
      else {
        columns[at] = name; // said before the arrays are here
        link();
      }
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

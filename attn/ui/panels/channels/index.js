// The bench: two to four mechanisms on the same features, side by side, and every channel before and after. All of it is
// drawn from one file of arrays, so that pointing, choosing, sorting and another mechanism for a column ask no server.
import { asked, onAsked } from '../../web/address.js';
import { fetchArrays, fetchLogits } from '../../web/arrays.js';
import { sameSpot } from '../../web/cell.js';
import { markStale } from '../../web/current.js';
import { fetchImage } from '../../web/fetch.js';
import { foldable } from '../../web/fold.js';
import { logitsOf } from '../../web/logits.js';
import { readable } from '../../web/numbers.js';
import { whenOpened } from '../../web/opened.js';
import { greyOf } from '../../web/picture.js';
import { h } from '../../web/reactive.js';
import { rich } from '../../web/rich.js';
import { latest, on, onSpoken } from '../../web/services.js';
import { pause } from '../../web/slices.js';
import { sortedOrder } from '../../web/statistics.js';
import { language, loadTexts, t as text } from '../../web/texts.js';
import { onLooks } from '../../web/theme.js';
import { buys } from './buys.js';
import { makeChoices } from './choices.js';
import { chosenChannel } from './chosen.js';
import { colours } from './colours.js';
import { columns } from './column.js';
import { channelStepper, subjectChoice } from './controls.js';
import { correlations } from './correlation.js';
import { costs } from './costs.js';
import { stateOf } from './linked.js';
import { channelsModel } from './model.js';
import { movers } from './movers.js';
import { statisticsFigure } from './statistics.js';
import { channelTable } from './table.js';
import { b, t } from './words.js';

const SOURCE = 'channels';

export async function mount(element, host) {
  await loadTexts('channels', 'bench', 'story', 'page'); // names of rows and details are theirs
  const root = element.querySelector('.attn-channels');
  const panel = makeChoices(root, SOURCE, () => build());
  const opened = whenOpened(root, load);
  const checkStale = markStale(root, () => panel.key);
  const say = (key) => root.replaceChildren(h('p', { class: 'note' }, t(key)));
  let turn = 0;
  let builds = 0;

  async function load() {
    const mine = ++turn;
    const { value } = host;
    if (!value?.arrays) {
      panel.model = null;
      root.dataset.state = 'empty';
      say('empty');
      return;
    }
    root.dataset.state = 'loading'; // what was shown stays until the new is there
    try {
      const [arrays, factors, image] = await Promise.all([
        fetchArrays(value.arrays.url), fetchLogits(value.logits.url), fetchImage(value.image.url),
      ]);
      if (mine !== turn) return;
      panel.key = value.key;
      panel.model = channelsModel(JSON.parse(value.facts), arrays, logitsOf(factors));
      panel.photo = { image, grey: greyOf(image) };
      choose(panel);
      await build({ sliced: true });
      if (mine === turn) root.dataset.state = 'ready';
    } catch (error) {
      if (mine !== turn) return;
      root.dataset.state = 'error';
      if (!panel.model) say('error');
      console.error(error);
    }
  }

  // What arrives is built a section a task: all together they would hold the page up while it opens.
  async function build({ sliced = false } = {}) {
    const mine = ++builds;
    panel.live.clear();
    const made = [];
    for (const [at, section] of SECTIONS.entries()) {
      made.push(foldable(section(panel), `channels.${at}`, { open: at === 0 }));
      if (sliced) await pause();
      if (mine !== builds) return;
    }
    root.lang = text('language.tag');
    root.replaceChildren(...made);
    checkStale();
    panel.live.update('all');
    await panel.live.flush();
  }

  // What is said before the arrays are here is kept for them.
  on(root, 'attn:query', (query) => {
    if (query.source !== SOURCE && panel.model) panel.setQuery(...sameSpot(query, panel.model.facts.grid), false);
  });
  on(root, 'attn:channel', ({ source, channel }) => {
    if (source === SOURCE) return;
    if (panel.model) panel.setChannel(channel, false);
    else Object.assign(panel.state, { channel, picked: true });
  });
  on(root, 'attn:mechanism', ({ source, name }) => {
    if (source !== SOURCE) panel.follow(name);
  });
  // Back or forward: what the address names is shown, the rest stays.
  onAsked(root, (now) => {
    const { channel, picked, ...wanted } = stateOf(now);
    Object.assign(panel.state, wanted, picked ? { channel, picked } : {});
    if (!panel.model) return;
    choose(panel);
    build();
  });
  onSpoken(root, () => (panel.model ? build() : say('empty')));
  onLooks(root, () => { if (panel.model) panel.live.update('all'); });
  host.watch(opened);
  if (!host.value) load();
  opened();
}

// The query is where the other panels have it; a channel that was chosen and the columns stay, if there are such.
function choose({ model, state, root }) {
  const { grid, channels } = model.facts;
  const told = latest('attn:query');
  const [row, col] = told ? sameSpot(told, grid) : grid.map((side) => side >> 1);
  state.query = { row, col };
  state.picked &&= state.channel < channels && 'channel' in asked(); // with another photograph it is chosen no more
  if (!state.picked) [state.channel] = sortedOrder(model.arrays.stats_std_before, true);
  const names = Object.keys(model.mechanisms);
  state.columns = state.columns.map((name, at) => (names.includes(name) ? name : names[at % names.length]));
  state.measured = null;
  Object.assign(root.dataset, { row, col, channel: state.channel, columns: state.columns.join(' ') });
}

const SECTIONS = [
  (panel) => h('section', {}, h('h2', {}, b('columns')), leadOf(panel), ...remarks(panel.model),
    h('div', { class: 'controls' }, channelStepper(panel)), columns(panel)),
  colours,
  buys,
  (panel) => h('section', {}, h('h2', {}, t('statistics')),
    h('div', { class: 'controls' }, subjectChoice(panel)),
    h('p', { class: 'note' }, rich(t('trap'))),
    h('div', { class: 'statistics' },
      h('div', { class: 'side' }, movers(panel, 'raised'), movers(panel, 'lowered'), statisticsFigure(panel)),
      channelTable(panel))),
  (panel) => h('section', {}, chosenHeading(panel),
    h('div', { class: 'controls' }, channelStepper(panel), subjectChoice(panel)),
    pooledNote(panel.model), chosenChannel(panel)),
  correlations,
  costs,
];

const chosenHeading = ({ live, state }) =>
  h('h2', {}, live.live(['channel'], () => t('chosen', { channel: state.channel }), 'span'));

function leadOf({ model: { facts, mechanisms } }) {
  const [rows, cols] = facts.grid;
  return h('p', { class: 'lead' }, rich(b('lead', {
    positions: readable(rows * cols), channels: readable(facts.channels),
    divergence: readable(mechanisms.spatial.specificity[0]),
  })));
}

/** What must be said of modules that somebody brought: that one failed, or that its weights cannot be seen. */
function remarks({ facts }) {
  return facts.remarks.map((said) => h('p', { class: 'note', 'data-remark': '' }, said[language()] ?? said.en));
}

function pooledNote({ facts: { grid: [rows, cols], maps_grid: [drawnRows, drawnCols] } }) {
  if (drawnRows === rows) return null;
  return h('p', { class: 'note' }, t('pooled', { rows: drawnRows, cols: drawnCols, full: rows, full2: cols }));
}

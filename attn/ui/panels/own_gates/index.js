// A network's own channel attention: an opt-in download, then the gates of each of its SE blocks on this photograph.
import { fetchArrays } from '../../web/arrays.js';
import { markStale } from '../../web/current.js';
import { framed } from '../../web/frame.js';
import { percent, readable } from '../../web/numbers.js';
import { whenOpened } from '../../web/opened.js';
import { curvesFigure } from '../../web/plots.js';
import { foldable } from '../../web/fold.js';
import { h, reactive } from '../../web/reactive.js';
import { rich } from '../../web/rich.js';
import { on, onSpoken } from '../../web/services.js';
import { sortedOrder } from '../../web/statistics.js';
import { language, loadTexts, t as text } from '../../web/texts.js';
import { onLooks } from '../../web/theme.js';
import { depthsFigure } from './depths.js';

const t = (key, values) => text(`bench.own.${key}`, values);

export async function mount(element, host) {
  await loadTexts('bench', 'channels');
  const root = element.querySelector('.attn-own-gates');
  const networks = root.dataset.networks.split(' ');
  const live = reactive();
  let shown = null; // {facts, arrays}; stays until others are here
  let chosen = 0;
  let waiting = '';
  let refusal = null; // why what was asked for last is not here: language → sentence
  let turn = 0;
  const checkStale = markStale(root, () => shown?.facts.key);

  const columns = () => [
    ...shown.facts.blocks.map((block, depth) => ({ ...block, gates: shown.arrays[depth] })),
    ...shown.facts.ours.map((name) => ({
      name: text(`channels.short.${name}`), ours: true, gates: shown.arrays[`ours_${name}`],
    })),
  ];

  async function load() {
    const mine = ++turn;
    const { arrays, facts } = host.value ?? {};
    try {
      const here = arrays ? await fetchArrays(arrays.url) : null;
      if (mine !== turn) return;
      if (here) {
        shown = { arrays: here, facts };
        chosen = Math.min(chosen, columns().length - 1);
      }
      refusal = facts?.error ?? null;
    } catch (error) {
      if (mine !== turn) return;
      refusal = { [language()]: text('channels.error') };
      console.error(error);
    }
    waiting = '';
    await build();
  }

  function ask(network) {
    waiting = network;
    live.update('waiting');
    host.trigger('ask', { network });
  }

  async function build() {
    live.clear();
    root.lang = text('language.tag');
    root.replaceChildren(h('h2', {}, t('title')), h('p', {}, rich(t('lead'))),
      h('div', { class: 'controls' }, networks.map((network) => h('button', {
        type: 'button', 'aria-pressed': String(shown?.facts.network === network), click: () => ask(network),
      }, t(`network.${network}`)))),
      live.live(['waiting'], said, 'p', { class: 'note', role: 'status' }), ...(shown ? figures() : []));
    foldable(root, 'own_gates');
    checkStale();
    root.dataset.state = shown ? 'ready' : refusal ? 'error' : 'empty';
    live.update('all');
    await live.flush();
  }

  function said() {
    if (waiting) return t('waiting', { network: t(`network.${waiting}`) });
    return refusal?.[language()] ?? '';
  }

  function figures() {
    const nameOf = (column) => (column.ours ? t('ours', { name: column.name }) : column.name);
    const describe = (column, { channels, mean, closed, open }) => t('tip', {
      name: nameOf(column), channels: readable(channels), mean: readable(mean), closed: percent(closed, 0),
      open: percent(open, 0),
    });
    const block = () => columns()[chosen];
    const ranked = () => sortedOrder(block().gates, true).map((channel) => block().gates[channel]);
    return [h('div', { class: 'two' },
      framed(live, depthsFigure({
        columns, chosen: () => chosen, describe, x: () => t('depth'), y: () => text('channels.gates.axis'),
        pick: (i) => {
          chosen = i;
          live.update('chosen');
        },
      }), { on: ['chosen'], onTitle: [], ratio: '2.2', title: () => t('depths', { count: shown.facts.blocks.length }) }),
      framed(live, curvesFigure({
        xs: () => ranked().map((_, i) => i + 1), range: () => [0, 1],
        lines: () => [{ key: 'gates', text: nameOf(block()), values: ranked(), strong: true, accent: true }],
        x: () => text('channels.gates.rank'), y: () => text('channels.gates.axis'),
        describe: ({ values }, i) => t('tip.rank', {
          channel: sortedOrder(block().gates, true)[i], gate: readable(values[i]), rank: i + 1, of: values.length,
        }),
      }), {
        on: ['chosen'], ratio: '1.3', title: () => nameOf(block()),
        caption: () => (block().ours ? t('ours.note') : t('block', {
          rows: block().grid[0], cols: block().grid[1], stride: block().stride_px, channels: readable(block().gates.length),
        })),
      })), h('p', { class: 'note' }, t('note'))];
  }

  // Another photograph: the network is here already, and is asked again when it is looked at.
  on(root, 'attn:map', ({ key }) => {
    if (shown && key && key !== shown.facts.key) whenOpened(root, () => ask(shown.facts.network))();
  });
  onSpoken(root, build);
  onLooks(root, () => { if (shown) live.update('all'); });
  host.watch(load);
  await load();
}

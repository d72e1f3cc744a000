// "Your file": every attention block in it with its width and where it fits; one press uses it, the network following.
import { foldable } from '../../web/fold.js';
import { h } from '../../web/reactive.js';
import { readable } from '../../web/numbers.js';
import { rich } from '../../web/rich.js';
import { onSpoken } from '../../web/services.js';
import { language, loadTexts, t as text } from '../../web/texts.js';
import { firstPlaces, stateOf } from './model.js';

const t = (key, values) => text(`bench.file.${key}`, values);

export async function mount(element, host) {
  await loadTexts('bench', 'channels');
  const root = element.querySelector('.attn-blocks');

  function build() {
    const { value } = host;
    root.lang = text('language.tag');
    root.replaceChildren(h('h2', {}, t('title')), h('p', {}, rich(t('lead'))),
      h('button', { type: 'button', click: chooseFile }, t(value ? 'other' : 'choose')), ...(value ? found(value) : []));
    foldable(root, 'blocks');
    root.dataset.state = value ? (value.error ? 'error' : 'ready') : 'empty';
  }

  function found(value) {
    if (value.error) return [h('p', { role: 'status' }, value.error[language()])];
    const usable = value.blocks.filter(({ refusal, fits }) => !refusal && fits).length;
    const heads = ['block', 'layout', 'kind', 'width', 'numbers', 'action'];
    return [
      h('p', { role: 'status' }, t(usable === 0 ? 'none' : usable === 1 ? 'one' : 'several', {
        file: value.file, count: value.blocks.length, usable, channels: readable(value.channels), stage: value.stage,
      })),
      h('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': t('title') },
        h('table', {}, h('thead', {}, h('tr', {}, heads.map((head) => h('th', { scope: 'col' }, t(`head.${head}`))))),
          h('tbody', {}, value.blocks.map((block) => row(block, value.used))))),
    ];
  }

  function row(block, used) {
    const state = stateOf(block, used);
    const heads = block.heads > 1 ? ` · ${t('heads', { heads: block.heads })}` : '';
    return h('tr', { 'data-state': state, class: state === 'used' ? 'chosen' : null },
      h('th', { scope: 'row' }, block.label),
      h('td', {}, block.layout),
      h('td', {}, text(`channels.short.${block.mechanism}`) + heads),
      h('td', {}, block.channels === null ? t('any') : readable(block.channels)),
      h('td', {}, block.dtype),
      h('td', {}, action(block, state)));
  }

  function action(block, state) {
    if (state === 'refused') return h('span', { class: 'note' }, block.refusal[language()]);
    if (state === 'used') return t('used');
    if (state === 'nowhere') return h('span', { class: 'note' }, t('nowhere'));
    if (state === 'use') return choosing(t('use'), { block: block.label });
    return firstPlaces(block.places).map(([stem, stage]) =>
      choosing(t('switch', { stem: stem === 'bundled' ? t('bundled') : stem, stage }), { block: block.label, stem, stage }));
  }

  const choosing = (label, detail) =>
    h('button', { type: 'button', click: () => host.trigger('choose', detail) }, label);

  // The file is the page's own control, wherever it is.
  function chooseFile() {
    document.querySelector('#attn-file input[type=file]')?.click();
  }

  onSpoken(root, build);
  host.watch(build);
  build();
}

// The view and its text in share links.
import assert from 'node:assert/strict';
import test from 'node:test';
import { VIEW, decodeView, encodeView } from '../../attn/ui/web/view.js';

test('the view survives its link', () => {
  const view = {
    ...VIEW, direction: 'column', scale: 'log', temperature: 0.5, smooth: true, fixed: true, colormap: 'magma',
    share: 0.6, opacity: 0.4, cell: [5, 7], pins: [[0, 0], [12, 63]], compare: [1, 0],
  };
  const text = encodeView(view);
  assert.deepEqual(decodeView(text), view);
  assert.equal(encodeURIComponent(text), text, 'needs no escaping in a URL');
  assert.equal(encodeView({ ...VIEW }), '');
  assert.deepEqual(decodeView(''), { ...VIEW });
});

test('a broken link gives a usable view', () => {
  const view = decodeView('q1~p1.2_x_3.4~x0.9~dnowhere~t1e9~m~o-5~constructor~💥~cgrey');
  assert.deepEqual(view, { ...VIEW, pins: [[1, 2], [3, 4]], temperature: 4, opacity: 0, colormap: 'grey' });
});

// Formulas: every one of the page's, and the pieces they are made of.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { mathml } from '../../attn/ui/web/latex.js';

const formulas = JSON.parse(readFileSync(new URL('../../attn/texts/latex.json', import.meta.url)));
const inside = (latex, symbols) => /^<math display="block"><mrow>(.*)<\/mrow><\/math>$/.exec(mathml(latex, symbols))[1];

test('every formula is drawn, and nothing of its LaTeX is left', () => {
  const lines = Object.values(formulas).flat();
  assert.ok(lines.length > 10);
  for (const line of lines) {
    const shown = mathml(line);
    assert.ok(!/[\\{}_]/.test(shown), shown);
    const open = [...shown.matchAll(/<(\/?)(\w+)/g)].reduce((tags, [, close, tag]) => {
      if (!close) return [...tags, tag];
      assert.equal(tags.at(-1), tag);
      return tags.slice(0, -1);
    }, []);
    assert.deepEqual(open, []);
  }
});

test('scripts, fractions, roots, accents', () => {
  assert.equal(inside('x_i'), '<msub><mi>x</mi><mi>i</mi></msub>');
  assert.equal(inside('x^2_c'), '<msubsup><mi>x</mi><mi>c</mi><mn>2</mn></msubsup>');
  assert.match(inside('\\max_i x'), /^<munder><mo [^>]+>max<\/mo><mi>i<\/mi><\/munder>/);
  assert.equal(inside("d'"), '<msup><mi>d</mi><mo>′</mo></msup>');
  assert.equal(inside('\\frac{1}{\\sqrt{N}}'), '<mfrac><mn>1</mn><msqrt><mi>N</mi></msqrt></mfrac>');
  assert.equal(inside('\\bar x_c'), '<msub><mover accent="true"><mi>x</mi><mo>¯</mo></mover><mi>c</mi></msub>');
  assert.equal(inside('\\mathrm{ReLU}(x)').replaceAll(' stretchy="false"', ''),
    '<mi mathvariant="normal">ReLU</mi><mo>(</mo><mi>x</mi><mo>)</mo>');
});

test('a symbol with a name carries it', () => {
  assert.equal(inside('g_c', { g: 'weights' }), '<msub><mi data-symbol="weights">g</mi><mi>c</mi></msub>');
});

test('what is unknown or ends too early is refused', () => {
  assert.throws(() => mathml('\\int x'), /unknown \\int/);
  assert.throws(() => mathml('\\frac{1}{2'), /expected \}/);
  assert.throws(() => mathml('x_'), /ends too early/);
});

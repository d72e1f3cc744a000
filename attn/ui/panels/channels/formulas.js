// Formulas in MathML; a symbol with a name lights up the figures that show it. i, j are positions, c, d channels.

const row = (...parts) => `<mrow>${parts.join('')}</mrow>`;
const id = (text, symbol) => `<mi${symbol ? ` data-symbol="${symbol}"` : ''}>${text}</mi>`;
const op = (text) => `<mo>${text}</mo>`;
const word = (text) => `<mi mathvariant="normal">${text}</mi>`;
const sub = (base, below) => `<msub>${base}${below}</msub>`;
const brackets = (...parts) => row(op('('), ...parts, op(')'));
const hat = (text) => `<mover>${id(text)}${op('^')}</mover>`;
const x = id('x', 'x');
const y = id('y', 'y');
const mean = row(word('mean'), brackets(x));
const gated = row(sub(y, id('c')), op('='), sub(id('g', 'weights'), id('c')), sub(x, id('c')));
const math = (...lines) => lines.map((line) => `<math display="block">${line}</math>`).join('');
const gate = (...inside) => math(row(id('g', 'weights'), op('='), id('σ'), brackets(...inside)), gated);
const layer = (n) => sub(id('W'), `<mn>${n}</mn>`);
const ij = row(id('i'), id('j'));
const cd = row(id('c'), id('d'));

/** Mechanism → its formula as MathML; one that somebody brought has none. */
export const FORMULAS = {
  spatial: math(
    row(sub(id('A', 'weights'), ij), op('='), sub(word('softmax'), id('j')), brackets(
      '<mfrac>', row(sub(id('q'), id('i')), op('·'), sub(id('k'), id('j'))),
      row(id('τ'), `<msqrt>${id('C')}</msqrt>`), '</mfrac>',
    )),
    row(sub(y, id('i')), op('='), sub(x, id('i')), op('+'), id('W'), sub(op('∑'), id('j')),
      sub(id('A', 'weights'), ij), sub(id('v'), id('j'))),
  ),
  se: gate(layer(2), word('ReLU'), brackets(layer(1), mean)),
  eca: gate(sub(word('conv'), id('k')), brackets(mean)),
  cbam: gate(word('MLP'), brackets(mean), op('+'), word('MLP'), brackets(word('max'), brackets(x))),
  cam: math(
    row(sub(id('B', 'weights'), cd), op('='), sub(word('softmax'), id('d')), brackets(
      sub(word('max'), id('d')), sub(id('E'), cd), op('−'), sub(id('E'), cd),
    ), op(','), sub(id('E'), cd), op('='), sub(x, id('c')), op('·'), sub(x, id('d'))),
    row(sub(y, id('c')), op('='), sub(x, id('c')), op('+'), id('γ'), sub(op('∑'), id('d')),
      sub(id('B', 'weights'), cd), sub(x, id('d'))),
  ),
  transposed: math(
    row(sub(id('B', 'weights'), cd), op('='), sub(word('softmax'), id('d')), brackets(
      '<mfrac>', row(sub(id('q'), id('c')), op('·'), sub(id('k'), id('d'))),
      row(id('τ'), `<msqrt>${id('N')}</msqrt>`), '</mfrac>',
    )),
    row(y, op('='), x, op('+'), id('W'), id('B', 'weights'), id('v')),
  ),
  xca: math(
    row(sub(id('B', 'weights'), cd), op('='), sub(word('softmax'), id('d')), brackets(
      '<mfrac>', row(sub(hat('q'), id('c')), op('·'), sub(hat('k'), id('d'))), id('τ'), '</mfrac>',
    )),
    row(y, op('='), x, op('+'), id('W'), id('B', 'weights'), id('v')),
  ),
};

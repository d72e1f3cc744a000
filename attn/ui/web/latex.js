// The LaTeX of texts/latex.json as MathML, which browsers draw by themselves: as much of it as formulas here use.

const GREEK = { tau: 'τ', sigma: 'σ', gamma: 'γ' };
const FUNCTIONS = ['sin', 'cos'];
const LIMITS = ['\\sum', '\\max'];
const ACCENTS = { hat: '^', bar: '¯' };
const SPACES = { ',': '0.17em', '!': '-0.17em', quad: '1em', qquad: '2em' };
const SIZES = ['left', 'right', 'big', 'Big'];
const TOKEN = /\\(?:[a-zA-Z]+|.)|\d+|\S/g;

const element = (tag, ...parts) => `<${tag}>${parts.join('')}</${tag}>`;
const row = (parts) => (parts.length === 1 ? parts[0] : element('mrow', ...parts));
const upright = (text) => `<mi mathvariant="normal">${text}</mi>`;
const operator = (text, more = '') => `<mo${more}>${text}</mo>`;

/**
 * A formula as MathML. `symbols`: letter → the name that its `data-symbol` gets.
 * Throws where it meets what it does not know.
 */
export function mathml(latex, symbols = {}) {
  const tokens = latex.match(TOKEN) ?? [];
  let at = 0;

  const letter = (text) => `<mi${symbols[text] ? ` data-symbol="${symbols[text]}"` : ''}>${text}</mi>`;

  function expect(token) {
    if (tokens[at] !== token) throw new Error(`expected ${token}, got ${tokens[at]} in ${latex}`);
    at += 1;
  }

  /** What stands until `end`, as a list of elements. */
  function until(end) {
    const parts = [];
    while (tokens[at] !== end) {
      if (at >= tokens.length) throw new Error(`expected ${end} at the end of ${latex}`);
      parts.push(scripted());
    }
    at += 1;
    return parts;
  }

  /** A group in braces, or a single token. */
  function argument() {
    if (tokens[at] !== '{') return atom();
    at += 1;
    return row(until('}'));
  }

  /** The letters in braces as they are. */
  function name() {
    expect('{');
    const letters = [];
    while (tokens[at] !== '}') letters.push(tokens[at++]);
    at += 1;
    return letters.join('');
  }

  /** An atom with what stands below and above it: of a sum or a maximum under and over it, where there is room. */
  function scripted() {
    const bounded = LIMITS.includes(tokens[at]);
    const base = atom();
    const scripts = {};
    while (tokens[at] === '_' || tokens[at] === '^' || tokens[at] === "'") {
      const mark = tokens[at++];
      if (mark === "'") scripts['^'] = operator('′');
      else scripts[mark] = argument();
    }
    const { _: below, '^': above } = scripts;
    if (below && above) return element(bounded ? 'munderover' : 'msubsup', base, below, above);
    if (below) return element(bounded ? 'munder' : 'msub', base, below);
    return above ? element('msup', base, above) : base;
  }

  function atom() {
    const token = tokens[at++];
    if (token === undefined) throw new Error(`${latex} ends too early`);
    if (token === '{') return row(until('}'));
    if (/^\d/.test(token)) return `<mn>${token}</mn>`;
    if (/^[a-zA-Z]$/.test(token)) return letter(token);
    if (token === '-') return operator('−');
    if ('()'.includes(token)) return operator(token, ' stretchy="false"');
    if ('+=,/'.includes(token)) return operator(token);
    const command = token.startsWith('\\') ? token.slice(1) : '';
    if (GREEK[command]) return letter(GREEK[command]);
    if (FUNCTIONS.includes(command)) return upright(command);
    if (ACCENTS[command]) return `<mover accent="true">${argument()}${operator(ACCENTS[command])}</mover>`;
    if (SPACES[command]) return `<mspace width="${SPACES[command]}"></mspace>`;
    if (SIZES.includes(command)) return operator(tokens[at++], command === 'left' || command === 'right' ? '' : ' stretchy="false"');
    if (command === 'top') return operator('⊤');
    if (command === 'sum') return operator('∑', ' movablelimits="true"');
    if (command === 'max') return operator('max', ' movablelimits="true" lspace="0" rspace="0.17em"');
    if (command === 'frac') return element('mfrac', argument(), argument());
    if (command === 'sqrt') return element('msqrt', argument());
    if (command === 'operatorname' || command === 'mathrm') return upright(name());
    throw new Error(`unknown ${token} in ${latex}`);
  }

  const parts = [];
  while (at < tokens.length) parts.push(scripted());
  return `<math display="block"><mrow>${parts.join('')}</mrow></math>`;
}

// Texts with a little in them: **stress**, [terms](#term-name) that explain themselves (see glossary.js), and [links](#attn-name)
// to a section of the page.

const MARKED = /(\*\*[^*]+\*\*|\[[^\]]+\]\(#(?:term|attn)-\w+\))/;

/** A text as nodes. What is not marked is text and nothing else, whatever it holds. */
export function rich(text) {
  return String(text).split(MARKED).filter(Boolean).map((part) => {
    const linked = /^\[([^\]]+)\]\(#([\w-]+)\)$/.exec(part);
    if (linked) return link(linked[1], linked[2]);
    return /^\*\*.+\*\*$/.test(part) ? element('strong', part.slice(2, -2)) : part;
  });
}

/** The names of the terms that a text marks. */
export const termsIn = (text) => [...text.matchAll(/\(#term-(\w+)\)/g)].map(([, name]) => name);

const element = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });

function link(text, target) {
  const node = element('a', text);
  node.setAttribute('href', `#${target}`);
  if (target.startsWith('term-')) node.className = 'attn-term';
  return node;
}

// Texts with a little in them: **stress**, and [terms](#term-name) that explain themselves (see glossary.js).

const MARKED = /(\*\*[^*]+\*\*|\[[^\]]+\]\(#term-\w+\))/;

/** A text as nodes. What is not marked is text and nothing else, whatever it holds. */
export function rich(text) {
  return String(text).split(MARKED).filter(Boolean).map((part) => {
    const term = /^\[([^\]]+)\]\(#term-(\w+)\)$/.exec(part);
    if (term) return link(term[1], term[2]);
    return /^\*\*.+\*\*$/.test(part) ? element('strong', part.slice(2, -2)) : part;
  });
}

/** The names of the terms that a text marks. */
export const termsIn = (text) => [...text.matchAll(/\(#term-(\w+)\)/g)].map(([, name]) => name);

const element = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });

function link(text, name) {
  const node = element('a', text);
  node.setAttribute('href', `#term-${name}`);
  node.className = 'attn-term';
  return node;
}

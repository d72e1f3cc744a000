// On a phone a long place is its headings first: each opens into what is below it. Elsewhere everything stands open.
import { h } from './reactive.js';

const phone = typeof matchMedia === 'undefined' ? null : matchMedia('(max-width: 767px)');
const opened = new Set(); // names; what has been opened stays so when it is built anew
const sections = new Map(); // name → {section, write}

/**
 * Makes `section` one that folds behind the h2 that is its child; `name` is its own among those of the page. What is
 * drawn in it hears `attn:unfolded`, for it had no size before.
 */
export function foldable(section, name, { open = false } = {}) {
  const heading = section.querySelector(':scope > h2');
  const button = h('button', { type: 'button', class: 'attn-fold', click: () => turn(!opened.has(name)) });
  if (open && !sections.has(name)) opened.add(name);

  function turn(on) {
    opened[on ? 'add' : 'delete'](name);
    write();
    if (on) unfolded(section);
  }

  function write() {
    const folds = phone.matches;
    if (folds && button.parentNode !== heading) {
      button.append(...heading.childNodes);
      heading.append(button);
    } else if (!folds && button.parentNode) button.replaceWith(...button.childNodes);
    section.toggleAttribute('data-folded', folds && !opened.has(name));
    button.setAttribute('aria-expanded', opened.has(name));
  }

  sections.set(name, { section, write });
  write();
  return section;
}

const unfolded = (section) => section.dispatchEvent(new Event('attn:unfolded', { bubbles: true }));

phone?.addEventListener('change', () => {
  for (const { section, write } of sections.values()) {
    write();
    unfolded(section);
  }
});

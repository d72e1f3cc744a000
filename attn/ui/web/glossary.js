// Words that a reader may not know explain themselves: on hover, on focus and on tap, from one glossary. A text marks one
// as [words](#term-name), which panels write with `rich` and Gradio's Markdown as a link; the reference place has them all.
import { h } from './reactive.js';
import { loadTexts, onLanguage, t } from './texts.js';

const CLOSING_MS = 120;

const linkOf = (event) => event.target.closest?.('a[href^="#term-"]');

/** Makes every marked term in `page` explain itself; once for a document. */
export async function explainTerms(page = document) {
  if (page.attnTerms) return;
  page.attnTerms = true;
  await loadTexts('glossary');
  const card = h('div', { class: 'attn-term-card', role: 'tooltip', id: 'attn-term-card', hidden: true });
  page.body.append(card);
  let closing = 0;
  let shown = null;

  function show(link) {
    clearTimeout(closing);
    const name = link.getAttribute('href').slice('#term-'.length);
    shown = link;
    card.replaceChildren(h('strong', {}, t(`glossary.${name}`)), ' ', t(`glossary.${name}.means`));
    card.lang = t('language.tag');
    card.hidden = false;
    link.setAttribute('aria-describedby', card.id);
    place(link);
  }

  function place(link) {
    const at = link.getBoundingClientRect();
    const box = card.getBoundingClientRect();
    const above = at.top > box.height + 12;
    card.style.left = `${Math.max(8, Math.min(innerWidth - box.width - 8, at.left))}px`;
    card.style.top = `${above ? at.top - box.height - 6 : at.bottom + 6}px`;
  }

  function hide() {
    card.hidden = true;
    shown?.removeAttribute('aria-describedby');
    shown = null;
  }

  const later = () => { clearTimeout(closing); closing = setTimeout(hide, CLOSING_MS); };
  page.addEventListener('pointerover', (event) => { if (linkOf(event)) show(linkOf(event)); });
  page.addEventListener('pointerout', (event) => { if (linkOf(event)) later(); });
  page.addEventListener('focusin', (event) => { if (linkOf(event)) show(linkOf(event)); else if (shown) later(); });
  page.addEventListener('click', (event) => {
    const link = linkOf(event);
    if (!link) { if (shown) hide(); return; }
    event.preventDefault(); // a term explains itself where it stands
    show(link);
  });
  page.addEventListener('keydown', (event) => { if (event.key === 'Escape' && shown) hide(); });
  addEventListener('scroll', () => { // the card stays with its word
    if (!shown) return;
    const at = shown.getBoundingClientRect();
    if (at.bottom < 0 || at.top > innerHeight) hide();
    else place(shown);
  }, { passive: true, capture: true });
  onLanguage(() => loadTexts('glossary').then(hide));

}

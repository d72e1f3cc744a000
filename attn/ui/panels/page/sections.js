// The reference's sections, Gradio's Markdown, fold on a phone as the bench's do; Gradio writes them anew with the language.
import { foldable } from '../../web/fold.js';

const FIRST = 'attn-shapes'; // stands open

export function foldSections(reference) {
  if (!reference) return;
  const seen = new WeakSet(); // headings
  const fold = () => {
    for (const heading of reference.querySelectorAll('h2')) {
      if (seen.has(heading)) continue;
      seen.add(heading);
      const name = heading.closest('[id^="attn-"]').id;
      foldable(heading.parentElement, name, { open: name === FIRST });
    }
  };
  new MutationObserver(fold).observe(reference, { childList: true, subtree: true });
  fold();
}

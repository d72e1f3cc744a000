// What the reader has answered stays for as long as the tab does, a reload included; a storage that is denied keeps nothing.
import { STEPS } from './steps.js';

const NAME = 'attn-story-answers';

/** The answers given before: step → number of an option, or null for "show me"; none that its question does not have. */
export function keptAnswers(storage = session()) {
  try {
    const kept = JSON.parse(storage.getItem(NAME)) ?? {};
    const valid = ({ id, options }) => id in kept && (kept[id] === null
      || (Number.isInteger(kept[id]) && kept[id] >= 0 && kept[id] < options));
    return Object.fromEntries(STEPS.filter((step) => step.options && valid(step)).map(({ id }) => [id, kept[id]]));
  } catch {
    return {};
  }
}

/** Keeps the answers. */
export function keepAnswers(answers, storage = session()) {
  try {
    storage.setItem(NAME, JSON.stringify(answers));
  } catch {
    // They are kept until the page is left.
  }
}

// Asking for a denied storage throws.
function session() {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}

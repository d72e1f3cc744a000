// Whether somebody uses the page yet. What only an answer to a hand needs travels from then on.

let tell;

/** Resolves once somebody points, touches, types, chooses or scrolls, or `handed` is called. */
export const somebody = new Promise((done) => { tell = done; });

/** Something is looked at that needs what waits. */
export const handed = () => tell();

for (const sign of ['pointermove', 'pointerdown', 'keydown', 'wheel', 'scroll', 'input', 'change', 'drop', 'paste']) {
  globalThis.addEventListener?.(sign, tell, { once: true, passive: true, capture: sign !== 'scroll' }); // the page's own
}

// The page's colours, for what is drawn on canvas: whatever the theme, light or dark.

const SETTLED_MS = 600; // the longest that a change of colours goes on

/** {text, quiet, line, accent, paper, font} as they are where `node` stands. */
export function palette(node) {
  const style = getComputedStyle(node);
  const named = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  return {
    text: style.color,
    quiet: faded(style.color, 0.72),
    line: named('--border-color-primary', faded(style.color, 0.25)),
    accent: named('--color-accent', '#0d9488'),
    paper: named('--background-fill-primary', '#fff'),
    font: `12px ${style.fontFamily}`,
  };
}

function faded(colour, alpha) {
  const parts = colour.match(/[\d.]+/g);
  return colour.startsWith('rgb') && parts ? `rgb(${parts.slice(0, 3).join(' ')} / ${alpha})` : colour;
}

/** Calls `redraw` when the theme changes, `node` gets another width or is unfolded, until it has left the page. */
export function onLooks(node, redraw) {
  let width = node.clientWidth;
  let settling = 0;
  const gone = () => {
    if (!node.isConnected) {
      [size, theme].forEach((observer) => observer.disconnect());
      contrast.removeEventListener('change', looksChanged);
    }
    return !node.isConnected;
  };
  const size = new ResizeObserver(() => {
    if (gone() || node.clientWidth === width) return;
    width = node.clientWidth;
    redraw();
  });
  // Colours may take their time: what is read as the class changes can be the old ones, on their way to the new.
  function looksChanged() {
    if (gone()) return;
    redraw();
    const until = performance.now() + SETTLED_MS;
    let drawn = getComputedStyle(node).color;
    cancelAnimationFrame(settling);
    settling = requestAnimationFrame(function follow(now) {
      const { color } = getComputedStyle(node);
      if (color !== drawn) redraw();
      drawn = color;
      if (now < until && node.isConnected) settling = requestAnimationFrame(follow);
    });
  }
  const theme = new MutationObserver(looksChanged); // light and dark are a class of the page's
  const contrast = matchMedia('(forced-colors: active)');
  size.observe(node);
  node.addEventListener('attn:unfolded', redraw);
  contrast.addEventListener('change', looksChanged);
  for (const one of [document.documentElement, document.body]) {
    theme.observe(one, { attributes: true, attributeFilter: ['class', 'data-theme'] });
  }
}

// The page's colours, for what is drawn on canvas: whatever the theme, light or dark.

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
  const gone = () => {
    if (!node.isConnected) [size, theme].forEach((observer) => observer.disconnect());
    return !node.isConnected;
  };
  const size = new ResizeObserver(() => {
    if (gone() || node.clientWidth === width) return;
    width = node.clientWidth;
    redraw();
  });
  const theme = new MutationObserver(() => { if (!gone()) redraw(); }); // light and dark are a class of the page's
  size.observe(node);
  node.addEventListener('attn:unfolded', redraw);
  for (const one of [document.documentElement, document.body]) {
    theme.observe(one, { attributes: true, attributeFilter: ['class', 'data-theme'] });
  }
}

// The other half's weights, small, where that half is out of sight: they stay while the pointer moves those above.
import { palette, onLooks } from '../../web/theme.js';
import { latest, on } from '../../web/services.js';
import { t } from '../../web/texts.js';

const HIGH_PX = 28;

/** Draws in `root` what the lane says of its weights: {name, weights: a sentence, heights: 0 … 1, one a bar}. */
export function showOther(root) {
  const button = root.querySelector('.ax-other');
  const [words, canvas] = button.children;

  function draw() {
    const weighed = latest('attn:weighed');
    words.textContent = weighed ? t('window.other', weighed) : '';
    Object.assign(canvas, { width: weighed?.heights.length || 1, height: HIGH_PX });
    const context = canvas.getContext('2d');
    context.fillStyle = palette(canvas).accent;
    weighed?.heights.forEach((height, i) => context.fillRect(i, HIGH_PX * (1 - height), 1, HIGH_PX * height));
  }

  on(root, 'attn:weighed', draw);
  onLooks(canvas, draw);
  button.addEventListener('click', () => document.querySelector('.attn-channel-lane')?.scrollIntoView({ block: 'start' }));
}

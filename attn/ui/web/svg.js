// A figure as SVG: its own drawing code, with a context that notes what is drawn instead of drawing it.

/** The SVG text of `draw(ctx, size, colours)`. */
export function svgOf(draw, { width, height }, colours) {
  const ctx = new SvgContext(colours.font);
  draw(ctx, { width, height }, colours);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<rect width="100%" height="100%" fill="${escaped(colours.paper)}"/>
${ctx.parts.join('\n')}
</svg>
`;
}

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
const short = (value) => Number(value.toFixed(2));
const ANCHORS = { left: 'start', start: 'start', center: 'middle', right: 'end', end: 'end' };
const BASELINES = { top: 'hanging', middle: 'central', alphabetic: 'alphabetic', bottom: 'text-after-edge' };

/** What figures use of CanvasRenderingContext2D. */
export class SvgContext {
  constructor(font) {
    this.parts = [];
    this.saved = [];
    this.path = [];
    this.clips = 0;
    this.state = {
      fillStyle: '#000', strokeStyle: '#000', lineWidth: 1, globalAlpha: 1, font, textAlign: 'left',
      textBaseline: 'alphabetic', imageSmoothingEnabled: true, dash: [], matrix: [1, 0, 0, 1, 0, 0], clip: '',
    };
    for (const name of Object.keys(this.state)) {
      if (name === 'dash' || name === 'matrix' || name === 'clip') continue;
      Object.defineProperty(this, name, {
        get: () => this.state[name],
        set: (value) => { this.state[name] = value; },
      });
    }
  }

  save() { this.saved.push({ ...this.state }); }
  restore() { this.state = this.saved.pop() ?? this.state; }
  setLineDash(dash) { this.state.dash = dash; }

  translate(x, y) {
    const [a, b, c, d, e, f] = this.state.matrix;
    this.state.matrix = [a, b, c, d, e + a * x + c * y, f + b * x + d * y];
  }

  scale(x, y) {
    const [a, b, c, d, e, f] = this.state.matrix;
    this.state.matrix = [a * x, b * x, c * y, d * y, e, f];
  }

  transform(p, q, r, s, t, u) {
    const [a, b, c, d, e, f] = this.state.matrix;
    this.state.matrix = [
      a * p + c * q, b * p + d * q, a * r + c * s, b * r + d * s, a * t + c * u + e, b * t + d * u + f,
    ];
  }

  rotate(angle) {
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    this.transform(cos, sin, -sin, cos, 0, 0);
  }

  beginPath() { this.path = []; }
  moveTo(x, y) { this.path.push(`M${short(x)} ${short(y)}`); }
  lineTo(x, y) { this.path.push(`${this.path.length ? 'L' : 'M'}${short(x)} ${short(y)}`); }
  closePath() { this.path.push('Z'); }
  rect(x, y, w, h) { this.path.push(`M${short(x)} ${short(y)}h${short(w)}v${short(h)}h${short(-w)}Z`); }

  arc(x, y, radius, from, to) {
    if (to - from < 2 * Math.PI - 1e-9) {
      const at = (angle) => `${short(x + radius * Math.cos(angle))} ${short(y + radius * Math.sin(angle))}`;
      const start = this.path.length ? 'L' : 'M';
      this.path.push(`${start}${at(from)}A${radius} ${radius} 0 ${to - from > Math.PI ? 1 : 0} 1 ${at(to)}`);
    } else {
      const r = short(radius);
      this.path.push(`M${short(x + radius)} ${short(y)}a${r} ${r} 0 1 1 ${-2 * r} 0a${r} ${r} 0 1 1 ${2 * r} 0Z`);
    }
  }

  fill() { this.#add(`<path d="${this.path.join('')}" ${this.#filled()}/>`); }
  stroke() { this.#add(`<path d="${this.path.join('')}" ${this.#stroked()}/>`); }
  fillRect(x, y, w, h) { this.#add(`<rect ${box(x, y, w, h)} ${this.#filled()}/>`); }
  strokeRect(x, y, w, h) { this.#add(`<rect ${box(x, y, w, h)} ${this.#stroked()}/>`); }
  fillText(text, x, y) { this.#text(text, x, y, this.#filled()); }
  strokeText(text, x, y) { this.#text(text, x, y, this.#stroked()); }
  measureText(text) { return { width: 6.5 * String(text).length }; }

  clip() {
    const id = `clip${++this.clips}`;
    this.parts.push(`<clipPath id="${id}"><path d="${this.path.join('')}" ${this.#moved()}/></clipPath>`);
    this.state.clip = ` clip-path="url(#${id})"`;
  }

  drawImage(image, ...place) {
    const [x, y, w, h] = place.length > 4 ? place.slice(4) : place;
    const copy = document.createElement('canvas');
    [copy.width, copy.height] = place.length > 4 ? place.slice(2, 4) : [image.naturalWidth || image.width, image.naturalHeight || image.height];
    const ctx = copy.getContext('2d');
    if (place.length > 4) ctx.drawImage(image, ...place.slice(0, 4), 0, 0, copy.width, copy.height);
    else ctx.drawImage(image, 0, 0);
    const look = this.state.imageSmoothingEnabled ? '' : ' style="image-rendering:pixelated"';
    const alpha = this.state.globalAlpha < 1 ? ` opacity="${this.state.globalAlpha}"` : '';
    this.#add(`<image ${box(x, y, w, h)} preserveAspectRatio="none"${look}${alpha} href="${copy.toDataURL()}"/>`);
  }

  #text(text, x, y, looks) {
    const { font, textAlign, textBaseline } = this.state;
    const places = `text-anchor="${ANCHORS[textAlign]}" dominant-baseline="${BASELINES[textBaseline]}"`;
    this.#add(`<text x="${short(x)}" y="${short(y)}" ${places} style="font:${escaped(font)}" ${looks}>${escaped(text)}</text>`);
  }

  #filled() { return `fill="${escaped(this.state.fillStyle)}"${this.#alpha('fill')}`; }

  #stroked() {
    const { strokeStyle, lineWidth, dash } = this.state;
    const dashes = dash.length ? ` stroke-dasharray="${dash.join(' ')}"` : '';
    return `fill="none" stroke="${escaped(strokeStyle)}" stroke-width="${lineWidth}"${dashes}${this.#alpha('stroke')}`;
  }

  #alpha(what) { return this.state.globalAlpha < 1 ? ` ${what}-opacity="${this.state.globalAlpha}"` : ''; }

  #moved() {
    const { matrix } = this.state;
    return matrix.join() === '1,0,0,1,0,0' ? '' : `transform="matrix(${matrix.map(short).join(' ')})"`;
  }

  // A clip is in the page's own units, so it goes around what is moved.
  #add(part) {
    const { clip } = this.state;
    const moved = this.#moved();
    const placed = moved ? `<g ${moved}>${part}</g>` : part;
    this.parts.push(clip ? `<g${clip}>${placed}</g>` : placed);
  }
}

const box = (x, y, w, h) => {
  const [left, top] = [w < 0 ? x + w : x, h < 0 ? y + h : y];
  return `x="${short(left)}" y="${short(top)}" width="${short(Math.abs(w))}" height="${short(Math.abs(h))}"`;
};

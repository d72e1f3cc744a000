// A photograph as it travels: the pixels that the network will see, and no others, without loss. The browser reads it,
// upright and in sRGB, and scales it as the server would. What it may read otherwise than the server, or not at all,
// goes as it is.
const LEAST_BYTES = 100_000; // not worth the reading
const MOST_PIXELS = 64e6; // more the server refuses, and a phone's memory may not hold
const STRIP = 128; // rows that are in memory at once beside the browser's own copy

/**
 * {blob, size, width, height}: a lossless picture of `size`, which is `inputSize` of the photograph's width and height;
 * {blob: null} where the file is to go as it is.
 */
export async function smaller(file, longest, stride) {
  if (file.size <= LEAST_BYTES || !isPlain(new Uint8Array(await file.arrayBuffer()))) return { blob: null };
  const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  const { width, height } = bitmap;
  try {
    const size = inputSize(width, height, longest, stride);
    if (width * height > MOST_PIXELS || size[0] >= width || size[1] >= height) return { blob: null };
    const pixels = scaled((top, rows) => strip(bitmap, top, rows), [width, height], size);
    const blob = await encoded(pixels, ...size);
    return blob.size < file.size ? { blob, size, width, height } : { blob: null };
  } finally {
    bitmap.close();
  }
}

/** [width, height] px that the network sees, as `Stem.input_size` in Python: whole positions of `stride` px. */
export function inputSize(width, height, longest, stride) {
  const cells = Math.floor(longest / stride);
  return [width, height].map((side) => stride * Math.max(1, toEven(side * (cells / Math.max(width, height)))));
}

const toEven = (value) => (value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value)); // as in Python

// --- scaling

/**
 * RGBA of `size` from an RGB(A) picture that `read(top, rows)` gives in strips: Pillow's BILINEAR, whose triangle is as
 * wide as two pixels of the result, so that every pixel counts.
 */
export function scaled(read, [width, height], [wide, high]) {
  const across = triangles(width, wide);
  const down = triangles(height, high);
  const sums = new Float32Array(wide * high * 3);
  const line = new Float32Array(wide * 3);
  let begun = 0; // rows of the result whose triangle ends above the row that is read
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    const pixels = read(top, rows);
    for (let y = top; y < top + rows; y++) {
      scaleRow(pixels, (y - top) * width, across, line);
      while (down.from[begun] + down.count[begun] <= y) begun++;
      for (let j = begun; j < high && down.from[j] <= y; j++) {
        const weight = down.weights[j * down.most + y - down.from[j]];
        for (let i = 0, at = j * line.length; i < line.length; i++, at++) sums[at] += weight * line[i];
      }
    }
  }
  const out = new Uint8ClampedArray(wide * high * 4).fill(255);
  for (let i = 0, at = 0; i < wide * high; i++) {
    for (let c = 0; c < 3; c++, at++) out[4 * i + c] = sums[at];
  }
  return out;
}

function scaleRow(pixels, first, { from, count, weights, most }, line) {
  for (let x = 0; x < from.length; x++) {
    let red = 0, green = 0, blue = 0;
    for (let k = 0, at = 4 * (first + from[x]), w = x * most; k < count[x]; k++, at += 4, w++) {
      red += weights[w] * pixels[at];
      green += weights[w] * pixels[at + 1];
      blue += weights[w] * pixels[at + 2];
    }
    line[3 * x] = red;
    line[3 * x + 1] = green;
    line[3 * x + 2] = blue;
  }
}

// For every pixel of the result: the first one that counts, how many do, and by how much.
function triangles(length, result) {
  const scale = length / result;
  const reach = Math.max(scale, 1);
  const most = 2 * Math.ceil(reach) + 1;
  const from = new Int32Array(result);
  const count = new Int32Array(result);
  const weights = new Float32Array(result * most);
  for (let x = 0; x < result; x++) {
    const centre = (x + 0.5) * scale;
    from[x] = Math.max(0, Math.floor(centre - reach + 0.5));
    count[x] = Math.min(length, Math.floor(centre + reach + 0.5)) - from[x];
    let sum = 0;
    for (let k = 0; k < count[x]; k++) {
      weights[x * most + k] = Math.max(0, 1 - Math.abs((from[x] + k + 0.5 - centre) / reach));
      sum += weights[x * most + k];
    }
    for (let k = 0; k < count[x]; k++) weights[x * most + k] /= sum;
  }
  return { from, count, weights, most };
}

let paper = null; // a strip's canvas

function strip(bitmap, top, rows) {
  if (paper?.canvas.width !== bitmap.width) {
    const canvas = new OffscreenCanvas(bitmap.width, STRIP);
    paper = canvas.getContext('2d', { alpha: false, willReadFrequently: true });
  }
  paper.fillStyle = '#fff'; // under what is see-through, as on the server
  paper.fillRect(0, 0, bitmap.width, rows);
  paper.drawImage(bitmap, 0, -top);
  return paper.getImageData(0, 0, bitmap.width, rows).data;
}

async function encoded(pixels, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d', { alpha: false }).putImageData(new ImageData(pixels, width, height), 0, 0);
  const webp = await canvas.convertToBlob({ type: 'image/webp', quality: 1 });
  const head = await webp.slice(0, 1024).text();
  return head.includes('VP8L') ? webp : canvas.convertToBlob({ type: 'image/png' }); // lossless too, half as large again
}

// --- what is read alike here and there

/** Whether `bytes` are a whole JPEG, or a still PNG of at most 8 bits. */
export function isPlain(bytes) {
  return isWholeJpeg(bytes) || isStillPng(bytes);
}

// Cut short, a JPEG is mended on the server, which says so. Segments have a length; the picture ends with a marker.
function isWholeJpeg(bytes) {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return false;
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    at += 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
  }
  for (at = bytes.indexOf(0xff, at + 2); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    if (bytes[at + 1] === 0xd9) return true;
  }
  return false;
}

function isStillPng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 33 || view.getUint32(0) !== 0x89504e47 || bytes[24] > 8) return false;
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === 'acTL') return false;
    if (kind === 'IEND') return true;
  }
  return false;
}

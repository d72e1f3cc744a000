// Arrays in safetensors files (https://huggingface.co/docs/safetensors): eight bytes with the header's length, the
// header as JSON {name: {dtype, shape, data_offsets}}, then the numbers.

const TYPED = { U8: Uint8Array, I8: Int8Array, U16: Uint16Array, I16: Int16Array, I32: Int32Array, F32: Float32Array };

/** {name: typed array}; views into the buffer. Throws where the file is cut short. */
export function readSafetensors(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
  const arrays = {};
  for (const [name, { dtype, data_offsets: place }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const Type = TYPED[dtype];
    const [from, to] = place.map((offset) => 8 + size + offset);
    if (to > buffer.byteLength) throw new RangeError(`expected ${to} bytes, got ${buffer.byteLength}`);
    const whole = from % Type.BYTES_PER_ELEMENT === 0;
    arrays[name] = whole ? new Type(buffer, from, (to - from) / Type.BYTES_PER_ELEMENT)
      : new Type(buffer.slice(from, to)); // a view must begin at a multiple of its size
  }
  return arrays;
}

/** The arrays of a gzip file of safetensors, as `pack_arrays` writes them. */
export async function unpack(packed) {
  const inflated = new Response(packed).body.pipeThrough(new DecompressionStream('gzip'));
  return readSafetensors(await new Response(inflated).arrayBuffer());
}

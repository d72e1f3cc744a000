// Arrays as they arrive. What is large is unpacked in the background: the page goes on answering meanwhile.
import { inBackground } from './background.js';
import { fetchTwice } from './fetch.js';
import { unpack } from './safetensors.js';

const KEPT = 4; // files
const LARGE = 250_000; // bytes of a file: in less time than it takes to unpack fewer a worker is not even asked

/** {name: typed array} of the file at `url`; two panels that ask share one answer. */
export const fetchArrays = shared((packed) => (
  packed.byteLength < LARGE ? unpack(packed) : inBackground('arrays', { packed })
));

/** The factors of the logits in the file at `url`, see `logitsOf`; shared, too. */
export const fetchLogits = shared((packed) => inBackground('logits', { packed }));

function shared(read) {
  const arriving = new Map(); // address → promise, the latest used last
  return (url) => {
    const here = arriving.get(url) ?? fetchTwice(url, async (response) => read(await response.arrayBuffer()));
    arriving.delete(url);
    arriving.set(url, here);
    here.catch(() => arriving.delete(url));
    if (arriving.size > KEPT) arriving.delete(arriving.keys().next().value);
    return here;
  };
}

// Files as they arrive: a fetch that fails or comes short is tried once more, past the cache. A file that came with an
// answer is not fetched at all.
const KEPT = 4;
const brought = new Map(); // address → Blob

/** Keeps `blob` for whoever asks for `url` next. */
export function bring(url, blob) {
  brought.set(url, blob);
  if (brought.size > KEPT) brought.delete(brought.keys().next().value);
}

/** `read(response)` of what is at `url`; a failure of either is met with one more try. */
export async function fetchTwice(url, read) {
  try {
    return await attempt(url, read, {});
  } catch {
    return attempt(url, read, { cache: 'reload' });
  }
}

async function attempt(url, read, options) {
  const response = brought.has(url) ? new Response(brought.get(url)) : await fetch(url, options);
  if (!response.ok) throw new Error(`${response.status} ${url}`);
  return read(response);
}

export const fetchJson = (url) => fetchTwice(url, (response) => response.json());

/** A picture, decoded; its pixels may be read, also where another server's page has this one in it. */
export async function fetchImage(url) {
  const load = async () => {
    const image = Object.assign(new Image(), { crossOrigin: 'anonymous' });
    const address = brought.has(url) ? URL.createObjectURL(brought.get(url)) : url;
    image.src = address;
    await image.decode().finally(() => { if (address !== url) URL.revokeObjectURL(address); });
    return image;
  };
  return load().catch(load);
}

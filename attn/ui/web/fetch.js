// Files as they arrive: a fetch that fails or comes short is tried once more, past the cache.

/** `read(response)` of what is at `url`; a failure of either is met with one more try. */
export async function fetchTwice(url, read) {
  try {
    return await attempt(url, read, {});
  } catch {
    return attempt(url, read, { cache: 'reload' });
  }
}

async function attempt(url, read, options) {
  const response = await fetch(url, options);
  if (!response.ok) throw new Error(`${response.status} ${url}`);
  return read(response);
}

export const fetchJson = (url) => fetchTwice(url, (response) => response.json());

/** A picture, decoded; its pixels may be read, also where another server's page has this one in it. */
export async function fetchImage(url) {
  const load = async () => {
    const image = Object.assign(new Image(), { crossOrigin: 'anonymous' });
    image.src = url;
    await image.decode();
    return image;
  };
  return load().catch(load);
}

// The modules of the file, out of their packing and under the names by which they import each other.
(async () => {
  const packed = atob(document.querySelector('#attn-code').textContent);
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const { modules, main } = await new Response(inflated).json();
  const address = (code) => `data:text/javascript;charset=utf-8,${encodeURIComponent(code)}`;
  const imports = Object.fromEntries(Object.entries(modules).map(([name, code]) => [name, address(code)]));
  const run = (type, text) =>
    document.head.append(Object.assign(document.createElement('script'), { type, textContent: text }));
  run('importmap', JSON.stringify({ imports }));
  run('module', main);
})();

// Photographs that somebody brings: chosen, pasted, or dropped anywhere. One goes to the server with the settings, in the
// pixels that they need, and its map comes back with all that it is drawn from: one request. Gradio's own way there (an
// upload, an event, the queue, its stream, the files) is left to its camera, and to who is faster than this script.
import { bring } from '../../web/fetch.js';
import { latest } from '../../web/services.js';
import { inputSize } from '../../web/smaller.js';
import { t } from '../../web/texts.js';

export const SAID_MS = 12000; // long enough to read it

// Beside the modules, wherever the page itself is.
const ADDRESS = new URL('../../../../photograph', import.meta.url).href;
const UPLOAD = new URL('../../../../../upload', import.meta.url).href;

let page = null; // see takePhotographs
const brought = []; // files whose turn has not come
let pending = 0;
let busy = Promise.resolve(null); // until the one brought last is answered: Gradio's value of it, if it is shown
let before = null; // path of the photograph that the page had when that one was brought
let overtaken = false; // another photograph, as an example, was asked for since
// Folder of the last one's map, until another photograph is asked for: an answer to an older question may come after it.
let owed = null;
let given = null; // Gradio's value of it
// The last one: {file, name, value} with Gradio's value of it, and {width, height, size} where it went smaller.
let sent = null;
const names = new Map(); // folder on the server → name of the photograph that was brought
const files = new Map(); // name → the photograph
const opened = Date.now().toString(36); // the browser's history, where the names stand, outlives the page

/**
 * From now on takes what is brought; `now` is {host, within: the page, strides: {stage: {detail: px}}, say(key, ms),
 * took(): called when something is}.
 */
export function takePhotographs(now) {
  const first = !page;
  page = now;
  if (!first) return;
  now.within.addEventListener('change', (event) => {
    const { target } = event;
    if (!target.files?.length || !fields().includes(target)) return;
    event.stopPropagation();
    take(target.files[0]);
    target.value = '';
  }, true);
  // While somebody chooses or drags, what will read the photograph gets ready.
  now.within.addEventListener('click', ({ target }) => { if (fields().includes(target)) getReady(); }, true);
  now.within.addEventListener('dragenter', getReady, { once: true });
  now.within.addEventListener('paste', (event) => {
    const file = pictureOf(event.clipboardData);
    if (!file || event.target.closest?.('input, textarea')) return;
    event.preventDefault();
    take(file);
  });
  // The browser would leave the page for what is dropped.
  now.within.addEventListener('dragover', (event) => {
    if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
  });
  now.within.addEventListener('drop', (event) => {
    const file = pictureOf(event.dataTransfer);
    if (!file) return;
    event.preventDefault();
    event.stopPropagation();
    event.target.dispatchEvent(new DragEvent('dragleave', { bubbles: true })); // Gradio's own panel waits for it
    take(file);
  }, true);
  now.within.addEventListener('drop', (event) => {
    if (!event.dataTransfer?.files.length) return;
    if (!event.defaultPrevented) page.say('page.photograph.no_picture', SAID_MS); // what takes other files has its own
    event.preventDefault();
  });
}

/** Over plain http browsers give neither the clipboard nor a camera. */
export function hideSources() {
  document.documentElement.classList.toggle('attn-insecure', !window.isSecureContext);
}

/** What tells one photograph from another, for the name of its folder on the server: one may be sent several times. */
export const identity = (folder) => names.get(folder) ?? folder;

const fields = () => [
  document.querySelector('#attn-upload')?.parentElement.querySelector('input[type=file]'),
  document.querySelector('#photograph input[type=file]'),
];

/** Has `button` open a chooser of the page's own: Gradio's is not there yet. */
export function chooseWith(button) {
  const field = Object.assign(document.createElement('input'), { type: 'file', accept: 'image/*' });
  field.addEventListener('change', () => { if (field.files.length) take(field.files[0]); });
  button.addEventListener('click', () => {
    getReady();
    field.click();
  });
}

const folderOf = (path) => path.split(/[\\/]/).at(-2);

const pictureOf = (transfer) => [...(transfer?.files ?? [])].find(({ type }) => type.startsWith('image/'));

function take(file) {
  brought.push(file);
  page.say('page.photograph.sending');
  page.took();
  page.host.trigger('take');
}

// --- the page's events; `names` are those of the controls, `values` what they are set to

/** Of `take`: the values of [explorer, bridge, photograph, banner, example], undefined for what stays as it is. */
export function taken(names, values, session) {
  const file = brought.shift();
  before = valueOf('photograph', names, values)?.path;
  overtaken = false;
  pending += 1;
  const answer = busy.then(() => send(file, names, values, session)).finally(() => {
    pending -= 1;
    if (!pending) page.say('');
  });
  busy = answer.then((outputs) => (outputs.length === 5 ? sent.value : null));
  return answer;
}

/** Whether there is a photograph that can be brought again, and bringing it: by its identity, or else the last. */
export const hasBrought = (one) => (one === undefined ? sent !== null : files.has(one));
export const again = (one) => take(files.get(one) ?? sent.file);

/** Of `kept`: the photograph as it was sent last. */
export const kept = () => sent.value;

/** Whether what is shown now, by its name in the address, is an older photograph than the one that was brought. */
export const isStale = (shown) => owed !== null && identity(shown) !== identity(owed);

/** Of `back`: the values of [photograph, example] with the one that was brought. */
export const back = () => [given, ''];

/**
 * Before an inspection is asked for: its values, with the photograph that is on its way, as large as they need it. The
 * last says what is shown, and where the reader points: that query's map comes first.
 */
export async function asked(names, values) {
  const settled = await settledFor(names, values);
  const path = valueOf('photograph', names, settled)?.path;
  owed = sent && path === sent.value.path ? folderOf(path) : null;
  return [...settled.slice(0, -1), { ...settled.at(-1), query: latest('attn:query') }];
}

async function settledFor(names, values) {
  const own = () => sent && valueOf('photograph', names, values)?.path === sent.value.path;
  if (pending) {
    overtaken ||= !own() && valueOf('photograph', names, values)?.path !== before;
    const wait = !overtaken;
    const photograph = await busy;
    if (wait && photograph) values = changed(names, values, { photograph, example: '' });
  }
  if (!own() || !sent.size) return values;
  const [longest, stride] = needs(names, values);
  if (String(inputSize(sent.width, sent.height, longest, stride)) === String(sent.size)) return values;
  page.say('page.photograph.sending');
  try {
    const small = await smaller(sent.file, longest, stride);
    const form = new FormData();
    form.append('files', small.blob ?? sent.file, sent.file.name);
    const response = await fetch(UPLOAD, { method: 'POST', body: form });
    if (!response.ok) throw new Error(`${response.status} ${UPLOAD}`);
    const [path] = await response.json();
    remember(sent.file, sent.name, { ...sent.value, path }, small);
    given = sent.value;
    page.say('');
  } catch (error) {
    page.say('page.photograph.failed');
    throw error;
  }
  page.host.trigger('kept');
  return changed(names, values, { photograph: sent.value });
}

async function send(file, names, values, session) {
  let answer = null;
  try {
    const small = await smaller(file, ...needs(names, values));
    const form = new FormData();
    form.append('asked', JSON.stringify({ values, session }));
    form.append('photograph', small.blob ?? file, file.name);
    const response = await fetch(ADDRESS, { method: 'POST', body: form });
    if (!response.ok) return [, , , notice(await sentence(response))];
    answer = unpack(await response.arrayBuffer());
    remember(file, nameOf(file), answer.photograph, small);
  } catch (error) {
    console.error(error);
    return [, , , notice(t('page.photograph.failed'))];
  }
  if (overtaken) return [];
  const [explorer, bridge, shown, banner] = answer.data;
  owed = folderOf(answer.photograph.path);
  given = 'path' in shown ? shown : sent.value;
  return [explorer, bridge, given, banner, ''];
}

function remember(file, name, value, { blob, width, height, size = null }) {
  if (sent) URL.revokeObjectURL(sent.value.url);
  // Shown from here: nothing of it is fetched again.
  sent = { file, name, value: { ...value, url: URL.createObjectURL(blob ?? file) }, width, height, size };
  names.set(folderOf(value.path), name);
  files.set(name, file);
}

// Brought again it is the same photograph.
const nameOf = (file) => [...files].find(([, one]) => one === file)?.[0] ?? `photograph ${files.size + 1} of ${opened}`;

// --- what travels

const valueOf = (name, names, values) => values[names.indexOf(name)];

const changed = (names, values, now) => values.map((value, i) => (names[i] in now ? now[names[i]] : value));

// The longest side in px and the stride of the positions.
function needs(names, values) {
  const [stage, detail, longest] = ['stage', 'detail', 'longest_side'].map((name) => valueOf(name, names, values));
  return [longest, page.strides[stage]?.[detail]];
}

/** {data, photograph} of the server's answer; the files behind them are brought. */
function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const { data, photograph, files } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  let from = 4 + size;
  for (const { url, size: length, type } of files) {
    bring(url, new Blob([buffer.slice(from, from + length)], { type }));
    from += length;
  }
  return { data, photograph };
}

// A refusal in the page's own words, where it is one.
async function sentence(response) {
  const plain = response.headers.get('content-type')?.startsWith('text/plain');
  return plain ? response.text() : t('page.photograph.failed');
}

const notice = (value) => ({ __type__: 'update', value, visible: true });

// --- the worker that reads

let worker = null;
let asks = 0;

const reader = () => (worker ??= new Worker(new URL('../../web/smaller_worker.js', import.meta.url), { type: 'module' }));

function getReady() {
  try {
    reader();
  } catch {
    // Another server's page may start no worker of this one.
  }
}

/** As web/smaller.js says, off the main thread; what cannot be read, or where there is no worker, goes as it is. */
function smaller(file, longest, stride) {
  const number = ++asks;
  const asIs = () => ({ blob: null });
  if (!(longest >= stride)) return asIs(); // the server says what is wrong
  return new Promise((resolve) => {
    const hear = ({ data }) => {
      if (data.number !== number) return;
      reader().removeEventListener('message', hear);
      resolve(data.result);
    };
    reader().addEventListener('message', hear);
    reader().addEventListener('error', () => resolve(asIs()), { once: true });
    reader().postMessage({ number, file, longest, stride });
  }).catch(asIs);
}

// The maps the position lab draws, for the arrays and questions on stdin; tests/test_lab.py compares them with Python's.
import { readFileSync } from 'node:fs';

const read = (name) => readFileSync(new URL(`../../attn/ui/${name}.js`, import.meta.url), 'utf8');
const { attnCore, labCore } =
  new Function(`${read('common')}; ${read('lab')}; return { attnCore, labCore };`)();

const { data, layout, permutation, questions } = JSON.parse(readFileSync(0, 'utf8'));
const bytes = Buffer.from(data, 'base64');
const model = labCore.model(attnCore.unpack(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length), layout));
const back = labCore.inverse(permutation);
const answers = questions.map(({ query, strength }) => {
  const maps = model.maps(query, strength, permutation, back);
  return Object.fromEntries(Object.entries(maps).map(([name, map]) => [name, [...map]]));
});
const readable = [0, 0.16234, 0.001, 0.00021, 7.8e-7, null, NaN].map(labCore.readable);
process.stdout.write(JSON.stringify({ answers, readable, error: labCore.relativeError([3, 4, 1], [3, 4, 0]) }));

// The maps the position lab draws, for the arrays and questions on stdin; tests/test_lab.py compares them with Python's.
import { readFileSync } from 'node:fs';
import { inverse, labModel } from '../../attn/ui/panels/lab/model.js';
import { readSafetensors } from '../../attn/ui/web/safetensors.js';
import { readable } from '../../attn/ui/web/numbers.js';
import { relativeError } from '../../attn/ui/web/statistics.js';

const { data, permutation, questions } = JSON.parse(readFileSync(0, 'utf8'));
const bytes = Buffer.from(data, 'base64');
const model = labModel(readSafetensors(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)));
const back = inverse(permutation);
const answers = questions.map(({ query, strength }) => {
  const maps = model.maps(query, strength, permutation, back);
  return Object.fromEntries(Object.entries(maps).map(([name, map]) => [name, [...map]]));
});
const numbers = [0, 0.16234, 0.001, 0.00021, 7.8e-7, null, NaN].map((value) => readable(value, 2));
process.stdout.write(JSON.stringify({ answers, readable: numbers, error: relativeError([3, 4, 1], [3, 4, 0]) }));

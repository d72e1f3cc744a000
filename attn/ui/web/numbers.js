// The one way from a number to text: the reader's digits and separators (Intl), a true minus, "–" for undefined.
import { language } from './texts.js';

const UNDEFINED = '–';
const formats = new Map();

function format(value, options) {
  const key = JSON.stringify([language(), options]);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(language(), options));
  return formats.get(key).format(value + 0 || 0).replace('-', '−'); // never "−0"
}

const undefinedNumber = (value) => value === null || value === undefined || !Number.isFinite(value);

/** With exactly `digits` decimals: 0.60. */
export function fixed(value, digits = 0) {
  if (undefinedNumber(value)) return UNDEFINED;
  const text = format(value, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return /[1-9]/.test(text) ? text : text.replace('−', ''); // what rounds to 0 has no sign
}

/** As people read it: `digits` significant ones, whole numbers whole, 2.1×10⁻⁵ for what is small. */
export function readable(value, digits = 3) {
  if (undefinedNumber(value)) return UNDEFINED;
  const size = Math.abs(value);
  if (size !== 0 && size < 1e-3) return powerOfTen(value);
  if (Number.isInteger(value) || size >= 10 ** digits) return format(value, { maximumFractionDigits: 0 });
  return format(value, { maximumSignificantDigits: digits });
}

function powerOfTen(value) {
  const [number, power] = value.toExponential(1).split('e');
  const raised = [...String(Number(power))].map((c) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[c] ?? '⁻').join('');
  return `${format(Number(number), { maximumFractionDigits: 1 })}×10${raised}`;
}

// Chinese sets the sign close to the number.
const percentSign = () => (language().startsWith('zh') ? '%' : ' %');

/** A share as a percentage: with `digits` decimals, or as `readable` has it. */
export function percent(share, digits) {
  if (undefinedNumber(share)) return UNDEFINED;
  return `${digits === undefined ? readable(100 * share) : fixed(100 * share, digits)}${percentSign()}`;
}

/** With its sign, whichever: +1.2, −3.0, 0. */
export function signed(value, digits) {
  if (undefinedNumber(value)) return UNDEFINED;
  const text = fixed(value, digits);
  return value > 0 && /[1-9]/.test(text) ? `+${text}` : text;
}

/** A signed share as a percentage: +1.23 %. */
export function signedPercent(share, digits = 2) {
  return undefinedNumber(share) ? UNDEFINED : `${signed(100 * share, digits)}${percentSign()}`;
}

/** A count in short: 79.3M, in Chinese 7930万. */
export function compact(value) {
  if (undefinedNumber(value)) return UNDEFINED;
  return format(value, { notation: 'compact', maximumSignificantDigits: 3 });
}

/** Two significant digits are what a reader compares: 5.4, 0.13, 12. */
export function rough(value) {
  if (undefinedNumber(value)) return UNDEFINED;
  const size = Math.abs(value);
  return fixed(value, size >= 9.95 ? 0 : size >= 0.995 ? 1 : 2);
}

/** An R² as `readable` has it, but 1 only where the fit is exact to float32: 0.9998 stays 0.9998. */
export function rSquared(value) {
  const rest = 1 - value;
  if (undefinedNumber(value) || !(rest < 5e-4)) return readable(value);
  return rest < 1e-6 ? '1' : fixed(value, Math.ceil(-Math.log10(rest)));
}

/** Comma-separated lines of `columns` [{key, values}], one for each of `rows`; undefined values stay empty. */
export function csvOf(columns, rows = columns[0].values.map((_, i) => i)) {
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const written = (value) =>
    (value === null || value === undefined || Number.isNaN(value) ? '' : quoted(String(value)));
  const head = columns.map(({ key }) => quoted(key)).join(',');
  return `${[head, ...Array.from(rows, (row) => columns.map(({ values }) => written(values[row])).join(','))].join('\n')}\n`;
}

// The bench's part of the address: which mechanisms stand side by side, whose statistics the table shows, how it is
// sorted, and the chosen channel. What is as the page opens with it is left out.
export const FEWEST_COLUMNS = 2;
export const MOST_COLUMNS = 4;
export const SORT = { key: 'change_norm', descending: true };
const SUBJECT = 1;
const SEPARATOR = '~';

// Beside the AttnBlock stands what the window shows beside it.
const opening = (mechanism) => ['spatial', mechanism && mechanism !== 'spatial' ? mechanism : 'se'];

/** What of the panel's state `asked` (see address.js) names: {columns, subject, sort, channel, picked: whether it names a channel}. */
export function stateOf({ columns, subject, sort, channel, mechanism }) {
  const named = columns?.split(SEPARATOR).filter(Boolean).slice(0, MOST_COLUMNS) ?? [];
  const shown = named.length < FEWEST_COLUMNS ? opening(mechanism) : named;
  const at = Number(subject ?? SUBJECT);
  const one = Number(channel ?? NaN);
  const picked = Number.isInteger(one) && one >= 0;
  return {
    columns: shown,
    subject: at in shown ? at : Math.min(SUBJECT, shown.length - 1),
    sort: sort ? { key: sort.replace(/^-/, ''), descending: sort.startsWith('-') } : { ...SORT },
    channel: picked ? one : null,
    picked,
  };
}

/** The changes of the address (see remember() there) that stand for this state. */
export function partsOf({ columns, subject, sort }, { mechanism }) {
  const same = `${columns}` === `${opening(mechanism)}`;
  const sorted = sort.key === SORT.key && sort.descending === SORT.descending;
  return {
    columns: same ? null : columns.join(SEPARATOR),
    subject: subject === SUBJECT ? null : subject,
    sort: sorted ? null : `${sort.descending ? '-' : ''}${sort.key}`,
  };
}

// The panel's words: texts of its part, numbers, and mechanisms by name.
import { percent, readable } from '../../web/numbers.js';
import { t as text } from '../../web/texts.js';

/** A text of this part. */
export const t = (key, values) => text(`channels.${key}`, values);

/** A text of the bench's own part. */
export const b = (key, values) => text(`bench.${key}`, values);

/** Whether there is such a text: a mechanism that somebody brought has none of its own. */
export const known = (key) => t(key) !== `channels.${key}`;

export const titleOf = (mechanism) => (known(`name.${mechanism.name}`) ? t(`name.${mechanism.name}`) : mechanism.title);
export const shortOf = (mechanism) => (known(`short.${mechanism.name}`) ? t(`short.${mechanism.name}`) : mechanism.title);

export const cellText = ({ row, col }) => t('cell', { row, col });

/** A statistic of a channel as it is read: shares in percent. */
export const statisticText = (statistic, value) =>
  (statistic.startsWith('sparsity') || statistic.startsWith('energy_share') ? percent(value) : readable(value));

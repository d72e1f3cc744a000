// The table that the softmax works through, beside the one it would be if it were channel attention, to one scale.
import { fixed } from '../../web/numbers.js';
import { POSITIONS, drawCover, drawWords } from './picture.js';

export function shapes({ data, words, covered }) {
  // [name, rows, columns] in positions or channels
  const tables = () => [
    ['features', data.positions, data.channels],
    ['attention', data.positions, data.positions],
    ['channels', data.channels, data.channels],
  ];
  function boxes({ width, height }) {
    const gap = 26;
    const sides = tables();
    const scale = Math.min((width - 2 * gap) / sides.reduce((sum, [, , columns]) => sum + columns, 0),
      (height - 60) / Math.max(...sides.map(([, rows]) => rows)));
    let x = (width - 2 * gap - scale * sides.reduce((sum, [, , columns]) => sum + columns, 0)) / 2;
    return sides.map(([name, rows, columns]) => {
      const box = { name, rows, columns, x, y: 40, width: columns * scale, height: rows * scale };
      x += box.width + gap;
      return box;
    });
  }
  const label = ({ name, rows, columns }) => words(`table.${name}`, { rows: fixed(rows), columns: fixed(columns) });
  return {
    draw(ctx, size, colours) {
      const [features, ...tables] = boxes(size);
      if (covered()) drawCover(ctx, { ...features, x: tables[0].x, width: size.width - tables[0].x }, colours);
      (covered() ? [features] : [features, ...tables]).forEach((box) => {
        ctx.fillStyle = box.name === 'attention' ? POSITIONS : colours.line;
        ctx.fillRect(box.x, box.y, box.width, box.height);
        // Inside the AttnBlock's table, above the others: where each has room.
        const [x, y, align] = {
          features: [box.x, box.y - 34, 'left'],
          attention: [box.x + 8, box.y + 8, 'left'],
          channels: [Math.min(size.width, box.x + Math.max(box.width, 92)), box.y - 34, 'right'],
        }[box.name];
        const inside = box.name === 'attention' ? { ...colours, text: '#fff', quiet: '#fff' } : colours;
        drawWords(ctx, `${fixed(box.rows)} × ${fixed(box.columns)}`, x, y, inside, { bold: true, align });
        drawWords(ctx, words(`table.${box.name}.name`), x, y + 16, inside, { quiet: true, align });
      });
    },
    items: () => 3,
    hit: (x, y, size) => {
      const at = boxes(size).findIndex((box) => x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height);
      return at < 0 ? null : at;
    },
    place: (item, size) => {
      const box = boxes(size)[item];
      return [box.x, box.y, box.width, box.height];
    },
    describe: (item) => label(boxes({ width: 600, height: 400 })[item]),
    data: () => [
      { key: 'table', values: tables().map(([name]) => name) },
      { key: 'rows', values: tables().map(([, rows]) => rows) },
      { key: 'columns', values: tables().map(([, , columns]) => columns) },
    ],
  };
}

// What the scenes draw from: the photograph with its logits as the window has them, and what came for the story.
import { softmax } from '../../web/attention.js';
import { entropy } from '../../web/statistics.js';

/** facts and arrays from the server, `photograph` from the window; `cell` is the query the story looks at. */
export function storyData(facts, arrays, photograph, pointed) {
  const { rows, cols } = photograph;
  const positions = rows * cols;
  const logits = new Float32Array(positions);
  let kept = null; // the last map, which several pieces of one frame ask for
  const indexOf = ([row, col]) => row * cols + col;

  function probabilities(cell) {
    const at = indexOf(cell);
    if (kept?.at !== at) {
      kept = { at, p: new Float32Array(positions) };
      softmax(photograph.source.row(at, logits), 1, kept.p);
    }
    return kept.p;
  }

  return {
    facts, arrays, photograph, positions,
    channels: facts.channels,
    queries: facts.queries,
    cell: facts.queries[0],
    indexOf,
    cellOf: (index) => [Math.floor(index / cols), index % cols],
    array: (name) => arrays[name],
    /** One query's map in × uniform. */
    mapOf: (cell) => probabilities(cell).map((p) => p * positions),
    perplexityOf: (cell) => Math.exp(entropy(probabilities(cell))),
    /** A kept map (a row of `name`, one a query of the story) in × uniform. */
    row: (name, which) => arrays[name].slice(which * positions, (which + 1) * positions).map((v) => v / facts.steps),
    /** Which of the story's two queries is nearer to a cell. */
    nearestQuery: ([row, col]) => {
      const [a, b] = facts.queries.map(([r, c]) => Math.hypot(r - row, c - col));
      return a <= b ? 0 : 1;
    },
    /** The reader points somewhere: what moves by itself stops. */
    pointAt(cell) {
      this.cell = cell;
      pointed();
    },
  };
}

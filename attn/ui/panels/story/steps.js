// The steps of the story in their order. Each has a scene (what the picture shows while it is read), the statements of
// the note it meets, and a question whose right answer is the option of that number (from 0).
export const STEPS = [
  { id: 'where', scene: 'where', statements: ['S1'], options: 3, right: 1 },
  { id: 'elsewhere', scene: 'two', statements: ['S6'], options: 2, right: 1 },
  { id: 'pixel', scene: 'pixel', statements: ['S1', 'S2'] },
  { id: 'shapes', scene: 'shapes', statements: ['S2', 'S10'], options: 3, right: 1 },
  { id: 'gates', scene: 'gates', statements: ['S3', 'S6'], options: 2, right: 1 },
  { id: 'affine', scene: 'affine', statements: ['S4'], options: 3, right: 0 },
  { id: 'change', scene: 'change', statements: ['S3'] },
  { id: 'random', scene: 'random', statements: ['S1'], options: 2, right: 1 },
  { id: 'shuffle', scene: 'shuffle', statements: ['S8', 'S9'], options: 2, right: 1 },
  { id: 'sentence', scene: 'sentence', statements: ['S5', 'S7'], options: 2, right: 0 },
  { id: 'buys', scene: 'buys', statements: ['S8'] },
  { id: 'end', scene: 'where', statements: ['S10'] },
];

/** A step by its name in an address, or null. */
export const stepNamed = (id) => STEPS.find((step) => step.id === id) ?? null;

/** The name of the step `by` places after the one named `id`, within the story. */
export function neighbour(id, by) {
  const at = STEPS.findIndex((step) => step.id === id);
  return STEPS[Math.max(0, Math.min(STEPS.length - 1, at + by))].id;
}

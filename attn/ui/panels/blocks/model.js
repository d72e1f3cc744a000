// Where a block of a weights file fits, and what the page would have to change for it.

/** One place a stage: the first network that has it. [["resnet18", "layer4"], ["resnet50", "layer2"]] */
export function firstPlaces(places) {
  const seen = new Map();
  for (const [stem, stage] of places) if (!seen.has(stage)) seen.set(stage, stem);
  return [...seen].map(([stage, stem]) => [stem, stage]);
}

/** What can be done with a block: used, "use" it here, "switch" the network first, or refused. */
export function stateOf(block, used) {
  if (block.refusal) return 'refused';
  if (block.fits) return block.label === used ? 'used' : 'use';
  return block.places.length ? 'switch' : 'nowhere';
}

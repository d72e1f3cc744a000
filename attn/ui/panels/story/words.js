// The numbers that the story's sentences name: those of the figures beside them, worded.
import { fixed, percent, rSquared, readable, rough } from '../../web/numbers.js';

export function wordsOf(data) {
  if (!data) return {};
  const { facts, photograph } = data;
  const [[row, col], [row2, col2]] = facts.queries;
  const fit = (name) => rSquared(facts.delta_r2[name] ?? NaN);
  return {
    positions: fixed(data.positions),
    channels: fixed(data.channels),
    square: fixed(data.positions ** 2),
    rows: fixed(photograph.rows),
    cols: fixed(photograph.cols),
    row, col, row2, col2,
    shared: percent(facts.shared, 0),
    overlap: percent(facts.overlap, 0),
    overlap_random: percent(facts.random.overlap, 0),
    perplexity_random: fixed(facts.random.perplexity),
    r2_se: rSquared(facts.r2.se ?? NaN),
    delta_spatial: fit('spatial'),
    delta_xca: fit('xca'),
    channel: facts.channel,
    gate: fixed(facts.channel_gate, 2),
    error: readable(facts.shuffle_error.spatial, 2),
    error_position: rough(facts.shuffle_error.spatial_position),
    error_se: readable(facts.shuffle_error.se, 2),
    auc: fixed(figure(facts, 'attn'), 3),
    auc_position: fixed(figure(facts, 'attn_position'), 3),
    auc_se: fixed(figure(facts, 'se'), 3),
    auc_eca: fixed(figure(facts, 'eca'), 3),
    auc_xca: fixed(figure(facts, 'xca'), 3),
    auc_features: fixed(figure(facts, 'features'), 3),
    auc_random: fixed(facts.auc_random ?? NaN, 3),
    auc_people: fixed(figure(facts, 'people'), 3),
    gain: fixed(figure(facts, 'attn_position') - figure(facts, 'attn'), 2),
    gain_layer2: fixed(facts.gains.layer2 ?? NaN, 3),
    gain_layer3: fixed(facts.gains.layer3 ?? NaN, 3),
    photographs: facts.figures[0]?.photographs ?? '–',
  };
}

const figure = (facts, name) => facts.figures.find((row) => row.mechanism === name)?.auc ?? NaN;

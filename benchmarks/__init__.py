"""Speed, memory and bytes, as ratios in one run; what they gave stands in RESULTS.md."""

/** The similarity below which a suggestion no longer looks like a typo. */
const LEAST_LIKENESS = 0.4;

/**
 * The candidate that is most similar to a mistyped name; undefined if none is similar. The same rule as `legwork_private.nearest_name`: Dice's
 * coefficient over pairs of adjacent letters, where the start and the end of a name count as letters.
 */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  const typed = pairsOf(name);
  let nearest: string | undefined;
  let best = LEAST_LIKENESS;
  for (const candidate of candidates.toSorted()) {
    const pairs = pairsOf(candidate);
    const likeness = (2 * [...typed].filter((pair) => pairs.has(pair)).length) / (typed.size + pairs.size);
    if (likeness < best || (likeness === best && nearest !== undefined)) continue;
    nearest = candidate;
    best = likeness;
  }
  return nearest;
}

function pairsOf(name: string): Set<string> {
  const letters = Array.from(`^${name.toLowerCase()}$`);
  return new Set(letters.slice(1).map((letter, index) => `${letters[index]}${letter}`));
}

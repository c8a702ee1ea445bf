import fc from "fast-check";

// Few letters, so that secrets overlap, contain and repeat each other; none that a marker is made of.
const unit = fc.constantFrom("a", "b", "ab", "é", "日", "😀", '"', "\\", "/", "\n", "\u0001", "x");

/** Values of six bytes and more. */
export const secretValue = fc
  .string({ unit, minLength: 6, maxLength: 14 })
  .filter((value) => Buffer.byteLength(value) >= 6);

export const secretValues = fc.array(secretValue, { minLength: 1, maxLength: 6 });

/** Texts in which secrets, pieces of them and other text follow each other. */
export function textAround(values: readonly string[]): fc.Arbitrary<string> {
  const part = fc.oneof(
    fc.constantFrom(...values),
    fc.constantFrom(...values).chain((value) => fc.nat(value.length).map((end) => value.slice(0, end))),
    fc.constantFrom(...values).chain((value) => fc.nat(value.length).map((start) => value.slice(start))),
    fc.constantFrom(...values).map((value) => JSON.stringify(value)),
    fc.string({ unit, maxLength: 5 }),
  );
  return fc.array(part, { maxLength: 12 }).map((parts) => parts.join("").toWellFormed());
}

/** `bytes` cut into chunks in some way, empty chunks too. */
export function chunksOf(bytes: Buffer): fc.Arbitrary<Buffer[]> {
  return fc.array(fc.nat(bytes.length), { maxLength: 8 }).map((cuts) => {
    const edges = [0, ...cuts.sort((a, b) => a - b), bytes.length];
    return edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
  });
}

const ALIGNMENTS = [0, 1, 2] as const;

/**
 * The texts by which `bytes` can be found inside longer Base64 data: at each of three alignments, in both
 * alphabets. Characters at the edges are left out, because they also depend on the neighbouring bytes.
 */
export function base64Forms(bytes: Uint8Array): string[] {
  const forms = new Set<string>();
  for (const offset of ALIGNMENTS) {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]);
    const first = Math.ceil((offset * 8) / 6);
    const end = Math.floor((shifted.length * 8) / 6);
    for (const alphabet of ["base64", "base64url"] as const) {
      forms.add(shifted.toString(alphabet).slice(first, end));
    }
  }
  forms.delete("");
  return [...forms];
}

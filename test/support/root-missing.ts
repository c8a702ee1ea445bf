/** The reason why a test that mounts file systems or changes users is skipped; undefined for root. */
export function rootMissing(): string | undefined {
  return process.getuid?.() === 0 ? undefined : "this test needs root";
}

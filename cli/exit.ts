/**
 * Ends the process after its output is written, because a pipe takes 64 KiB and the rest waits for the
 * reader.
 */
export async function exit(status: number): Promise<never> {
  const written = [process.stdout, process.stderr].map(
    (stream) => new Promise<void>((resolve) => stream.write("", () => resolve())),
  );
  await Promise.all(written);
  process.exit(status);
}

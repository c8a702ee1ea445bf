/** Ends the process once its output is written: a pipe takes 64 KiB, and the rest waits for its reader. */
export async function exit(status: number): Promise<never> {
  const written = [process.stdout, process.stderr].map(
    (stream) => new Promise<void>((resolve) => stream.write("", () => resolve())),
  );
  await Promise.all(written);
  process.exit(status);
}

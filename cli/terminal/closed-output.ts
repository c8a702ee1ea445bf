type Handler = (status: number) => void;

let handler: Handler = (status) => process.exit(status);

/**
 * Sets a handler for a closed standard output; without one the process ends. The handler gets the exit
 * status.
 */
export function whenOutputCloses(then: Handler): void {
  handler = then;
}

/** Ends the command quietly when its output is closed, for example by `head` or a closed terminal. */
export function watchOutput(): void {
  process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => handler(code === "EPIPE" ? 0 : 1));
  process.stderr.on("error", () => undefined);
}

type Handler = (status: number) => void;

let handler: Handler = (status) => process.exit(status);

/** What happens instead of the end of the process when there is nobody left to read what it prints. */
export function whenOutputCloses(then: Handler): void {
  handler = then;
}

/** A reader that has seen enough, such as head, ends a command without a complaint; so does a terminal that is closed. */
export function watchOutput(): void {
  process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => handler(code === "EPIPE" ? 0 : 1));
  process.stderr.on("error", () => undefined);
}

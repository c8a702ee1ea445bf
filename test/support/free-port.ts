import { createServer } from "node:net";

// Ports below Linux's ephemeral range, so that no connection and no listener on port 0 takes a free port before the
// caller listens on it.
const LOWEST = 12_000;
const COUNT = 20_000;

// Each process begins at a random port and tries all others before it returns to one.
let next = Math.floor(Math.random() * COUNT);

/** A TCP port of 127.0.0.1 on which no process listens at the moment. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + (next++ % COUNT);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(false) : reject(error),
    );
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

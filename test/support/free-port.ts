import { createServer } from "node:net";

// Below the ports that Linux gives to connections and to listeners without a wish: what is free now is not taken by one of
// them before whoever asked for it listens there.
const LOWEST = 12_000;
const COUNT = 20_000;

// Each process goes on from somewhere else, and comes back to a port after all the others.
let next = Math.floor(Math.random() * COUNT);

/** A TCP port of 127.0.0.1 that nobody uses at the moment. */
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

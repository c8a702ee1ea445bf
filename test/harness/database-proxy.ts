import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";
import { type PostgresConfig, readDatabaseConfig } from "#common/database/config.ts";
import { readEnvironment } from "#common/service/environment.ts";
import type { TestDatabase, TestPostgres } from "./postgres.ts";

/** A proxy before a PostgreSQL server that delays both directions and reads what clients send. */
export type DatabaseProxy = {
  /** The settings of a database, with this proxy as its server. */
  configOf(database: TestDatabase): PostgresConfig;
  /** Milliseconds that each direction takes from now on. A round trip takes twice as long. */
  setLatency(ms: number): void;
  /**
   * The round trips since the last call: for each the names of the statements that it carried. A client begins a
   * round trip when it sends something after an answer.
   */
  takeRoundTrips(): string[][];
  close(): Promise<void>;
};

/** Starts a proxy before `postgres`, which must listen on TCP without TLS. */
export async function startDatabaseProxy(postgres: TestPostgres): Promise<DatabaseProxy> {
  let latencyMs = 0;
  let roundTrips: string[][] = [];
  const sockets = new Set<Socket>();

  const server = createServer((client) => {
    const upstream = createConnection(postgres.port, "127.0.0.1");
    const readNames = createNameReader();
    let current: string[] | undefined;
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on("error", () => undefined);
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on("data", (chunk: Buffer) => {
        if (from === upstream) current = undefined;
        else {
          if (!current) {
            current = [];
            roundTrips.push(current);
          }
          current.push(...readNames(chunk));
        }
        if (latencyMs === 0) to.write(chunk);
        else setTimeout(() => to.write(chunk), latencyMs);
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    configOf({ url }) {
      const read = readEnvironment({
        AIRLOCK_DATABASE_URL: url.replace(/@[^/]*\//, `@127.0.0.1:${port}/`),
      });
      const config = readDatabaseConfig(read);
      read.check();
      if (config.kind !== "postgres") throw new Error("not a PostgreSQL URL");
      return config;
    },
    setLatency(ms) {
      latencyMs = ms;
    },
    takeRoundTrips() {
      const taken = roundTrips;
      roundTrips = [];
      return taken;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/**
 * Returns a function that reads what one client sends and returns the names of the statements in it: the name of a
 * prepared statement, or the text of one without a name.
 */
function createNameReader(): (chunk: Buffer) => string[] {
  let rest = Buffer.alloc(0);
  let isStarted = false;
  let unnamed = "";
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const names: string[] = [];
    for (;;) {
      // Only the first message of a connection has no type before its length.
      const head = isStarted ? 1 : 0;
      if (rest.length < head + 4) return names;
      const end = head + rest.readUInt32BE(head);
      if (rest.length < end) return names;
      const type = isStarted ? String.fromCharCode(rest[0] ?? 0) : "";
      const fields = rest
        .subarray(head + 4, end)
        .toString("latin1")
        .split("\0");
      if (type === "P" && fields[0] === "") unnamed = fields[1] ?? "";
      if (type === "B") names.push(fields[1] || unnamed);
      if (type === "Q") names.push(fields[0] ?? "");
      isStarted = true;
      rest = rest.subarray(end);
    }
  };
}

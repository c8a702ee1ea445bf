import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { freePort } from "../support/free-port.ts";

const PROGRAM = "toxiproxy-server";
const START_TIMEOUT_MS = 10_000;

/** A fault of a connection in both directions: one of Toxiproxy's toxics, with its attributes. */
export type Fault =
  | { readonly type: "latency"; readonly attributes: { readonly latency: number; readonly jitter: number } }
  /** Cuts the data into pieces of about this size in bytes, each `delay` microseconds after the one before. */
  | {
      readonly type: "slicer";
      readonly attributes: {
        readonly average_size: number;
        readonly size_variation: number;
        readonly delay: number;
      };
    }
  /** Resets the connection after `timeout` milliseconds. */
  | { readonly type: "reset_peer"; readonly attributes: { readonly timeout: number } }
  /** Drops all data and reports nothing. */
  | { readonly type: "timeout"; readonly attributes: { readonly timeout: 0 } };

/** The faults of some proxies. */
export type Faults = {
  /** Adds a fault to all open and new connections, until `heal`. */
  inject(fault: Fault): Promise<void>;
  /** Closes all connections and accepts no new ones, until `heal`. */
  cut(): Promise<void>;
  /** Removes all faults. */
  heal(): Promise<void>;
};

export type Toxiproxy = {
  /** The URL of Toxiproxy's API, for programs that make their own proxies. */
  readonly api: string;
  /** Makes a proxy to `port` of 127.0.0.1; resolves to the proxy's port. */
  proxy(name: string, port: number): Promise<number>;
  /** The faults of all current proxies whose names begin with `prefix`. */
  on(prefix: string): Promise<Faults>;
  stop(): Promise<void>;
};

/** The reason why this machine has no Toxiproxy; undefined when it has. */
export function toxiproxyMissing(): string | undefined {
  return program() ? undefined : `no ${PROGRAM} here, on PATH or in AIRLOCK_CI_TOOLS`;
}

/** Starts a real Toxiproxy of the test's own, on free ports. */
export async function startToxiproxy(): Promise<Toxiproxy> {
  const file = program();
  if (!file) throw new Error(toxiproxyMissing());
  const port = await freePort();
  const api = `http://127.0.0.1:${port}`;
  const server: ChildProcess = spawn(file, ["-host", "127.0.0.1", "-port", String(port)], {
    stdio: "ignore",
  });
  const exited = once(server, "exit");
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${api}${path}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`Toxiproxy refuses ${method} ${path}: ${response.status} ${text}`);
    return (text.startsWith("{") ? JSON.parse(text) : text) as T;
  };
  for (const until = Date.now() + START_TIMEOUT_MS; ; ) {
    const isUp = await call("GET", "/version").catch((error: unknown) => {
      if (Date.now() > until) throw error;
      return undefined;
    });
    if (isUp !== undefined) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const stop = (each: Known) => call("POST", pathOf(each), { ...each, enabled: false });
  const start = (each: Known) => call("POST", pathOf(each), { ...each, enabled: true });
  return {
    api,
    async proxy(name, to) {
      const upstream = `127.0.0.1:${to}`;
      const made = { name, upstream, listen: "127.0.0.1:0", enabled: true };
      return Number((await call<Known>("POST", "/proxies", made)).listen.split(":").at(-1));
    },
    async on(prefix) {
      const known = Object.values(await call<Record<string, Known>>("GET", "/proxies"));
      const proxies = known
        .filter(({ name }) => name.startsWith(prefix))
        .map(({ name, listen, upstream }) => ({ name, listen, upstream }));
      if (proxies.length === 0) throw new Error(`there is no proxy ${prefix}`);
      const toxics = new Set<string>();
      return {
        async inject({ type, attributes }) {
          for (const stream of ["upstream", "downstream"]) {
            const name = `${type}_${stream}`;
            const toxic = { name, type, stream, toxicity: 1, attributes };
            for (const each of proxies) await call("POST", `${pathOf(each)}/toxics`, toxic);
            toxics.add(name);
          }
        },
        async cut() {
          for (const each of proxies) await stop(each);
        },
        async heal() {
          for (const each of proxies) {
            // Connections with dropped data are closed, because that data is never sent again.
            if (toxics.has("timeout_upstream")) await stop(each);
            for (const name of toxics) await call("DELETE", `${pathOf(each)}/toxics/${name}`);
            await start(each);
          }
          toxics.clear();
        },
      };
    },
    async stop() {
      server.kill("SIGKILL");
      await exited;
    },
  };
}

type Known = { readonly name: string; readonly listen: string; readonly upstream: string };

function pathOf({ name }: Known): string {
  return `/proxies/${encodeURIComponent(name)}`;
}

function program(): string | undefined {
  const directories = [process.env.AIRLOCK_CI_TOOLS ?? "", ...(process.env.PATH ?? "").split(delimiter)];
  return directories
    .filter(Boolean)
    .map((directory) => join(directory, PROGRAM))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

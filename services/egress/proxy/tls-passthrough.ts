import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ByteCollector } from "#common/byte-collector.ts";
import type { Route } from "../routes/routes.ts";
import { namesHost, readClientHello } from "./client-hello.ts";
import { checkSecondHello } from "./hello-retry.ts";
import { refuseServerName } from "./tls-refusal.ts";

// Milliseconds in which a script must send its ClientHello; otherwise its connection is closed.
const HELLO_TIMEOUT_MS = 10_000;
// A fatal TLS alert, unrecognized_name. It is sent before a connection is closed, because the client then
// shows this error instead of "connection reset".
const ALERT = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

/**
 * Waits for the script's ClientHello on `socket` and puts it back, so that it can be read again. Rejects with
 * a Refusal unless the ClientHello names `host`, or names nothing where `host` is an IP address. Another name
 * could reach another server at the same address.
 */
export async function expectServerName(socket: Duplex, host: string): Promise<void> {
  const said = new ByteCollector();
  const late = setTimeout(() => socket.destroy(), HELLO_TIMEOUT_MS);
  try {
    for (;;) {
      const chunk = await nextChunk(socket);
      if (chunk === undefined) throw refuseServerName("the connection ended before TLS began");
      said.append(chunk);
      const hello = readClientHello(said.bytes);
      if (hello.state === "incomplete") continue;
      if (hello.state === "invalid") throw refuseServerName(hello.reason);
      if (!namesHost(hello, host)) {
        socket.write(ALERT);
        throw refuseServerName("TLS names another server than CONNECT does");
      }
      socket.unshift(said.bytes);
      return;
    }
  } finally {
    clearTimeout(late);
  }
}

/**
 * Copies bytes in both directions until the script and the server have ended, and counts them. Rejects with a
 * Refusal when the run exceeds its traffic limit, or when a second ClientHello is not for `host`. The first
 * one, with which `client` begins, must have been checked.
 */
export async function copyBothWays(
  client: Duplex,
  server: Duplex,
  { traffic }: Route,
  host: string,
): Promise<void> {
  const { fromClient, fromServer } = checkSecondHello(host);
  try {
    await Promise.all([
      pipeline(client, traffic.meter("out"), fromClient, server),
      pipeline(server, traffic.meter("in"), fromServer, client),
    ]);
  } finally {
    client.destroy();
    server.destroy();
  }
}

async function nextChunk(socket: Duplex): Promise<Buffer | undefined> {
  for (;;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk !== null) return chunk;
    if (socket.readableEnded || socket.destroyed) return undefined;
    await new Promise<void>((resolve) => {
      const events = ["readable", "end", "close", "error"];
      const wake = () => {
        for (const event of events) socket.off(event, wake);
        resolve();
      };
      for (const event of events) socket.on(event, wake);
    });
  }
}

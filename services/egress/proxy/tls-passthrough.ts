import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ByteCollector } from "#common/byte-collector.ts";
import { Refusal } from "../policy/refusal.ts";
import type { Route } from "../routes/routes.ts";
import { type ClientHello, readClientHello } from "./client-hello.ts";

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
      if (chunk === undefined) throw refuse("the connection ended before TLS began");
      said.append(chunk);
      const hello = readClientHello(said.bytes);
      if (hello.state === "incomplete") continue;
      if (hello.state === "invalid") throw refuse(hello.reason);
      if (!isMeant(hello, host)) {
        socket.write(ALERT);
        throw refuse("TLS names another server than CONNECT does");
      }
      socket.unshift(said.bytes);
      return;
    }
  } finally {
    clearTimeout(late);
  }
}

/**
 * Whether a ClientHello may be sent to `host`. It may lack a name when `host` is an IP address, because TLS
 * has no server names that are addresses (RFC 6066). Some clients send the address as a name all the same.
 */
function isMeant(
  { serverName, hidesName }: Extract<ClientHello, { readonly state: "complete" }>,
  host: string,
): boolean {
  return serverName === host || (isIP(host) !== 0 && serverName === undefined && !hidesName);
}

/**
 * Copies bytes in both directions until the script and the server have ended, and counts them. Rejects with a
 * Refusal when the run exceeds its traffic limit.
 */
export async function copyBothWays(client: Duplex, server: Duplex, { traffic }: Route): Promise<void> {
  try {
    await Promise.all([
      pipeline(client, traffic.meter("out"), server),
      pipeline(server, traffic.meter("in"), client),
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

function refuse(reason: string): Refusal {
  return new Refusal(403, "sni_refused", `Airlock refused the connection: ${reason}`);
}

import type { Socket } from "node:net";
import { connect, createSecureContext, rootCertificates, type SecureContext, type TLSSocket } from "node:tls";
import { ONE_PIECE } from "../short-pieces.ts";

/** Starts TLS on a connection to `host`. Rejects unless the server's certificate is valid for that name. */
export type Encrypt = (socket: Socket, host: string) => Promise<TLSSocket>;

/**
 * Makes a function that starts TLS with a server. The function trusts the public authorities and those in
 * `extraAuthorities` (PEM; empty: none).
 */
export function createEncrypt(extraAuthorities: string): Encrypt {
  let secureContext: SecureContext | undefined;
  return (socket, host) => {
    secureContext ??= createSecureContext({
      minVersion: "TLSv1.2",
      ...(extraAuthorities !== "" && { ca: [...rootCertificates, extraAuthorities] }),
    });
    return new Promise((resolve, reject) => {
      // Node passes this high-water mark on to the socket's stream, although Node's types lack the option.
      const keeps = { highWaterMark: ONE_PIECE };
      const secured = connect({
        socket,
        servername: host,
        secureContext,
        ALPNProtocols: ["http/1.1"],
        ...keeps,
      });
      secured.once("error", (error) => {
        socket.destroy();
        reject(error);
      });
      socket.once("close", () => reject(Object.assign(new Error("closed"), { code: "ECONNRESET" })));
      secured.once("secureConnect", () => {
        secured.on("error", () => undefined);
        resolve(secured);
      });
    });
  };
}

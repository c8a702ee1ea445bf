import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { connect, createSecureContext, rootCertificates, type SecureContext, type TLSSocket } from "node:tls";

/** Encrypts a connection to `host`, whose certificate must be valid for that name. */
export type Encrypt = (socket: Socket, host: string) => Promise<TLSSocket>;

/** Trusts the public authorities and those of `extraCaPath`. Rejects when that file cannot be read. */
export async function createEncrypt(extraCaPath: string | undefined): Promise<Encrypt> {
  const extra = extraCaPath === undefined ? undefined : await readFile(extraCaPath, "utf8");
  let secureContext: SecureContext | undefined;
  return (socket, host) => {
    secureContext ??= createSecureContext({
      minVersion: "TLSv1.2",
      ...(extra !== undefined && { ca: [...rootCertificates, extra] }),
    });
    return new Promise((resolve, reject) => {
      const secured = connect({ socket, servername: host, secureContext, ALPNProtocols: ["http/1.1"] });
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

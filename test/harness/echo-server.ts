import { webcrypto } from "node:crypto";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import * as x509 from "../../services/egress/x509.ts";

/** A request that the server received. */
export type Seen = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

export type EchoServer = {
  readonly port: number;
  /** All requests so far. */
  readonly seen: Seen[];
  close(): Promise<void>;
};

export type TestCertificates = {
  /** The authority's certificate, in PEM form. */
  readonly authority: string;
  /** A new key and certificate for a server with these host names, in PEM form. */
  issue(names: readonly string[]): Promise<{ key: string; cert: string }>;
};

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

export async function createTestCertificates(): Promise<TestCertificates> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=Test authority",
    notAfter: new Date(Date.now() + 3_600_000),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  return {
    authority: authority.toString("pem"),
    async issue(names) {
      const own = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
      const leaf = await x509.X509CertificateGenerator.create({
        subject: "CN=test",
        issuer: authority.subject,
        notAfter: new Date(Date.now() + 3_600_000),
        signingAlgorithm: ALGORITHM,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value }))),
        ],
      });
      const key = await webcrypto.subtle.exportKey("pkcs8", own.privateKey);
      return { key: x509.PemConverter.encode(key, "PRIVATE KEY"), cert: leaf.toString("pem") };
    },
  };
}

/**
 * Answers every request with what it saw, as JSON: `/redirect?URL` redirects there, `/header` sends the
 * headers back as headers too, `/gzip` claims an encoding, `/gzip-late` does so behind 1,100 other header
 * lines, `/manipulated` does so as RFC 3229 has it, `/coded` claims a transfer coding, `/interim` sends 100
 * interim responses first, `/part` sends the first ten bytes as a part, `/big` sends a megabyte, `/slow`
 * sends the echo byte by byte.
 */
export async function startEchoServer(tls?: { key: string; cert: string }): Promise<EchoServer> {
  const seen: Seen[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    let body = "";
    try {
      for await (const chunk of request) body += chunk;
    } catch {
      return;
    }
    const path = request.url ?? "";
    const entry: Seen = {
      method: request.method ?? "",
      path,
      headers: request.headers as Record<string, string>,
      body,
    };
    seen.push(entry);
    const echo = JSON.stringify(entry);
    if (path.startsWith("/redirect?")) {
      response.writeHead(302, { location: decodeURIComponent(path.slice(10)) }).end();
    } else if (path === "/header") {
      response.writeHead(200, { "x-echo": request.headers.authorization ?? "none" }).end(echo);
    } else if (path === "/gzip") {
      response.writeHead(200, { "content-encoding": "gzip" }).end(echo);
    } else if (path === "/gzip-late") {
      const lines = Array.from({ length: 1_100 }, () => ["a", "b"]).flat();
      response.writeHead(200, [...lines, "content-encoding", "gzip"]).end(echo);
    } else if (path === "/interim") {
      for (let n = 0; n < 100; n++) response.writeProcessing();
      response.end(echo);
    } else if (path === "/manipulated") {
      response.writeHead(226, { im: "gzip" }).end(echo);
    } else if (path === "/coded") {
      response.writeHead(200, { "transfer-encoding": "gzip, chunked" }).end(echo);
    } else if (path === "/part") {
      response.writeHead(206, { "content-range": `bytes 0-9/${echo.length}` }).end(echo.slice(0, 10));
    } else if (path === "/big") {
      response.end(Buffer.alloc(1024 * 1024, "x"));
    } else if (path === "/slow") {
      for (const character of echo) {
        response.write(character);
        await new Promise(setImmediate);
      }
      response.end();
    } else {
      response.end(echo);
    }
  };
  const server = tls
    ? createHttpsServer(tls, (request, response) => void answer(request, response))
    : createHttpServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

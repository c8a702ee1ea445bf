import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Received = { readonly request: IncomingMessage; readonly body: string; readonly atMs: number };
export type Answer = (response: ServerResponse, received: Received) => void;

/** A server that gives each request the next of `answers`, and the last one to all further requests. */
export async function startScriptedServer(...answers: readonly Answer[]) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const each = { request, body, atMs: performance.now() };
    received.push(each);
    (answers[received.length - 1] ?? answers.at(-1))?.(response, each);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Answers with this JSON. */
export function json(status: number, body: object, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
  };
}

/** Answers with a problem document. */
export function problem(status: number, code: string, headers: Record<string, string> = {}): Answer {
  return json(
    status,
    { type: `urn:airlock:problem:${code}`, title: code, status, code, detail: `${code}.` },
    headers,
  );
}

/** Closes the connection without an answer, as a server that is killed. */
export const hangUp: Answer = (response) => response.destroy();

/** Never answers. */
export const silence: Answer = () => undefined;

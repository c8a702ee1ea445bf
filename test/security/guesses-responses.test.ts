import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, request as openRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { authorizationOf, startTestEgress, type TestEgress } from "../harness/egress.ts";
import { Arms, type Guess, guessOf, pick, randomText, randomUrl, randomValue } from "./cases/guesses.ts";

/*
 * A script has a server say guesses of brokered values, and looks at what comes back, in which pieces, and when. Servers
 * answer with a body in two parts, of which the second waits until all has come that comes of the first.
 */

/** So long after what must come has come, nothing more comes. */
const QUIET_MS = 15;
const TRIALS = 250;
/** The content type of responses that the server breaks off in their middle; no other field can say so. */
const BREAKS = "text/breaks";
const headerOf = (text: string) => text.slice(-200).replaceAll("\n", " ").trim();
/** The lag in bytes of bodies from a secret's own host. */
const LAG_BYTES = 4_096;

let directory: string;
let server: Server;
let egress: TestEgress;
let ask: (host: string, parts: readonly [string, string], atPause: number, type?: string) => Promise<Answer>;
const pauses = new Map<string, PromiseWithResolvers<void>>();
const values = [...Array.from({ length: 6 }, randomValue), randomUrl()];

/** A response as a script reads it. */
type Answer = {
  readonly headers: IncomingMessage["headers"];
  /** The length of the body before its second part was sent, and all of it. */
  readonly atPause: number;
  readonly body: string;
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-guesses-"));
  server = createServer(async (request, response) => {
    const parts: string[] = [];
    for await (const chunk of request) parts.push(chunk);
    const [id = "", type = "", first = "", second = ""] = JSON.parse(parts.join("")) as string[];
    response.writeHead(200, { "content-type": type, "x-said": headerOf(first + second) });
    response.flushHeaders();
    response.write(first);
    await pauses.get(id)?.promise;
    if (type === BREAKS) return void response.destroy();
    response.end(second);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const secrets = Object.fromEntries(
    values.map((value, index) => [`S${index}`, { value, inject: { host: "own.example", header: "X-Key" } }]),
  );
  const project = {
    name: "demo",
    secrets,
    network_allowlist: [`own.example:${port}`, `other.example:${port}`],
    allow_private: ["127.0.0.1"],
    limits: { network_mb: 10_000 },
  };
  await writeFile(join(directory, "demo.yaml"), JSON.stringify(project));
  egress = await startTestEgress(directory);
  const { network } = await egress.holdRoute("demo", "e");
  ask = async (host, parts, atPause, type = "text/plain") => {
    const connection = await egress.worker.connect("e");
    const request = openRequest({
      createConnection: () => connection,
      ...{ method: "POST", path: `http://${host}.example:${port}/` },
      headers: { host: "x", "proxy-authorization": authorizationOf(network) },
    });
    const id = randomText(20);
    const pause = Promise.withResolvers<void>();
    pauses.set(id, pause);
    request.end(JSON.stringify([id, type, ...parts]));
    const [response] = (await once(request, "response")) as [IncomingMessage];
    let body = "";
    response.on("error", () => undefined);
    response.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    await vi.waitUntil(() => body.length >= atPause, { timeout: 20_000, interval: 2 });
    await sleep(QUIET_MS);
    const first = body.length;
    const closed = new Promise((resolve) => response.once("close", resolve));
    pause.resolve();
    await closed;
    pauses.delete(id);
    return { headers: response.headers, atPause: first, body };
  };
});
afterAll(async () => {
  await egress.close();
  server.close();
  await rm(directory, { recursive: true });
});

/** Asks for one guess after the other, several at once, and counts those that show what `predict` says. */
async function trial(
  guesses: readonly Guess[],
  look: (guess: Guess) => Promise<void>,
  what: string,
): Promise<number> {
  const arms = new Arms();
  const left = [...guesses];
  const work = async () => {
    for (let guess = left.shift(); guess; guess = left.shift()) {
      await look(guess);
      arms.add(guess);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return arms.report(what);
}

const guesses = (accept: (guess: Guess) => boolean): Guess[] => {
  const found: Guess[] = [];
  while (found.length < TRIALS * 2) {
    const guess = guessOf(values, found.length % 2 === 0);
    if (accept(guess)) found.push(guess);
  }
  return found;
};

describe("a response of a host without a secret", () => {
  it("a response of a host without a secret leaves unchanged and undelayed, whatever it holds of another host's secret", async () => {
    const bound = await trial(
      guesses(() => true),
      async ({ text }) => {
        const parts = [`${randomText(5)} ${text}`, " and more"] as const;
        const answer = await ask("other", parts, parts[0].length);
        expect(answer).toMatchObject({ atPause: parts[0].length, body: parts.join("") });
        expect(answer.headers["x-said"]).toBe(headerOf(parts.join("")));
      },
      "responses of other hosts",
    );
    expect(bound).toBeLessThan(0.015);
  }, 60_000);
});

describe("a response of a secret's own host", () => {
  it("a response of a secret's own host comes with a lag that does not depend on whether it ends like a secret begins", async () => {
    const bound = await trial(
      guesses(({ part }) => part === "beginning"),
      async ({ text }) => {
        const parts = [
          `${randomText(LAG_BYTES + 500)} ${text}`,
          pick([" and more", "\n", randomText(9)]),
        ] as const;
        const [whole, atPause] = [parts.join(""), parts[0].length - LAG_BYTES];
        const breaks = pick([true, false]);
        const answer = await ask("own", parts, atPause, breaks ? BREAKS : "text/plain");
        expect(answer).toMatchObject({ atPause, body: breaks ? whole.slice(0, atPause) : whole });
        expect(answer.headers["x-said"]).toBe(headerOf(whole));
      },
      "responses of the own host",
    );
    expect(bound).toBeLessThan(0.015);
  }, 60_000);

  it("a response of a secret's own host leaves unchanged where it holds less than the whole value, however it is written", async () => {
    const written: readonly ((text: string) => string)[] = [
      (text) => text,
      (text) => JSON.stringify({ text }),
      (text) => encodeURIComponent(text),
      (text) => Buffer.from(text).toString("hex"),
      (text) => Buffer.from(text).toString("base64"),
    ];
    for (const padded of values) {
      // Base64 without its padding, or without the bits of one more character, is as good as the whole.
      const value = padded.replace(/=+$/, "");
      const pieces = Array.from({ length: 12 }, () => {
        const from = pick([0, 1, 2, 3, 7]);
        return value.slice(from, value.length - (from === 0 ? pick([3, 4, 8]) : pick([2, 3, 6])));
      });
      const body = pieces.map((piece) => pick(written)(piece)).join("\n");
      expect((await ask("own", ["", body], 0)).body).toBe(body);
    }
  });

  it("a response of a secret's own host that repeats a whole value has the placeholder in its place, which reveals that much", async () => {
    for (const value of values) {
      const { body, headers } = await ask("own", [`so ${value}`, "."], 0);
      expect(body).toMatch(/^so airlock-placeholder-[0-9a-f]{36}\.$/);
      expect(headers["x-said"]).toBe(body);
    }
  });

  it("a response of a secret's own host that is a stream of lines comes line by line", async () => {
    const [value = ""] = values;
    for (const type of ["text/event-stream", "application/x-ndjson; charset=utf-8"]) {
      const first = `data: ${value.slice(0, 8)}\n\ndata: ${value.slice(0, 9)}\n`;
      const answer = await ask("own", [`${first}data: `, `${value}\n`], first.length, type);
      expect(answer.atPause).toBe(first.length);
      expect(answer.body).toMatch(/\ndata: airlock-placeholder-[0-9a-f]{36}\n$/);
    }
  });
});

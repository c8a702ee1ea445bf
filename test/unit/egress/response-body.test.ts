import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { expect, it } from "vitest";
import { Secret } from "#common/secret.ts";
import { newPlaceholder } from "../../../services/egress/brokered/placeholders.ts";
import { filterBody } from "../../../services/egress/brokered/response-body.ts";
import { type ResponseFilter, responseFilters } from "../../../services/egress/brokered/response-filter.ts";

const SECRET = "brk-4VqZ81mmXw0Lp2Aa";
const INJECTION = { host: "erp.example", port: 443, header: "x-key", format: "{}" };
const placeholder = newPlaceholder(new Secret("KEY", SECRET), INJECTION);

async function filtered(chunks: readonly string[], type: string, secret = placeholder): Promise<string[]> {
  const filter = responseFilters([secret]).get("erp.example") as ResponseFilter;
  const seen: string[] = [];
  const response = { headers: { "content-type": type } } as IncomingMessage;
  const body = filterBody(filter, response);
  body.on("data", (piece) => seen.push(String(piece)));
  await pipeline(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), body);
  return seen;
}

it.each([
  "text/event-stream",
  "text/event-stream;charset=utf-8",
  "application/x-ndjson",
  "application/jsonl ; a=b",
  "Application/NDJSON",
])("a response body of type %s leaves line by line", async (type) => {
  const chunks = [`one ${SECRET.slice(0, 5)}\ntwo\nthr`, `ee ${SECRET}\n`, `${SECRET.slice(0, 9)}`];
  expect(await filtered(chunks, type)).toEqual([
    `one ${SECRET.slice(0, 5)}\ntwo\n`,
    `three ${placeholder.text}\n`,
    SECRET.slice(0, 9),
  ]);
});

it.each(["text/plain", "application/json", "text/event-streams", ""])(
  "a response body of type %j leaves with its lag, one piece out for each piece in",
  async (type) => {
    const chunks = [`${"a".repeat(5_000)}\n${SECRET}`, SECRET.slice(0, 7), "end"];
    expect(await filtered(chunks, type)).toEqual([
      "a".repeat(5_001 + SECRET.length - 4_096),
      "a".repeat(7),
      "aaa",
      `${"a".repeat(4_096 - SECRET.length - 11)}\n${placeholder.text}${SECRET.slice(0, 7)}end`,
    ]);
  },
);

it("brokered secrets right behind each other in a response body hold nothing back", async () => {
  const secret = newPlaceholder(new Secret("KEY", "Zk9wQx7LmT2vRb4NcY8sPq3W"), INJECTION);
  const body = "Zk9wQx7LmT2vRb4NcY8sPq3W".repeat(3) + "x".repeat(300_000);
  for (const size of [1_000, 65_536, body.length]) {
    const chunks = Array.from({ length: Math.ceil(body.length / size) }, (_, at) =>
      body.slice(at * size, (at + 1) * size),
    );
    expect((await filtered(chunks, "text/plain", secret)).join("")).toBe(
      secret.text.repeat(3) + "x".repeat(300_000),
    );
  }
});

it("a response body in which secrets overlap without end breaks off with an error", async () => {
  const periodic = newPlaceholder(new Secret("KEY", "ab".repeat(10)), INJECTION);
  const chunks = Array.from({ length: 100 }, () => "ab".repeat(32_768));
  await expect(filtered(chunks, "text/plain", periodic)).rejects.toThrow("overlap without end");
});

const BASIC = Buffer.from("admin:S3cr3t-P@ssword-1999").toString("base64");

it.each([
  ["a number", "4815162342007788", "4815162342007788"],
  ["a number within another", "48151623420077881", "x0481516234200778815"],
  ["a number with separators", "4815162342007788", "4,815,162,342,007,788"],
  ["a number with escapes", "48151623420077881", "\\u00348151623420077881"],
  ["what Base64 stands for", BASIC, "wrong: admin:S3cr3t-P@ssword-1999"],
  ["what Base64 stands for, in JSON", BASIC, JSON.stringify({ auth: ["admin:S3cr3t-P@ssword-1999"] })],
  ["what Base64 stands for, in a URL", BASIC, encodeURIComponent("admin:S3cr3t-P@ssword-1999")],
])("a response body holds no brokered value: %s", async (_what, value, body) => {
  const secret = newPlaceholder(new Secret("KEY", value), INJECTION);
  expect((await filtered([body], "text/plain", secret)).join("")).toContain(secret.text);
});

it.each([
  ["a rounded number", "4815162342007788", "4.815162e+15 4.815162342007e15 4815162342007790"],
  ["a number of the same double", "98151623420077881", "98151623420077880 9.815162342007788e16"],
  ["a number without its first zeros", "0004815162342007788", "4815162342007788"],
  ["the password alone", BASIC, "S3cr3t-P@ssword-1999 admin:"],
  ["most of it", BASIC, "admin:S3cr3t-P@ssword-199"],
])(
  "a response body leaves unchanged where it holds less than the whole value: %s",
  async (_what, value, body) => {
    const secret = newPlaceholder(new Secret("KEY", value), INJECTION);
    expect((await filtered([body], "text/plain", secret)).join("")).toBe(body);
  },
);

import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { expect, it } from "vitest";
import { Secret } from "#common/secret.ts";
import { newPlaceholder } from "../../../services/egress/brokered/placeholders.ts";
import { filterBody } from "../../../services/egress/brokered/response-body.ts";
import { type ResponseFilter, responseFilters } from "../../../services/egress/brokered/response-filter.ts";

const VALUE = "Zk9wQx7LmT2vRb4NcY8sPq3W";
const INJECTION = { host: "erp.example", port: 443, header: "x-key", format: "{}" };
const filter = responseFilters([newPlaceholder(new Secret("KEY", VALUE), INJECTION)]).get(
  "erp.example",
) as ResponseFilter;

const BODY_BYTES = 256 * 1024;
const TRIES = 5;

/** The shortest time of a few in which such a body comes through: a busy machine makes it longer, and never shorter. */
async function timeOf(text: string): Promise<number> {
  const bytes = Buffer.from(text.repeat(Math.ceil(BODY_BYTES / text.length)).slice(0, BODY_BYTES));
  const chunks = Array.from({ length: BODY_BYTES / 65_536 }, (_, at) =>
    bytes.subarray(at * 65_536, (at + 1) * 65_536),
  );
  let shortestMs = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const fromMs = performance.now();
    const body = filterBody(filter, { headers: {} } as IncomingMessage).resume();
    await pipeline(Readable.from(chunks), body);
    shortestMs = Math.min(shortestMs, performance.now() - fromMs);
  }
  return shortestMs;
}

const hex = (text: string) => Buffer.from(text).toString("hex");
const percent = (text: string) => [...text].map((sign) => `%${hex(sign)}`).join("");

it.each<readonly [string, (guess: string) => string]>([
  ["hexadecimal digits and blanks", (guess) => hex(guess) + " ".repeat(120)],
  ["Base64 and line ends", (guess) => Buffer.from(guess).toString("base64").slice(0, -2) + "\n".repeat(120)],
  ["soft line breaks", (guess) => guess + "=\n".repeat(60)],
  ["colours", (guess) => guess + "\x1b[0m".repeat(30)],
  ["percent escapes", percent],
  ["the text itself", (guess) => `${guess} `],
])(
  "a body with the beginning of a brokered value takes as long as a body without it: %s",
  async (_what, bodyOf) => {
    const right = await timeOf(bodyOf(VALUE.slice(0, 20)));
    const wrong = await timeOf(bodyOf(`${VALUE.slice(0, 19)}t`.replace("Z", "Y")));
    // Of the time in which the search is over one way and the other, up to a hundred times as much, nothing is left.
    expect(right / wrong).toBeGreaterThan(0.8);
    expect(right / wrong).toBeLessThan(1.25);
  },
  60_000,
);

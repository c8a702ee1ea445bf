import fc from "fast-check";
import { expect, it } from "vitest";
import { Secret } from "#common/secret.ts";
import { LaggingRedactor } from "../../../services/egress/brokered/lagging-redactor.ts";
import { newPlaceholder, type Placeholder } from "../../../services/egress/brokered/placeholders.ts";
import { type ResponseFilter, responseFilters } from "../../../services/egress/brokered/response-filter.ts";

const INJECTION = { host: "erp.example", port: 443, header: "x-key", format: "{}" };
const SECRETS = ["brk-4VqZ81mmXw0Lp2Aa", "xyxyxyxyxyxyxyxyxyxy", "9f86d081884c7d659a2feaa0c55ad015"];
const placeholders = SECRETS.map((value) => newPlaceholder(new Secret("KEY", value), INJECTION));
const filter = responseFilters(placeholders).get("erp.example") as ResponseFilter;

/** The output after each chunk, and at the end. */
function outputs(chunks: readonly Buffer[], lagBytes: number): string[] {
  const redactor = new LaggingRedactor({ ...filter, lagBytes });
  const told = chunks.map((chunk) => Buffer.concat(redactor.push(chunk)).toString("latin1"));
  return [...told, Buffer.concat(redactor.end()).toString("latin1")];
}

/** Texts that begin like a secret, and do not go on like it. */
const nearlySecret = fc
  .record({ secret: fc.constantFrom(...SECRETS), length: fc.nat({ max: 15 }), from: fc.nat({ max: 3 }) })
  .map(({ secret, length, from }) => `${secret.slice(from, from + length)}!`);
const harmless = fc
  .array(fc.oneof(nearlySecret, fc.string({ unit: "grapheme-ascii", maxLength: 12 })))
  .map((parts) => parts.join(""))
  .filter((text) => !SECRETS.some((secret) => text.includes(secret)));

it("a body leaves the lagging redactor exactly when as many bytes as the lag have followed it", () => {
  const property = fc.property(
    fc.array(harmless, { maxLength: 12 }),
    fc.integer({ min: 200, max: 300 }),
    (texts, lag) => {
      const chunks = texts.map((text) => Buffer.from(text, "latin1"));
      const whole = texts.join("");
      fc.pre(!SECRETS.some((secret) => whole.includes(secret)));
      let came = 0;
      let left = "";
      for (const [index, output] of outputs(chunks, lag).entries()) {
        came += chunks[index]?.length ?? lag;
        left += output;
        expect(left).toBe(whole.slice(0, Math.max(0, came - lag)));
      }
    },
  );
  fc.assert(property, { numRuns: 500 });
});

it("a brokered secret in a body is replaced by its placeholder however the body is cut into chunks", () => {
  const between = fc.string({ unit: "grapheme-ascii", maxLength: 400 });
  const property = fc.property(
    fc.array(fc.tuple(between, fc.nat({ max: SECRETS.length - 1 })), { maxLength: 20 }),
    fc.infiniteStream(fc.integer({ min: 1, max: 90 })),
    (parts, sizes) => {
      const text = parts.map(([before, index]) => `${before}\n${SECRETS[index]}\n`).join("");
      fc.pre(
        text.split("\n").every((line) => SECRETS.includes(line) || !SECRETS.some((s) => line.includes(s))),
      );
      const chunks: Buffer[] = [];
      for (let at = 0; at < text.length; ) {
        const size = sizes.next().value as number;
        chunks.push(Buffer.from(text.slice(at, at + size), "latin1"));
        at += size;
      }
      const shown = (value: string) => (placeholders[SECRETS.indexOf(value)] as Placeholder).text;
      const expected = text.replace(/[^\n]+/g, (line) => (SECRETS.includes(line) ? shown(line) : line));
      expect(outputs(chunks, 256).join("")).toBe(expected);
    },
  );
  fc.assert(property, { numRuns: 300 });
});

it("brokered secrets right behind each other become a placeholder each, and overlapping ones become one", () => {
  const [first = "", periodic = ""] = SECRETS;
  const [firstText, periodicText] = placeholders.map(({ text }) => text);
  for (const size of [1, 7, 64, 4_000]) {
    const text = first.repeat(40) + periodic.repeat(40) + first.repeat(2);
    const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
      Buffer.from(text.slice(index * size, (index + 1) * size)),
    );
    const whole = outputs(chunks, 256).join("");
    expect(whole).toBe(`${firstText?.repeat(40)}${periodicText}${firstText?.repeat(2)}`);
  }
});

it("brokered secrets that overlap without end make the body break off", () => {
  const redactor = new LaggingRedactor(filter);
  const chunk = Buffer.from("xy".repeat(32_768));
  expect(() => {
    for (let index = 0; index < 100; index++) redactor.push(chunk);
  }).toThrow("overlap without end");
});

it("a long body passes the lagging redactor in linear time, also byte by byte", () => {
  for (const [size, count] of [
    [1, 20_000],
    [65_536, 500],
  ] as const) {
    const redactor = new LaggingRedactor(filter);
    const chunk = Buffer.from("a".repeat(size));
    let left = 0;
    for (let index = 0; index < count; index++) {
      for (const piece of redactor.push(chunk)) left += piece.length;
    }
    expect(left).toBe(size * count - filter.lagBytes);
  }
}, 20_000);

it("the filters of a host search for that host's own secrets only, and their lag does not reveal a length", () => {
  const other = newPlaceholder(new Secret("OTHER", "another-value-of-this"), {
    ...INJECTION,
    host: "crm.example",
  });
  const filters = responseFilters([...placeholders, other]);
  expect([...filters.keys()]).toEqual(["erp.example", "crm.example"]);
  const texts = (host: string) =>
    filters.get(host)?.needles.needles.map(({ bytes }) => Buffer.from(bytes).toString());
  for (const secret of SECRETS) {
    expect(texts("erp.example")).toContain(secret);
    expect(texts("crm.example")).not.toContain(secret);
  }
  expect(filters.get("erp.example")?.lagBytes).toBe(filters.get("crm.example")?.lagBytes);
  const long = newPlaceholder(new Secret("LONG", '"<&'.repeat(300)), INJECTION);
  const { needles, lagBytes } = responseFilters([long]).get("erp.example") as ResponseFilter;
  for (const { bytes } of needles.needles) expect(bytes.length).toBeLessThan(lagBytes);
});

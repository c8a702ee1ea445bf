import { expect, it } from "vitest";
import { Secret } from "#common/secret.ts";
import { CompiledValues } from "../../../services/egress/brokered/compiled-values.ts";
import { newPlaceholder, placeholderGuard } from "../../../services/egress/brokered/placeholders.ts";
import {
  type ResponseFilter,
  redactLines,
  responseFilters,
} from "../../../services/egress/brokered/response-filter.ts";
import { heldBytes } from "../../support/held-memory.ts";

const VALUES = ["k7Hq2Vb9Lx4Tn8Rw3Yz6Pd1Mf5Js0GcA", `eyJ${"hbGciOiJIUzI1NiIsInR5cCI6Ik".repeat(150)}`];
const INJECTION = { host: "erp.example", port: 443, header: "authorization", format: "{}" };
const ROUTES = 200;

function newRoute(compiled: CompiledValues) {
  const placeholders = VALUES.map((value, index) =>
    newPlaceholder(new Secret(`KEY${index}`, value), INJECTION),
  );
  const filter = responseFilters(placeholders, compiled).get("erp.example") as ResponseFilter;
  return { placeholders, filter };
}

it("the routes of many paused runs share the compiled forms of their values, and each writes its own placeholder", async () => {
  const compiled = new CompiledValues();
  const first = newRoute(compiled);
  const before = await heldBytes();
  const routes = Array.from({ length: ROUTES }, () => newRoute(compiled));
  const texts = routes.map(({ filter }) => redactLines(filter, [`key=${VALUES[0]}`])[0]);
  for (const { placeholders } of routes) placeholderGuard(placeholders);
  expect(((await heldBytes()) - before) / ROUTES).toBeLessThan(30_000);
  expect(texts).toEqual(routes.map(({ placeholders }) => `key=${placeholders[0]?.text}`));
  expect(new Set(texts).size).toBe(ROUTES);
  expect(first.filter.needles.automaton).toBe(routes[0]?.filter.needles.automaton);
});

it.each([1, 7, 1_000])(
  "the guard of a body names the placeholder that it met in pieces of %d bytes",
  async (size) => {
    const { placeholders } = newRoute(new CompiledValues());
    const guard = placeholderGuard(placeholders);
    const failed = new Promise<Error>((resolve) => guard.once("error", resolve));
    guard.resume();
    const text = placeholders[1]?.text ?? "";
    const escaped = [...Buffer.from(text)].map((byte) => `\\u${byte.toString(16).padStart(4, "0")}`).join("");
    const body = Buffer.from(`airlock airlock-placeholder-of-another, then ${escaped} and more`);
    for (let at = 0; at < body.length && !guard.destroyed; at += size)
      guard.write(body.subarray(at, at + size));
    expect((await failed).message).toContain("the placeholder of secret KEY1 stands in the body");
  },
);

it("the guard of a body passes on text that only begins like a placeholder", async () => {
  const { placeholders } = newRoute(new CompiledValues());
  const guard = placeholderGuard(placeholders);
  const body = `airlock-placeholder-of-another, ${placeholders[0]?.text.slice(0, -1)}`;
  guard.end(Buffer.from(body));
  expect(Buffer.concat(await guard.toArray()).toString()).toBe(body);
});

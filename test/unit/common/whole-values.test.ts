import { globSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

/** The beginning of a text, inside a template that becomes a message. */
const CUT = /\$\{[^}`]*\.(?:slice|substring|substr)\(0,[^}`]*\}/g;

/**
 * Cuts of texts that never are a secret's value: a digest, a date, an id, or a part of a host name or address for the
 * log.
 */
const HARMLESS = [
  "digest(`${deployment}/${project}`).slice(0, 8)",
  "checksum.slice(0, 12)",
  "toISOString().slice(0, 10)",
  "owner.container.slice(0, 12)",
  "label.slice(0, SHOWN_CHARACTERS)",
  'host.split(":").slice(0, SHOWN_GROUPS)',
];

const cutsIn = (text: string) => [...text.matchAll(CUT)].map(([cut]) => cut);

describe("Airlock's own sentences", () => {
  it("Airlock's own sentences hold a value whole or not at all, because a part of a secret is not found by redaction", () => {
    const files = globSync(["services/**/*.ts", "gateway/**/*.ts", "cli/**/*.ts"], {
      exclude: ["**/gen/**"],
    });
    const found = files.flatMap((file) => cutsIn(readFileSync(file, "utf8")).map((cut) => `${file}: ${cut}`));
    expect(files.length).toBeGreaterThan(100);
    expect(found.filter((cut) => !HARMLESS.some((harmless) => cut.includes(harmless)))).toEqual([]);
  });

  it("Airlock's own sentences are searched by a pattern that finds a cut", () => {
    expect(cutsIn("throw new Error(`no field ${name.slice(0, 80)}…`)")).toHaveLength(1);
    expect(cutsIn("`${text.length > 9 ? text.substring(0, 9) : text}`")).toHaveLength(1);
    expect(cutsIn("`${text.length} characters`")).toEqual([]);
  });
});

import { describe, expect, it } from "vitest";
import { Secret } from "#common/secret.ts";
import { createLog } from "#common/service/log.ts";
import { createWeakValueWarnings } from "../../../services/secrets/weak-value-warnings.ts";

describe("secrets that are words or short numbers", () => {
  it("secrets that are words or short numbers are reported once in a warning, by name and without their value", () => {
    const lines: string[] = [];
    const log = createLog("secrets", "info", { write: (line: string) => void lines.push(line) });
    const warn = createWeakValueWarnings(log);
    const secrets = [
      new Secret("DATABASE", "postgres"),
      new Secret("PIN", "0001000"),
      new Secret("ACCOUNT", "48151623421088"),
      new Secret("TOKEN", "tok-5f2c9a7e41d0-wxyz"),
    ];
    warn("billing", secrets);
    warn("billing", secrets);
    const warned = lines.map((line) => JSON.parse(line) as { secret: string; project: string; msg: string });
    expect(warned.map(({ secret, project }) => [project, secret])).toEqual([
      ["billing", "DATABASE"],
      ["billing", "PIN"],
    ]);
    expect(warned[0]?.msg).toContain("is a word");
    expect(warned[1]?.msg).toContain("is a short number");
    expect(lines.join("")).not.toMatch(/postgres|0001000/);
  });
});

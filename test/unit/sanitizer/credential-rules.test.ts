import { afterEach, describe, expect, it, vi } from "vitest";

const PRESET = "@secretlint/secretlint-rule-preset-recommend";

afterEach(() => {
  vi.doUnmock(PRESET);
  vi.resetModules();
});

async function loadFrom(preset: () => Promise<unknown>) {
  vi.resetModules();
  vi.doMock(PRESET, preset);
  const { loadRules } = await import("../../../services/sanitizer/credentials/rules.ts");
  return loadRules;
}

describe("the rules for unknown credentials", () => {
  it("the rules for unknown credentials withhold the output while they cannot be loaded, and are tried again", async () => {
    let isGone = true;
    const { creator } = await import("@secretlint/secretlint-rule-preset-recommend");
    const loadRules = await loadFrom(async () => ({
      get creator() {
        if (isGone) throw new Error("gone");
        return creator;
      },
    }));
    await expect(loadRules()).rejects.toMatchObject({
      code: "output_withheld",
      message: "The output is withheld because the rules for unknown credentials could not be loaded.",
    });
    isGone = false;
    const judge = await loadRules();
    expect(judge("gitlab", `glpat-${"aB3".repeat(7)}`)).toEqual([[0, 27]]);
  });

  it("the rules for unknown credentials withhold the output when a rule is missing", async () => {
    const { creator } = await import("@secretlint/secretlint-rule-preset-recommend");
    const rules = creator.rules.filter(({ meta }) => !meta.id.endsWith("-github"));
    const loadRules = await loadFrom(async () => ({ creator: { ...creator, rules } }));
    await expect(loadRules()).rejects.toMatchObject({ code: "output_withheld" });
  });
});

import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Secret } from "../../../services/common/secret.ts";
import { createSecretHistory } from "../../../services/secrets/history.ts";

const HOUR_MS = 3_600_000;

function historyAt() {
  const time = { nowMs: 0 };
  const history = createSecretHistory(
    { now: () => time.nowMs, after: () => () => undefined },
    randomBytes(32),
  );
  const record = (values: Record<string, string>, project = "p") => {
    const secrets = Object.entries(values).map(([name, value]) => new Secret(name, value));
    const { version, retired, retiredVersions } = history.record(project, secrets);
    return { version, retired: retired.map((secret) => secret.reveal()), retiredVersions };
  };
  return { time, record };
}

describe("the version", () => {
  it("stays while names and values stay, in whatever order", () => {
    const { record } = historyAt();
    const { version } = record({ A: "value-1", B: "value-2" });
    expect(record({ B: "value-2", A: "value-1" }).version).toBe(version);
  });

  it("changes with every name, every value and every project", () => {
    const { record } = historyAt();
    const versions = [
      record({ A: "value-1" }),
      record({ A: "value-2" }),
      record({ B: "value-2" }),
      record({ A: "value-1", B: "value-2" }),
      record({}),
      record({ A: "value-1" }, "other"),
    ].map(({ version }) => version);
    expect(new Set(versions).size).toBe(versions.length);
  });

  it("says nothing about the values", () => {
    const first = historyAt().record({ A: "value-1" }).version;
    expect(historyAt().record({ A: "value-1" }).version).not.toBe(first);
    const plain = createHash("sha256").update('["p",[["A","value-1"]]]').digest("base64url");
    expect(plain.startsWith(first)).toBe(false);
  });
});

describe("retired values", () => {
  it("are those that were replaced, for a day", () => {
    const { time, record } = historyAt();
    expect(record({ A: "value-1" }).retired).toEqual([]);
    expect(record({ A: "value-2" }).retired).toEqual(["value-1"]);
    time.nowMs = HOUR_MS;
    expect(record({ A: "value-3" }).retired).toEqual(["value-1", "value-2"]);
    time.nowMs = 24.5 * HOUR_MS;
    expect(record({ A: "value-3" }).retired).toEqual(["value-2"]);
    time.nowMs = 26 * HOUR_MS;
    expect(record({ A: "value-3" }).retired).toEqual([]);
  });

  it("are current again when they come back, under any name", () => {
    const { record } = historyAt();
    record({ A: "value-1" });
    record({ A: "value-2" });
    expect(record({ B: "value-1" }).retired).toEqual(["value-2"]);
  });

  it("are bounded in number", () => {
    const { record } = historyAt();
    for (let index = 0; index < 1_100; index++) record({ A: `value-${index}` });
    const { retired } = record({ A: "last-value" });
    expect(retired).toHaveLength(1_000);
    expect(retired.at(-1)).toBe("value-1099");
  });
});

describe("retired versions", () => {
  it("are named while every one of their values is current or retired", () => {
    const { time, record } = historyAt();
    const first = record({ A: "value-1" }).version;
    const second = record({ A: "value-1", B: "value-2" });
    expect(second.retiredVersions).toEqual([first]);
    expect(record({ A: "value-3", B: "value-2" }).retiredVersions).toEqual([first, second.version]);
    time.nowMs = 25 * HOUR_MS;
    expect(record({ A: "value-3", B: "value-2" }).retiredVersions).toEqual([]);
  });

  it("do not name the current one, nor those of another project", () => {
    const { record } = historyAt();
    const first = record({ A: "value-1" }).version;
    const second = record({ A: "value-2" }).version;
    expect(record({ A: "value-1" }).retiredVersions).toEqual([second]);
    expect(record({ A: "value-2" }).retiredVersions).toEqual([first]);
    expect(record({ A: "value-1" }, "other").retiredVersions).toEqual([]);
  });

  it("are bounded in number", () => {
    const { record } = historyAt();
    for (let index = 0; index < 300; index++) record({ A: `value-${index}` });
    expect(record({ A: "last-value" }).retiredVersions).toHaveLength(100);
  });
});

import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Secret } from "#common/secret.ts";
import { BrokeredSecret } from "../../../services/secrets/brokered-secret.ts";
import { createSecretHistory } from "../../../services/secrets/history.ts";

const HOUR_MS = 3_600_000;

function historyAt() {
  const time = { nowMs: 0 };
  const history = createSecretHistory(
    { now: () => time.nowMs, monotonicMs: () => time.nowMs, after: () => () => undefined },
    randomBytes(32),
  );
  const recordSecrets = (secrets: readonly Secret[], project = "p") => history.record(project, secrets);
  const record = (values: Record<string, string>, project?: string) =>
    recordSecrets(
      Object.entries(values).map(([name, value]) => new Secret(name, value)),
      project,
    );
  /** The values of a version by name; undefined when it is not known. */
  const find = (version: string, project = "p") => {
    const found = history.find(project, version);
    return found && Object.fromEntries(found.secrets.map((secret) => [secret.name, secret.reveal()]));
  };
  return { time, record, recordSecrets, find };
}

describe("the version of a project's secrets", () => {
  it("the version of a project's secrets stays while names and values stay, in whatever order", () => {
    const { record } = historyAt();
    const { version } = record({ A: "value-1", B: "value-2" });
    expect(record({ B: "value-2", A: "value-1" }).version).toBe(version);
  });

  it("the version of a project's secrets changes with every name, every value and every project", () => {
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

  it("the version of a project's secrets changes with where a value is brokered, because sanitizers skip brokered values", () => {
    const { recordSecrets } = historyAt();
    const value = "a-value-of-some-length";
    const injection = { host: "erp.example", port: 443, header: "Authorization", format: "Bearer {}" };
    const versions = [
      new Secret("A", value),
      new BrokeredSecret("A", value, injection),
      new BrokeredSecret("A", value, { ...injection, host: "crm.example" }),
      new BrokeredSecret("A", value, { ...injection, header: "X-Key" }),
    ].map((secret) => recordSecrets([secret]).version);
    expect(new Set(versions).size).toBe(versions.length);
  });

  it("the version of a project's secrets says nothing about the values", () => {
    const first = historyAt().record({ A: "value-1" }).version;
    expect(historyAt().record({ A: "value-1" }).version).not.toBe(first);
    const plain = createHash("sha256").update('["p",[["A","value-1"]]]').digest("base64url");
    expect(plain.startsWith(first)).toBe(false);
  });
});

describe("a requested version of secrets", () => {
  it("a requested version of secrets has exactly its own values, current or replaced", () => {
    const { record, find } = historyAt();
    const first = record({ A: "value-1", B: "value-b" }).version;
    const second = record({ A: "value-2", B: "value-b" }).version;
    expect(find(first)).toEqual({ A: "value-1", B: "value-b" });
    expect(find(second)).toEqual({ A: "value-2", B: "value-b" });
    expect(find("never")).toBeUndefined();
    expect(find(first, "other")).toBeUndefined();
  });

  it("a version of secrets is known for a day after it was replaced, however often it was requested", () => {
    const { time, record, find } = historyAt();
    const first = record({ A: "value-1" }).version;
    time.nowMs = 100 * HOUR_MS;
    expect(find(first)).toEqual({ A: "value-1" });
    record({ A: "value-2" });
    time.nowMs = 123 * HOUR_MS;
    expect(find(first)).toEqual({ A: "value-1" });
    record({ A: "value-3" });
    time.nowMs = 124.5 * HOUR_MS;
    expect(find(first)).toBeUndefined();
  });

  it("a version of secrets is known for a day after it was replaced for the last time", () => {
    const { time, record, find } = historyAt();
    const first = record({ A: "value-1" }).version;
    record({ A: "value-2" });
    record({ A: "value-1" });
    time.nowMs = 20 * HOUR_MS;
    record({ A: "value-2" });
    time.nowMs = 40 * HOUR_MS;
    expect(find(first)).toEqual({ A: "value-1" });
    time.nowMs = 45 * HOUR_MS;
    expect(find(first)).toBeUndefined();
  });

  it("a version of secrets is known while it is one of the last hundred that were replaced", () => {
    const { record, find } = historyAt();
    const versions = Array.from({ length: 300 }, (_, index) => record({ A: `value-${index}` }).version);
    expect(versions.filter((version) => find(version))).toEqual(versions.slice(199));
  });
});

import { describe, expect, it } from "vitest";
import { type AllowedHost, allows, normalHost, parseAllowedHost } from "#common/projects/network.ts";

function list(...entries: string[]): AllowedHost[] {
  return entries.map((entry) => {
    const parsed = parseAllowedHost(entry);
    if (!parsed) throw new Error(`${entry} is no entry`);
    return parsed;
  });
}

describe("a host", () => {
  it.each([
    ["API.Example.", "api.example"],
    ["127.1", "127.0.0.1"],
    ["0x7f000001", "127.0.0.1"],
    ["2130706433", "127.0.0.1"],
    ["0177.0.0.1", "127.0.0.1"],
    ["[::1]", "::1"],
    ["[::FFFF:127.0.0.1]", "::ffff:7f00:1"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["127.0.0.1%2e", "127.0.0.1"],
    ["a b", undefined],
    ["a/b", undefined],
    ["a@b", undefined],
    ["a:1", undefined],
    ["::1", undefined],
    ["", undefined],
    ["1.2.3.4.5", undefined],
  ])("the host %s is read as %s", (text, expected) => expect(normalHost(text)).toBe(expected));
});

describe("an allowlist", () => {
  const allowlist = list("api.example", "*.w.example:8443", "*.v.example", "10.0.0.1");

  it.each([
    ["api.example", 443],
    ["api.example", 80],
    ["a.w.example", 8443],
    ["a.b.w.example", 8443],
    ["a.v.example", 443],
    ["10.0.0.1", 80],
  ] as const)("an allowlist allows %s at %i", (host, port) =>
    expect(allows(allowlist, host, port)).toBe(true),
  );

  it.each([
    ["api.example", 8443],
    ["x.api.example", 443],
    ["xapi.example", 443],
    ["w.example", 8443],
    ["xw.example", 8443],
    ["a.w.example", 443],
    ["v.example", 443],
    ["10.0.0.2", 80],
    ["", 443],
  ] as const)("an allowlist does not allow %s at %i", (host, port) =>
    expect(allows(allowlist, host, port)).toBe(false),
  );

  it.each(["*", "*.", "a*.example", "*.*.example", "*.127.0.0.1", "h:0", "h:70000", "h:", "h:1:2"])(
    "an allowlist cannot contain %s",
    (entry) => expect(parseAllowedHost(entry)).toBeUndefined(),
  );

  it("an empty allowlist allows no host", () => expect(allows([], "api.example", 443)).toBe(false));
});

import { describe, expect, it } from "vitest";
import { readEnvironment } from "#common/service/environment.ts";
import { clientNetwork } from "../../../../gateway/rates/client-address.ts";
import { readRatesConfig } from "../../../../gateway/rates/config.ts";

function read(env: Readonly<Record<string, string>>) {
  const reader = readEnvironment(env);
  const config = readRatesConfig(reader, "required");
  reader.check();
  return config;
}

describe("readRatesConfig", () => {
  it("readRatesConfig takes the numbers of the design unless told otherwise", () => {
    expect(read({})).toEqual({
      byRole: { admin: 100, operator: 50, developer: 30, observer: 20, anonymous: 5 },
      executions: { requests: 10, windowMs: 60_000 },
      trustedProxies: [],
      redisUrl: undefined,
    });
    expect(readRatesConfig(readEnvironment({}), "off")).toBeUndefined();
  });

  it("readRatesConfig changes the roles that are named", () => {
    expect(read({ AIRLOCK_RATE_LIMITS: "developer=60, observer=7" })?.byRole).toEqual({
      admin: 100,
      operator: 50,
      developer: 60,
      observer: 7,
      anonymous: 5,
    });
    expect(read({ SANDBOX_RATE_LIMIT: "none" })?.executions).toBeUndefined();
    expect(read({ SANDBOX_RATE_LIMIT: "3/day" })?.executions).toEqual({ requests: 3, windowMs: 86_400_000 });
  });

  it.each([
    ["AIRLOCK_RATE_LIMITS", "developer=0"],
    ["AIRLOCK_RATE_LIMITS", "developer=-5"],
    ["AIRLOCK_RATE_LIMITS", "developer"],
    ["AIRLOCK_RATE_LIMITS", "boss=5"],
    ["AIRLOCK_RATE_LIMITS", "developer=1000001"],
    ["SANDBOX_RATE_LIMIT", "0/minute"],
    ["SANDBOX_RATE_LIMIT", "10"],
    ["SANDBOX_RATE_LIMIT", "10/week"],
    ["AIRLOCK_TRUSTED_PROXIES", "10.0/8"],
    ["AIRLOCK_TRUSTED_PROXIES", "proxy.example"],
    ["REDIS_URL", "http://:secret-71@host"],
    ["REDIS_URL", "redis://:secret-71@host/name"],
    ["REDIS_URL", "redis://:secret-71@"],
    ["REDIS_URL_FILE", "/nonexistent/redis-url"],
  ])("readRatesConfig refuses %s=%s in a sentence without a password", (name, value) => {
    expect(() => read({ [name]: value })).toThrow(name);
    expect(() => read({ [name]: value })).not.toThrow("secret-71");
  });
});

describe("clientNetwork", () => {
  const proxies = read({ AIRLOCK_TRUSTED_PROXIES: "10.0.0.0/8,fd00::/8" })?.trustedProxies ?? [];
  it.each([
    ["an IPv4 address", "203.0.113.5", undefined, "203.0.113.5"],
    ["an IPv4 address in an IPv6 socket", "::ffff:203.0.113.5", undefined, "203.0.113.5"],
    ["the network of an IPv6 address", "2001:db8:1:2:3:4:5:6", undefined, "2001:db8:1:2::/64"],
    ["the peer, who is no proxy", "203.0.113.5", "198.51.100.9", "203.0.113.5"],
    ["what a proxy saw", "10.0.0.1", "198.51.100.9", "198.51.100.9"],
    ["what the outermost proxy saw", "10.0.0.1", "192.0.2.1, 198.51.100.9, 10.2.3.4", "198.51.100.9"],
    ["what a proxy saw, with its port", "10.0.0.1", "198.51.100.9:4711", "198.51.100.9"],
    ["what a proxy saw, an IPv6 address with its port", "fd00::1", "[2001:db8::9]:4711", "2001:db8::/64"],
    ["the proxy that wrote no address", "10.0.0.1", "198.51.100.9, unknown", "10.0.0.1"],
    ["the proxy without the field", "10.0.0.1", undefined, "10.0.0.1"],
    ["nothing, when the connection is gone", undefined, "198.51.100.9", "unknown"],
  ])("clientNetwork counts %s", (_, remoteAddress, forwarded, counted) => {
    const request = {
      socket: { remoteAddress },
      headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
    };
    expect(clientNetwork(request, proxies)).toBe(counted);
  });
});

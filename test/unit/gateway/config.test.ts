import { describe, expect, it } from "vitest";
import { readGatewayConfig } from "../../../gateway/config.ts";

const ADDRESSES = {
  AIRLOCK_ROUTER_ADDRESS: "unix:/r",
  AIRLOCK_POOL_MANAGER_ADDRESS: "localhost:1",
  AIRLOCK_AUTHORITY_ADDRESS: "unix:/a",
};

describe("readGatewayConfig", () => {
  it("readGatewayConfig listens on 127.0.0.1:8000 unless told otherwise", () => {
    expect(readGatewayConfig(ADDRESSES)).toEqual({
      host: "127.0.0.1",
      exceptNetwork: undefined,
      port: 8_000,
      hostNames: [],
      routerAddress: "unix:/r",
      poolManagerAddress: "localhost:1",
      authorityAddress: "unix:/a",
      auth: "off",
    });
    expect(readGatewayConfig({ ...ADDRESSES, AIRLOCK_PORT: "0", AIRLOCK_HOST: "::" })).toMatchObject({
      host: "::",
      port: 0,
    });
  });

  it.each([
    ["127.0.0.1", "off"],
    ["127.8.4.2", "off"],
    ["::1", "off"],
    ["::ffff:127.0.0.1", "off"],
    ["localhost", "off"],
    ["0.0.0.0", "required"],
    ["::", "required"],
    ["10.0.0.5", "required"],
    ["127.example", "required"],
  ])(
    "readGatewayConfig demands credentials unless only this machine reaches the gateway: %s %s",
    (host, auth) => {
      const read = (mode?: string) =>
        readGatewayConfig({ ...ADDRESSES, AIRLOCK_HOST: host, ...(mode && { AIRLOCK_AUTH: mode }) }).auth;
      expect(read()).toBe(auth);
      expect(read("required")).toBe("required");
      if (auth === "off") expect(read("off")).toBe("off");
      else expect(() => read("off")).toThrow(`AIRLOCK_HOST is ${host}; set AIRLOCK_AUTH=required`);
    },
  );

  it("readGatewayConfig names every problem at once", () => {
    const message =
      /AIRLOCK_PORT must be .+65536[\s\S]+ROUTER_ADDRESS is not set[\s\S]+POOL_MANAGER_ADDRESS is not set/;
    expect(() => readGatewayConfig({ AIRLOCK_PORT: "65536" })).toThrow(message);
  });

  it("readGatewayConfig reads the network that the gateway does not serve in", () => {
    const read = (network: string) =>
      readGatewayConfig({ ...ADDRESSES, AIRLOCK_HOST_EXCEPT: network }).exceptNetwork;
    expect(read("10.1.2.0/24")).toBe("10.1.2.0/24");
    expect(() => read("control")).toThrow(
      'AIRLOCK_HOST_EXCEPT must be a network such as 10.1.2.0/24, not "control".',
    );
  });
});

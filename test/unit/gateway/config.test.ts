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

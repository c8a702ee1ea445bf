import type { NetworkInterfaceInfo } from "node:os";
import { describe, expect, it } from "vitest";
import { resolveListenAddress } from "#common/service/listen-address.ts";

const interfaces = {
  lo: [{ address: "127.0.0.1" }],
  eth0: [{ address: "172.19.0.3" }, { address: "fd00::3" }],
  eth1: [{ address: "10.213.99.4" }],
} as unknown as Record<string, NetworkInterfaceInfo[]>;

describe("an address to listen on", () => {
  it.each([
    ["10.213.99.0/24:7000", "10.213.99.4:7000"],
    ["172.16.0.0/12:0", "172.19.0.3:0"],
    ["fd00::/64:7000", "[fd00::3]:7000"],
    ["localhost:7000", "localhost:7000"],
    ["unix:/run/airlock/router.sock", "unix:/run/airlock/router.sock"],
  ])("the address to listen on %s is read as %s", (listen, address) => {
    expect(resolveListenAddress(listen, interfaces)).toBe(address);
  });

  it.each([
    ["192.168.0.0/16:7000", /no address in 192.168.0.0\/16/],
    ["router/24:7000", /is not a network/],
    ["10.213/16:7000", /is not a network/],
    ["010.213.99.0/24:7000", /is not a network/],
  ])("the address to listen on %s is refused", (listen, problem) => {
    expect(() => resolveListenAddress(listen, interfaces)).toThrow(problem);
  });
});

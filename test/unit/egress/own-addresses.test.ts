import { networkInterfaces } from "node:os";
import { describe, expect, it } from "vitest";
import { ownAddresses } from "../../../services/egress/policy/own-addresses.ts";

const ofThisMachine = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);

describe("Airlock's own addresses", () => {
  const isOwn = ownAddresses({ restPort: 8_000, listen: "unix:/egress.sock" });

  it.each([
    ...["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
    ...ofThisMachine.map(({ address }) => address),
  ])("Airlock's own addresses have the REST API's port at %s, and no other port", (address) => {
    expect(isOwn(address, 8_000)).toBe(true);
    expect(isOwn(address, 8_001)).toBe(false);
  });

  it("Airlock's own addresses are on this machine only", () => {
    expect(isOwn("192.0.2.1", 8_000)).toBe(false);
    expect(isOwn("2001:db8::1", 8_000)).toBe(false);
    expect(ownAddresses({ restPort: undefined, listen: "127.0.0.1:7000" })("127.0.0.1", 8_000)).toBe(false);
  });

  it("Airlock's own addresses are all of the network in which services listen", () => {
    const inCompose = ownAddresses({ listen: "10.213.99.0/24:7000" });
    expect(inCompose("10.213.99.7", 5_432)).toBe(true);
    expect(inCompose("::ffff:10.213.99.7", 443)).toBe(true);
    expect(inCompose("10.213.98.7", 443)).toBe(false);
  });
});

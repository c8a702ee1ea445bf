import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { permittedAddresses, refusedKind } from "../../../services/egress/policy/address-policy.ts";

const nothing = permittedAddresses([]);

describe("the address policy", () => {
  it.each(["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])(
    "the address policy lets the public address %s pass",
    (address) => expect(refusedKind(address, nothing)).toBeUndefined(),
  );

  it.each([
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "loopback"],
    ["10.0.0.1", "private"],
    ["172.31.255.255", "private"],
    ["192.168.1.1", "private"],
    ["169.254.169.254", "linkLocal"],
    ["100.127.255.255", "carrierGradeNat"],
    ["0.0.0.0", "unspecified"],
    ["0.1.2.3", "unspecified"],
    ["255.255.255.255", "broadcast"],
    ["239.1.2.3", "multicast"],
    ["192.0.2.7", "reserved"],
    ["198.51.100.7", "reserved"],
    ["203.0.113.7", "reserved"],
    ["198.18.0.1", "reserved"],
    ["240.0.0.1", "reserved"],
    ["::", "unspecified"],
    ["::1", "loopback"],
    ["fe80::1", "linkLocal"],
    ["fd00:ec2::254", "uniqueLocal"],
    ["ff02::1", "multicast"],
    ["::ffff:10.0.0.1", "private"],
    ["::10.0.0.1", "reserved"],
    ["::1.1.1.1", "reserved"],
    ["64:ff9b::a9fe:a9fe", "linkLocal"],
    ["64:ff9b:1::a9fe:a9fe", "rfc6052"],
    ["2002:7f00:1::", "6to4"],
    ["2001:0:1::", "teredo"],
    ["2001:db8::1", "reserved"],
    ["4000::1", "reserved"],
    ["fe80::1%eth0", "linkLocal"],
    ["168.63.129.16", "metadata"],
    ["::ffff:168.63.129.16", "metadata"],
    ["64:ff9b::a83f:8110", "metadata"],
    ["no address", "no IP address"],
  ])("the address policy refuses %s as %s", (address, kind) =>
    expect(refusedKind(address, nothing)).toBe(kind),
  );

  it("the address policy passes addresses that the operator permits, in every spelling, and no others", () => {
    const permitted = permittedAddresses(["10.1.0.0/16", "127.0.0.1", "fd00::/8", "::1"]);
    for (const address of [
      "10.1.2.3",
      "::ffff:10.1.2.3",
      "64:ff9b::a01:203",
      "127.0.0.1",
      "fd12::1",
      "::1",
    ]) {
      expect(refusedKind(address, permitted)).toBeUndefined();
    }
    for (const address of ["10.2.0.1", "127.0.0.2", "fe80::1", "::2"]) {
      expect(refusedKind(address, permitted)).toBeDefined();
    }
  });

  it.each([
    ["::/0", ["::1", "fd00::1", "fe80::1"], ["127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe"]],
    ["::/1", ["::1"], ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1"]],
    ["0.0.0.0/0", ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1"], ["::1", "fd00::1"]],
    ["::ffff:10.0.0.0/104", ["10.255.0.1", "::ffff:10.0.0.1"], ["192.168.0.1", "::1"]],
    ["::ffff:10.0.0.5", ["10.0.0.5"], ["10.0.0.6", "::10.0.0.5"]],
    ["::10.0.0.0/104", ["::10.0.0.1"], ["10.0.0.1", "::ffff:10.0.0.1"]],
    ["64:ff9b::/96", ["64:ff9b::a00:1"], ["10.0.0.1"]],
  ])("an operator who permits %s permits %j and not %j", (entry, passed, refused) => {
    const permitted = permittedAddresses([entry]);
    for (const address of passed) expect(refusedKind(address, permitted), address).toBeUndefined();
    for (const address of refused) expect(refusedKind(address, permitted), address).toBeDefined();
  });

  it("the address policy judges a wrapped IPv4 address like the address itself", () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        const parts = address.split(".").map(Number) as [number, number, number, number];
        const hex = `${((parts[0] << 8) | parts[1]).toString(16)}:${((parts[2] << 8) | parts[3]).toString(16)}`;
        const kind = refusedKind(address, nothing);
        expect(refusedKind(`::ffff:${hex}`, nothing)).toBe(kind);
        expect(refusedKind(`64:ff9b::${hex}`, nothing)).toBe(kind);
      }),
    );
  });
});

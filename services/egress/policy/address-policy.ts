import ipaddr from "ipaddr.js";
import { type IpAddress, type IpRange, isInRange, parseIpAddress, parseIpRange } from "#common/ip-range.ts";

// Addresses in public ranges at which cloud platforms serve their own machines. Scripts reach them only when
// the project file permits it. 168.63.129.16 is the WireServer of Azure, which has certificates and settings
// of the virtual machine.
const PLATFORM_ADDRESSES: ReadonlySet<string> = new Set(["168.63.129.16"]);

// The first bits of IPv6 addresses that hold an IPv4 address in their other 32 bits.
const EMBEDDING_BITS = 96;

/**
 * The addresses and address ranges (`10.0.0.0/8`) that a project file permits in `allow_private`, although
 * they are not public. A range within `::ffff:0:0/96` stands for the IPv4 addresses in it. Texts that are no
 * range are left out, because the project file was checked before.
 */
export function permittedAddresses(entries: readonly string[]): readonly IpRange[] {
  return entries.flatMap((entry) => {
    const range = parseIpRange(entry);
    if (range === undefined) return [];
    const { first, bits } = range;
    const isMapped = first instanceof ipaddr.IPv6 && first.isIPv4MappedAddress() && bits >= EMBEDDING_BITS;
    return [isMapped ? { first: first.toIPv4Address(), bits: bits - EMBEDDING_BITS } : range];
  });
}

/**
 * The kind of an address that the proxy must not dial, such as "private" or "loopback"; undefined when the
 * address is public or permitted.
 */
export function refusedKind(address: string, permitted: readonly IpRange[]): string | undefined {
  const known = parseIpAddress(address);
  if (!known) return "no IP address";
  const judged = embeddedIPv4(known);
  if (isPermitted(known, judged, permitted)) return undefined;
  if (PLATFORM_ADDRESSES.has(judged.toString())) return "metadata";
  const range = judged.range();
  if (range !== "unicast") return range;
  // IPv6 addresses outside 2000::/3 are refused as well, because only 2000::/3 is global unicast. ipaddr.js
  // calls an address "unicast" when it does not list the range of the address as special.
  return judged instanceof ipaddr.IPv6 && ((judged.parts[0] as number) & 0xe000) !== 0x2000
    ? "reserved"
    : undefined;
}

/**
 * Whether an operator's range has the address. A wrapped IPv4 address is permitted as the IPv4 address that a
 * connection reaches, or by a range that holds nothing but wrapped ones: `::/0` permits no IPv4 address.
 */
function isPermitted(address: IpAddress, judged: IpAddress, permitted: readonly IpRange[]): boolean {
  return permitted.some(
    (range) =>
      isInRange(judged, range) ||
      (judged !== address && range.bits >= EMBEDDING_BITS && isInRange(address, range)),
  );
}

/**
 * The IPv4 address inside an IPv4-mapped or NAT64 address, because a connection to such an address reaches
 * the IPv4 address. All other addresses are returned unchanged.
 */
export function embeddedIPv4(address: IpAddress): IpAddress {
  if (address instanceof ipaddr.IPv4) return address;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  const [first, second, ...rest] = address.parts;
  const isNat64 = first === 0x64 && second === 0xff9b && rest.slice(0, 4).every((part) => part === 0);
  return isNat64 ? new ipaddr.IPv4(address.toByteArray().slice(12)) : address;
}

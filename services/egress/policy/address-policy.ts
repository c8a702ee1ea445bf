import { BlockList, isIP } from "node:net";
import ipaddr from "ipaddr.js";

// Services of a cloud platform for its own machines, at addresses in public ranges. 168.63.129.16 is the WireServer of
// Azure, which has certificates and settings of the virtual machine.
const PLATFORM_ADDRESSES: ReadonlySet<string> = new Set(["168.63.129.16"]);

/** The addresses that the operator permits although they are not public. */
export function permittedAddresses(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address, bits] = entry.includes("/")
      ? ipaddr.parseCIDR(entry)
      : ([ipaddr.parse(entry), undefined] as const);
    if (bits === undefined) list.addAddress(address.toString(), address.kind());
    else list.addSubnet(address.toString(), bits, address.kind());
  }
  return list;
}

/** The kind of an address that must not be dialled; undefined when the address is public or permitted. */
export function refusedKind(address: string, permitted: BlockList): string | undefined {
  const known = parse(address);
  if (!known) return "no IP address";
  const judged = embeddedIPv4(known);
  if ([known, judged].some((each) => permitted.check(each.toString(), each.kind()))) return undefined;
  if (PLATFORM_ADDRESSES.has(judged.toString())) return "metadata";
  const range = judged.range();
  if (range !== "unicast") return range;
  // Addresses outside 2000::/3 are refused as well, because no others are global unicast, even if their range
  // is not listed as special yet.
  return judged instanceof ipaddr.IPv6 && ((judged.parts[0] as number) & 0xe000) !== 0x2000
    ? "reserved"
    : undefined;
}

/** Parses an address with the URL parser, which reads `::1.2.3.4` as operating systems do. */
function parse(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const [bare = ""] = address.split("%");
  if (isIP(bare) === 0) return undefined;
  const host = isIP(bare) === 6 ? new URL(`http://[${bare}]/`).hostname.slice(1, -1) : bare;
  return ipaddr.parse(host);
}

/**
 * The IPv4 address inside a mapped or NAT64 address, because the connection would reach that one; other
 * addresses are returned unchanged.
 */
function embeddedIPv4(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  if (address instanceof ipaddr.IPv4) return address;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  const [first, second, ...rest] = address.parts;
  const isNat64 = first === 0x64 && second === 0xff9b && rest.slice(0, 4).every((part) => part === 0);
  return isNat64 ? new ipaddr.IPv4(address.toByteArray().slice(12)) : address;
}

import { BlockList, isIP } from "node:net";
import ipaddr from "ipaddr.js";

// Addresses in public ranges at which cloud platforms serve their own machines. Scripts reach them only when
// the project file permits it. 168.63.129.16 is the WireServer of Azure, which has certificates and settings
// of the virtual machine.
const PLATFORM_ADDRESSES: ReadonlySet<string> = new Set(["168.63.129.16"]);

/**
 * A list of the addresses and address ranges (`10.0.0.0/8`) that a project file permits in `allow_private`,
 * although they are not public.
 */
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

/**
 * The kind of an address that the proxy must not dial, such as "private" or "loopback"; undefined when the
 * address is public or permitted.
 */
export function refusedKind(address: string, permitted: BlockList): string | undefined {
  const known = parse(address);
  if (!known) return "no IP address";
  const judged = embeddedIPv4(known);
  if ([known, judged].some((each) => permitted.check(each.toString(), each.kind()))) return undefined;
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
 * Parses an IP address without its zone (`%eth0`); undefined for any other text. IPv6 addresses go through
 * the URL parser first, because it reads `::1.2.3.4` as operating systems do.
 */
function parse(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const [bare = ""] = address.split("%");
  if (isIP(bare) === 0) return undefined;
  const host = isIP(bare) === 6 ? new URL(`http://[${bare}]/`).hostname.slice(1, -1) : bare;
  return ipaddr.parse(host);
}

/**
 * The IPv4 address inside an IPv4-mapped or NAT64 address, because a connection to such an address reaches
 * the IPv4 address. All other addresses are returned unchanged.
 */
function embeddedIPv4(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  if (address instanceof ipaddr.IPv4) return address;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  const [first, second, ...rest] = address.parts;
  const isNat64 = first === 0x64 && second === 0xff9b && rest.slice(0, 4).every((part) => part === 0);
  return isNat64 ? new ipaddr.IPv4(address.toByteArray().slice(12)) : address;
}

import { networkInterfaces } from "node:os";
import { type IpAddress, parseIpAddress } from "#common/ip-range.ts";
import { isIn, isNetwork } from "#common/service/listen-address.ts";
import { embeddedIPv4 } from "./address-policy.ts";

/** Where Airlock itself can be reached from the egress service. */
export type OwnPlaces = {
  /** The port of the REST API on this machine; undefined when the gateway is elsewhere. */
  readonly restPort?: number | undefined;
  /** The address that the egress service listens on. `10.1.2.0/24:7000` names the network of all services. */
  readonly listen: string;
};

/** Whether an IP address and a port are Airlock's own, which no script may reach, whatever its project allows. */
export type IsOwn = (address: string, port: number) => boolean;

/** Makes the check for these places. */
export function ownAddresses({ restPort, listen }: OwnPlaces): IsOwn {
  const network = listen.slice(0, listen.lastIndexOf(":"));
  const isService = isNetwork(network) ? (address: string) => isIn(address, network) : () => false;
  return (text, port) => {
    const address = judged(text);
    if (address === undefined) return false;
    return (port === restPort && isThisMachine(address)) || isService(address.toString());
  };
}

/** Whether a connection to the address arrives at this machine. */
function isThisMachine(address: IpAddress): boolean {
  if (address.range() === "loopback" || address.range() === "unspecified") return true;
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return own.some((each) => judged(each.address)?.toString() === address.toString());
}

function judged(text: string): IpAddress | undefined {
  const address = parseIpAddress(text);
  return address && embeddedIPv4(address);
}

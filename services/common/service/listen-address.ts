import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";
import { type IpRange, isInRange, parseIpRange } from "../ip-range.ts";
import { ConfigError } from "./environment.ts";

const IN_NETWORK = /^(.+\/\d+):(\d+)$/;

/**
 * The address to listen on. `10.1.2.0/24:7000` stands for this machine's own address in that network, so that
 * a container in several networks listens in only one, even if it joins others later. Every other `listen` is
 * returned unchanged. Throws a ConfigError when this machine has no address in the network.
 */
export function resolveListenAddress(listen: string, interfaces = networkInterfaces()): string {
  const [, network, port] = IN_NETWORK.exec(listen) ?? [];
  if (network === undefined) return listen;
  const own = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .map(({ address }) => address)
    .find((address) => isIn(address, network));
  if (own === undefined) {
    throw new ConfigError([
      `This machine has no address in ${network}, which AIRLOCK_LISTEN names; name a network of this machine.`,
    ]);
  }
  return own.includes(":") ? `[${own}]:${port}` : `${own}:${port}`;
}

/** Whether the text is a network such as 10.1.2.0/24. */
export function isNetwork(text: string): boolean {
  return networkOf(text) !== undefined;
}

/** Whether the address is in the network. Throws a ConfigError when `network` is not a network. */
export function isIn(address: string, network: string): boolean {
  const range = networkOf(network);
  if (range === undefined) throw new ConfigError([`${network} is not a network such as 10.1.2.0/24.`]);
  return isInRange(ipaddr.process(address), range);
}

function networkOf(text: string): IpRange | undefined {
  return text.includes("/") ? parseIpRange(text) : undefined;
}

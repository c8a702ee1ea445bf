import { expect, it } from "vitest";
import { readEnvironment } from "#common/service/environment.ts";
import { readDnsServers } from "../../../services/egress/names/dns-servers.ts";

const servers = (text: string) => {
  const read = readEnvironment({ AIRLOCK_DNS_SERVERS: text });
  const found = readDnsServers(read);
  read.check();
  return found;
};

it("AIRLOCK_DNS_SERVERS takes addresses, with or without a port", () => {
  expect(servers("")).toEqual([]);
  expect(servers("10.0.0.53, 10.0.0.53:5353,fd00::53 ,[fd00::53]:5353")).toEqual([
    "10.0.0.53",
    "10.0.0.53:5353",
    "fd00::53",
    "[fd00::53]:5353",
  ]);
});

it.each(["dns.example", "10.0.0.53:", "10.0.0.53:0", "10.0.0.53:65536", "[10.0.0.53]:53", "fd00::53]:53"])(
  "AIRLOCK_DNS_SERVERS is refused when an entry is not an address, and the refusal names it: %s",
  (text) => expect(() => servers(`10.0.0.1,${text}`)).toThrow(`not "${text}"`),
);

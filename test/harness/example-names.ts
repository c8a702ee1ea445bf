// A module that an Airlock under test loads first: it resolves the names below `.example`. Nothing else differs from
// production.

import { Resolver } from "node:dns/promises";
import { appendFileSync } from "node:fs";

const asked = process.env.AIRLOCK_TEST_ASKED ?? "";
let rebinds = 0;

/** The addresses of a host name; empty when the name does not exist. */
function addressesOf(host: string): string[] {
  // The first address is permitted, the next is not.
  if (host === "rebind.example") return [["127.0.0.1"], ["169.254.169.254"]][rebinds++ % 2] ?? [];
  if (host === "mixed.example") return ["127.0.0.1", "169.254.169.254"];
  if (host === "metadata.example") return ["169.254.169.254"];
  return host.endsWith(".example") ? ["127.0.0.1"] : [];
}

async function resolve4(host: string): Promise<string[]> {
  appendFileSync(asked, `${host}\n`);
  const addresses = addressesOf(host);
  if (addresses.length === 0) throw Object.assign(new Error("unknown name"), { code: "ENOTFOUND" });
  return addresses;
}

async function resolve6(): Promise<string[]> {
  throw Object.assign(new Error("no address of this kind"), { code: "ENODATA" });
}

Object.assign(Resolver.prototype, { resolve4, resolve6 });

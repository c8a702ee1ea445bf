import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Resolve } from "../../../services/egress/names/resolve.ts";
import { createSystemResolver } from "../../../services/egress/names/system-resolver.ts";
import { type DnsEntry, type DnsServer, SILENT, startDnsServer } from "../../harness/dns-server.ts";

let directory: string;
let dns: DnsServer;
let resolve: Resolve;
const entries = new Map<string, DnsEntry>();
const { signal } = new AbortController();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-names-"));
  dns = await startDnsServer((name) => entries.get(name));
});
afterAll(async () => {
  dns.close();
  await rm(directory, { recursive: true });
});
beforeEach(async () => {
  entries.clear();
  dns.asked.length = 0;
  const hostsPath = join(directory, "hosts");
  const resolvConfPath = join(directory, "resolv.conf");
  await writeFile(hostsPath, "");
  await writeFile(resolvConfPath, "nameserver 192.0.2.1\n");
  resolve = createSystemResolver({ servers: [dns.address], hostsPath, resolvConfPath });
});

describe("a name", () => {
  it("a host name resolves to its addresses of both kinds, also by an alias", async () => {
    entries.set("both.example", { ipv4: ["192.0.2.1", "192.0.2.2"], ipv6: ["2001:db8::1"] });
    entries.set("alias.example", { alias: "both.example" });
    entries.set("six.example", { ipv6: ["2001:db8::6"] });
    const all = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
    expect(await resolve("both.example", signal)).toEqual(all);
    expect(await resolve("alias.example", signal)).toEqual(all);
    expect(await resolve("six.example", signal)).toEqual(["2001:db8::6"]);
  });

  it("a host name resolves although questions for one kind of address are never answered", async () => {
    entries.set("half.example", { ipv4: ["192.0.2.1"], silent: ["AAAA"] });
    expect(await resolve("half.example", signal)).toEqual(["192.0.2.1"]);
  });

  it("a host name that does not exist, or has no address, is refused with that reason", async () => {
    entries.set("empty.example", {});
    await expect(resolve("nobody.example", signal)).rejects.toMatchObject({ code: "ENOTFOUND" });
    await expect(resolve("empty.example", signal)).rejects.toMatchObject({ code: "ENODATA" });
  });

  it("the lookup of a host name that no server answers for is given up as soon as its caller is gone", async () => {
    entries.set("slow.example", SILENT);
    const asking = new AbortController();
    const answer = resolve("slow.example", asking.signal);
    await expect.poll(() => dns.asked.length).toBeGreaterThan(0);
    const startedMs = performance.now();
    asking.abort(new Error("enough"));
    await expect(answer).rejects.toThrow("enough");
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });
});

describe("the hosts file", () => {
  const hosts = (text: string) => writeFile(join(directory, "hosts"), text);

  it("the hosts file comes before DNS, and a change of it counts at once", async () => {
    entries.set("erp.example", { ipv4: ["192.0.2.9"] });
    await hosts("10.1.1.1 ERP.example erp # the old one\n10.1.1.2\terp.example\nfd00::1 erp\nnonsense erp\n");
    expect(await resolve("erp.example", signal)).toEqual(["10.1.1.1", "10.1.1.2"]);
    expect(await resolve("erp", signal)).toEqual(["10.1.1.1", "fd00::1"]);
    expect(dns.asked).toEqual([]);
    await hosts("10.1.1.3 other.example\n");
    expect(await resolve("erp.example", signal)).toEqual(["192.0.2.9"]);
  });

  it("the hosts file may define localhost; DNS is never asked for it", async () => {
    expect(await resolve("localhost", signal)).toEqual(["127.0.0.1", "::1"]);
    expect(await resolve("db.localhost", signal)).toEqual(["127.0.0.1", "::1"]);
    await hosts("127.0.0.1 localhost\n");
    expect(await resolve("localhost", signal)).toEqual(["127.0.0.1"]);
    expect(dns.asked).toEqual([]);
  });
});

describe("the search list", () => {
  const resolvConf = (text: string) => writeFile(join(directory, "resolv.conf"), text);

  it("the DNS search list completes names of one label, such as those of compose services", async () => {
    await resolvConf("search prod.example. example\n");
    entries.set("db.example", { ipv4: ["10.0.0.1"] });
    entries.set("web", { ipv4: ["10.0.0.2"] });
    expect(await resolve("db", signal)).toEqual(["10.0.0.1"]);
    expect(await resolve("web", signal)).toEqual(["10.0.0.2"]);
    expect(dns.asked.filter((question) => question.startsWith("A "))).toEqual([
      ...["A db.prod.example", "A db.example"],
      ...["A web.prod.example", "A web.example", "A web"],
    ]);
  });

  it("the DNS search list is tried first for names with fewer dots than ndots, as in Kubernetes", async () => {
    await resolvConf("search shop.svc.cluster.local svc.cluster.local\noptions timeout:1 ndots:5\n");
    entries.set("db.shop.svc.cluster.local", { ipv4: ["10.0.0.3"] });
    entries.set("api.example", { ipv4: ["192.0.2.3"] });
    expect(await resolve("db.shop", signal)).toEqual(["10.0.0.3"]);
    expect(await resolve("api.example", signal)).toEqual(["192.0.2.3"]);
    await resolvConf("options ndots:0\n");
    entries.set("db", { ipv4: ["10.0.0.4"] });
    expect(await resolve("db", signal)).toEqual(["10.0.0.4"]);
  });
});

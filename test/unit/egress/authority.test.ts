import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "#common/resilience/clock.ts";
import { openAuthority } from "../../../services/egress/interception-ca.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-authority-"));
});
afterEach(() => rm(directory, { recursive: true }));

const file = () => join(directory, "egress-authority.pem");

describe("the egress authority", () => {
  it("the egress authority is made once, is readable for its owner only, and is the same for services that start together", async () => {
    const all = await Promise.all([1, 2, 3].map(() => openAuthority(directory, systemClock)));
    expect(new Set(all.map(({ certificatePem }) => certificatePem)).size).toBe(1);
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    const again = await openAuthority(directory, systemClock);
    expect(again.certificatePem).toBe(all[0]?.certificatePem);
    expect(again.certificatePem).not.toContain("PRIVATE");
    expect(await readFile(file(), "utf8")).toContain("PRIVATE KEY");
  });

  it("the egress authority certifies one host at a time, directly, for a day", async () => {
    const authority = await openAuthority(directory, systemClock);
    const root = new X509Certificate(authority.certificatePem);
    expect(root.ca).toBe(true);
    const context = await authority.contextFor("erp.example");
    expect(await authority.contextFor("erp.example")).toBe(context);
    const server = createServer({
      SNICallback: (_name, done) => done(null, context),
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const dial = async (servername: string) => {
      const client = connect({ host: "127.0.0.1", port, servername, ca: authority.certificatePem });
      try {
        await once(client, "secureConnect");
        return client;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    };
    const client = (await dial("erp.example")) as TLSSocket;
    const leaf = client.getPeerX509Certificate();
    expect(leaf?.ca).toBe(false);
    expect(leaf?.subjectAltName).toBe("DNS:erp.example");
    expect(leaf && leaf.validToDate.getTime() - Date.now()).toBeLessThan(25 * 3_600_000);
    client.destroy();
    expect(await dial("evil.example")).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
    server.close();
  });

  it("the egress authority renews certificates that are about to expire", async () => {
    let nowMs = Date.now();
    const authority = await openAuthority(directory, { ...systemClock, now: () => nowMs });
    const first = await authority.contextFor("erp.example");
    nowMs += 13 * 3_600_000;
    expect(await authority.contextFor("erp.example")).not.toBe(first);
  });

  it("the egress authority says what to do about a damaged file, and keeps it", async () => {
    await writeFile(file(), "no PEM");
    await expect(openAuthority(directory, systemClock)).rejects.toThrow("egress-authority.pem is damaged");
    expect(await readFile(file(), "utf8")).toBe("no PEM");
  });
});

import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import { readGatewayConfig } from "../../../gateway/config.ts";
import { startOver, type TestGateway } from "./fake-backend.ts";

const ADDRESSES = { AIRLOCK_ROUTER_ADDRESS: "unix:/r", AIRLOCK_POOL_MANAGER_ADDRESS: "unix:/p" };

let gateway: TestGateway;
afterEach(() => gateway?.drain(0));

async function ask(
  headers: Record<string, string>,
): Promise<{ status: number | undefined; code: string; body: string }> {
  const sent = request({ port: gateway.port, host: "127.0.0.1", path: "/skill.md", headers }).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const body = await text(response);
  const code = response.statusCode === 200 ? "" : JSON.parse(body).code;
  return { status: response.statusCode, code, body };
}

describe("a gateway that has names", () => {
  it("answers to them, and to pages that come from there", async () => {
    gateway = await startOver({}, undefined, { hostNames: ["airlock.corp.example"] });
    expect(await ask({ host: "airlock.corp.example" })).toMatchObject({ status: 200 });
    expect(await ask({ host: "Airlock.Corp.Example:8443" })).toMatchObject({ status: 200 });
    const page = { origin: "https://airlock.corp.example" };
    expect(await ask({ host: "127.0.0.1:8000", ...page })).toMatchObject({ status: 200 });
    expect(await ask({ host: "corp.example" })).toMatchObject({ code: "host_not_allowed" });
    expect(await ask({ host: "localhost", origin: "https://corp.example" })).toMatchObject({
      code: "origin_not_allowed",
    });
  });

  it("reads them from AIRLOCK_HOST_NAMES", () => {
    const read = (names: string) => readGatewayConfig({ ...ADDRESSES, AIRLOCK_HOST_NAMES: names }).hostNames;
    expect(read(" Airlock.example, second ")).toEqual(["airlock.example", "second"]);
    expect(read("")).toEqual([]);
    for (const wrong of ["http://a.example", "a.example:80", "*.example", "a b", "-"]) {
      expect(() => read(wrong)).toThrow("AIRLOCK_HOST_NAMES must be host names");
    }
  });
});

describe("a gateway on more than loopback", () => {
  it("answers to addresses and to its own names only: a page's owner may point any other name to it", async () => {
    gateway = await startOver({}, undefined, { host: "0.0.0.0", hostNames: ["gateway"] });
    expect((await ask({ host: "gateway:8000" })).body).toContain("http://gateway:8000/execute");
    expect(await ask({ host: "gateway:8000", origin: "http://gateway:8000" })).toMatchObject({ status: 200 });
    expect(await ask({ host: "192.0.2.7:8000" })).toMatchObject({ status: 200 });
    expect(await ask({ host: "[2001:db8::7]:8000" })).toMatchObject({ status: 200 });
    const rebound = "rebind.attacker.example:8000";
    for (const headers of [{ host: rebound }, { host: rebound, origin: `http://${rebound}` }]) {
      expect(await ask(headers)).toMatchObject({ status: 403, code: "host_not_allowed" });
    }
    expect(await ask({ host: "gateway:8000", origin: "http://elsewhere" })).toMatchObject({
      code: "origin_not_allowed",
    });
  });

  it("repeats nothing of a Host header that is no name", async () => {
    gateway = await startOver({}, undefined, { host: "0.0.0.0" });
    const { code, body } = await ask({ host: "x/ evil`$(id)`" });
    expect(code).toBe("host_not_allowed");
    expect(body).not.toContain("evil");
  });

  it("answers to the name that it listens on", async () => {
    gateway = await startOver({}, undefined, { host: "localhost" });
    expect(await ask({ host: "localhost" })).toMatchObject({ status: 200 });
  });
});

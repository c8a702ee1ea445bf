import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RULES } from "#common/identity/authorization.ts";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { startTlsServices, type TlsServices } from "../../harness/tls-services.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const PYTHON = process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python");
const PATH = [process.env.AIRLOCK_CI_TOOLS, process.env.PATH].filter(Boolean).join(delimiter);
const ROUTER = "router:7000";
const PAGE = await readFile(join(ROOT, "docs", "grpc.md"), "utf8");

const blocks = [...PAGE.matchAll(/^```(\w*)\n(.*?)^```$/gms)];
const texts = (language: string) => blocks.filter(([, name]) => name === language).map(([, , text]) => text);
const [, , overTls = "", overSocket = "", withGrpcurl = "", grpcurlOnSocket = ""] = texts("sh");
const PRINTED_SOCKET = "/tmp/airlock-1000-3f9c2a7be01d/router.sock";
const [fromPython, fromGrpcurl = ""] = texts("");

/** Parts of the output that differ from run to run: ids and times. */
const stable = (text: string) =>
  text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "ID")
    .replaceAll(/"createdAtMs": {1,2}"\d+"/g, '"createdAtMs": N');

let directory: string;
let services: TlsServices;
let airlock: TestAirlock;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-grpc-"));
  services = await startTlsServices();
  airlock = await startAirlock({ env: { TMPDIR: directory } });
  await symlink(services.certificates, join(directory, "certs"));
  await symlink(join(ROOT, "examples"), join(directory, "examples"));
  await symlink(dirname(dirname(PYTHON)), join(directory, "venv"));
});
afterAll(async () => {
  await airlock.remove();
  await services.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Types `text` into a shell where the page's files are. */
function typed(text: string): Promise<{ status: number; stdout: string; stderr: string }> {
  const options = { cwd: directory, env: { ...process.env, PATH, TMPDIR: directory }, timeout: 25_000 };
  return new Promise((resolve) => {
    // A bash whose input is a socket takes itself for a remote login and would read the machine's bashrc.
    execFile("bash", ["--norc", "-euo", "pipefail", "-c", text], options, (error, stdout, stderr) =>
      resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
    );
  });
}

/** The path that `./airlock up` printed. */
function socketOf({ output }: TestAirlock): string {
  return /unix:(\S+)/.exec(output())?.[1] ?? "";
}

function grpcurlMissing(): boolean {
  try {
    execFileSync("grpcurl", ["-version"], { env: { PATH }, stdio: "ignore" });
    return false;
  } catch {
    return true;
  }
}

describe("docs/grpc.md", () => {
  it("docs/grpc.md's Python example prints what the page shows over TLS as the client billing", async () => {
    const outcome = await typed(overTls.replace(ROUTER, services.addresses.router));
    expect(outcome).toEqual({ status: 0, stdout: fromPython, stderr: "" });
  });

  it("docs/grpc.md's Python example prints what the page shows over a Unix socket", async () => {
    const typedThere = overSocket.replace(PRINTED_SOCKET, socketOf(airlock));
    expect(await typed(typedThere)).toEqual({ status: 0, stdout: fromPython, stderr: "" });
  });

  it("docs/grpc.md's grpcurl example prints what the page shows", async (context) => {
    if (grpcurlMissing()) context.skip("no grpcurl here, on PATH or in AIRLOCK_CI_TOOLS");
    const { stdout, stderr } = await typed(withGrpcurl.replaceAll(ROUTER, services.addresses.router));
    expect(stderr).toBe("");
    expect(stable(stdout)).toBe(stable(fromGrpcurl));
  });

  it("docs/grpc.md's grpcurl example lists executions on a Unix socket", async (context) => {
    if (grpcurlMissing()) context.skip("no grpcurl here, on PATH or in AIRLOCK_CI_TOOLS");
    const { stdout, stderr } = await typed(grpcurlOnSocket.replace(PRINTED_SOCKET, socketOf(airlock)));
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toHaveProperty("executions");
  });

  it("docs/grpc.md has every RPC that a client may call with the permission that it needs, and no other", () => {
    const rows = PAGE.matchAll(/^\| (`.+`) \| `(\w+)` \| (?:`([\w.]+)`|–) \| /gm);
    const told = [...rows].flatMap(([, rpcs = "", service, permission = "none"]) =>
      [...rpcs.matchAll(/`(\w+)`/g)].map(([, rpc]) => [`/airlock.v1.${service}/${rpc}`, permission]),
    );
    const permitted = Object.entries(RULES).filter(([, { callers }]) => callers.includes("client"));
    expect(told.sort()).toEqual(permitted.map(([path, { permission }]) => [path, permission]).sort());
  });
});

describe("examples/python", () => {
  const call = (address: string, identity: string, files: readonly string[]) =>
    typed(
      [
        `venv/bin/python examples/python/call_airlock.py ${address}`,
        ...files.map((file) => `--${file} certs/${identity}/${file === "cacert" ? "ca" : file}.pem`),
      ].join(" "),
    );

  it("examples/python is refused without a certificate", async () => {
    const { status, stdout } = await call(services.addresses.router, "client-billing", ["cacert"]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^UNAVAILABLE .*\n$/);
  });

  it("examples/python is refused with a certificate that the table of callers opens nothing to", async () => {
    const { status, stdout } = await call(services.addresses.router, "worker", ["cacert", "cert", "key"]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^PERMISSION_DENIED permission_denied .*\n$/);
  });

  it("examples/python refuses a service that is not the router", async () => {
    const files = ["cacert", "cert", "key"];
    const { status, stdout } = await call(services.addresses.sanitizer, "client-billing", files);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^UNAVAILABLE .*\n$/);
  });

  it("examples/python requires the versions that it is tested with", async () => {
    const pinsOf = async (path: string) =>
      [...(await readFile(join(ROOT, path), "utf8")).matchAll(/^\S+==\S+/gm)].map(([pin]) => pin);
    const tested = await pinsOf("worker/requirements-dev.lock");
    const pins = await pinsOf("examples/python/requirements.lock");
    expect(pins.map((pin) => pin.split("==")[0])).toContain("grpcio-reflection");
    expect(tested).toEqual(expect.arrayContaining(pins));
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { createLog } from "#common/service/log.ts";
import { EndReason, type Execution } from "#proto/execution.ts";
import { createTestCertificates, type EchoServer, startEchoServer } from "../../harness/echo-server.ts";
import { startServices, type TestServices } from "../../harness/services.ts";
import { HTTP_HELPERS } from "../cases/script-helpers.ts";

export const BROKERED_SECRET = "brokered-7c1f0a94e2-value";

/** All services with real workers and connections; only host names are resolved by the test. */
export type NetworkHarness = {
  readonly services: TestServices;
  readonly plain: EchoServer;
  readonly secure: EchoServer;
  readonly other: EchoServer;
  /** Its certificate is of an authority that Airlock does not trust. */
  readonly stranger: EchoServer;
  /** The addresses of each host name, one answer per lookup; the last answer stays. */
  readonly names: Map<string, string[][]>;
  /** The host names that were looked up. */
  readonly asked: string[];
  /** Log lines of the services. */
  readonly logged: readonly string[];
  /** Waits until the execution has ended. */
  ended(id: string): Promise<Execution>;
  /** Runs `expression` after the HTTP helpers and gives its value; fails the test unless it completes. */
  evaluate<T = [number, string, Record<string, string>]>(project: string, expression: string): Promise<T>;
  /** Forgets all requests and lookups, and resolves the usual host names to 127.0.0.1. */
  reset(): void;
  close(): Promise<void>;
};

export async function startNetworkHarness(): Promise<NetworkHarness> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-network-"));
  const certificates = await createTestCertificates();
  const extraCaPath = join(directory, "authority.pem");
  await writeFile(extraCaPath, certificates.authority);
  const plain = await startEchoServer();
  const secure = await startEchoServer(await certificates.issue(["erp.example"]));
  const other = await startEchoServer(await certificates.issue(["other.example", "wrong.example"]));
  const unknownAuthority = await createTestCertificates();
  const stranger = await startEchoServer(await unknownAuthority.issue(["wrong2.example"]));
  const names = new Map<string, string[][]>();
  const asked: string[] = [];
  const logged: string[] = [];
  const resolve = async (host: string): Promise<readonly string[]> => {
    asked.push(host);
    const answers = names.get(host);
    const answer = answers && answers.length > 1 ? answers.shift() : answers?.[0];
    if (!answer) throw Object.assign(new Error("unknown name"), { code: "ENOTFOUND" });
    return answer;
  };
  process.env.AIRLOCK_TEST_BROKERED = BROKERED_SECRET;
  const log = createLog("test", "debug", { write: (line) => void logged.push(line) });
  const services = await startServices(projectsOf({ plain, secure, other, stranger }), {
    resolve,
    extraCaPath,
    log,
  });
  const ended = async (id: string): Promise<Execution> => {
    for (;;) {
      const execution = await services.get(id, 10_000);
      if (execution.endReason !== EndReason.UNSPECIFIED) return execution;
    }
  };
  return {
    ...{ services, plain, secure, other, stranger, names, asked, logged, ended },
    async evaluate<T>(project: string, expression: string): Promise<T> {
      const code = `${HTTP_HELPERS}\nset_result(${expression})\n`;
      const execution = await ended(await services.submit({ project, code, timeoutMs: 30_000 }));
      expect(execution).toMatchObject({ endReason: EndReason.COMPLETED, error: undefined });
      return JSON.parse(execution.resultJson) as T;
    },
    reset() {
      for (const server of [plain, secure, other, stranger]) server.seen.length = 0;
      asked.length = 0;
      names.clear();
      for (const name of ["echo", "erp", "other", "a.sub", "wrong2"])
        names.set(`${name}.example`, [["127.0.0.1"]]);
    },
    async close() {
      await services.close();
      await Promise.all([plain, secure, other, stranger].map((server) => server.close()));
      await rm(directory, { recursive: true });
    },
  };
}

type Servers = Pick<NetworkHarness, "plain" | "secure" | "other" | "stranger">;

function projectsOf({ plain, secure, other, stranger }: Servers): Record<string, string> {
  const listed = [
    `echo.example:${plain.port}`,
    `*.sub.example:${plain.port}`,
    `mixed.example:${plain.port}`,
    `rebind.example:${plain.port}`,
    `other.example:${other.port}`,
    `erp.example:${plain.port}`,
  ];
  const list = JSON.stringify(listed);
  return {
    none: "",
    open: `network_allowlist: ${list}\nallow_private: [127.0.0.1]\n`,
    public: `network_allowlist: ${JSON.stringify([...listed, "169.254.169.254", "0x7f000001", "meta.example"])}\n`,
    small: `network_allowlist: ${list}\nallow_private: [127.0.0.1]\nlimits: {network_mb: 1}\n`,
    broker: [
      `network_allowlist: ${list}`,
      "allow_private: [127.0.0.0/8]",
      "secrets:",
      "  PLAIN: plain-secret-value",
      `  ERP: {value: "\${env:AIRLOCK_TEST_BROKERED}", inject: {host: "erp.example:${secure.port}", header: Authorization, format: "Bearer {}"}}`,
      "",
    ].join("\n"),
    "unknown-authority": `secrets: {ERP: {value: another-brokered-value, inject: {host: "wrong2.example:${stranger.port}", header: X-Key}}}\nallow_private: [127.0.0.1]\n`,
    untrusted: `secrets: {ERP: {value: another-brokered-value, inject: {host: "wrong2.example:${other.port}", header: X-Key}}}\nallow_private: [127.0.0.1]\n`,
  };
}

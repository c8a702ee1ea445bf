import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runAirlock, startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { ROOT } from "../../support/pages.ts";
import { makeWebCertificate, type WebCertificate } from "../../support/web-certificate.ts";

let certificate: WebCertificate;
let airlock: TestAirlock;
let tls: Record<string, string>;
beforeAll(async () => {
  certificate = await makeWebCertificate();
  tls = { TLS_CERT: certificate.files.cert, TLS_KEY: certificate.files.key };
  airlock = await startAirlock({ mock: true, env: tls });
});
afterAll(async () => {
  await airlock.remove();
  await certificate.remove();
});

describe("./airlock with TLS_CERT and TLS_KEY", () => {
  it("./airlock up with TLS_CERT names a URL that its certificate is for", () => {
    expect(airlock.url).toMatch(/^https:\/\/localhost:\d+$/);
    expect(airlock.output()).toContain(`export AIRLOCK_URL=${airlock.url}`);
  });

  it("commands call an https URL, with an authority of NODE_EXTRA_CA_CERTS", async () => {
    const env = { AIRLOCK_URL: airlock.url, NODE_EXTRA_CA_CERTS: certificate.caFile };
    const { status, stdout } = await runAirlock(["run", "-", "--project", "mock-project"], {
      env,
      input: "print('hello')",
    });
    expect([status, stdout !== ""]).toEqual([0, true]);
  });

  it.each([
    ["an authority that is not trusted", (url: string) => url, "NODE_EXTRA_CA_CERTS"],
    ["http for https", (url: string) => url.replace("https", "http"), "try https://"],
  ])("commands say what to do about %s", async (_, change, hint) => {
    const { status, stderr } = await runAirlock(["projects"], { env: { AIRLOCK_URL: change(airlock.url) } });
    expect(status).toBe(1);
    expect(stderr).toContain(hint);
  });

  it("./airlock up refuses a certificate without its key with a sentence", async () => {
    const { status, stderr } = await runAirlock(["up", "--mock"], {
      env: { TLS_CERT: certificate.files.cert },
    });
    expect([status, stderr.trim()]).toEqual([
      2,
      "TLS_KEY is not set, but TLS_CERT is; HTTPS needs a certificate and its key",
    ]);
  });

  it("the health check of the gateway's image speaks TLS where the gateway does", async () => {
    const dockerfile = await readFile(join(ROOT, "Dockerfile"), "utf8");
    const [program, ...args] = JSON.parse(
      /CMD (\["node", "-e", .*\])/.exec(dockerfile)?.[1] ?? "[]",
    ) as string[];
    expect(program).toBe("node");
    const exitOf = (env: Record<string, string>) =>
      new Promise((resolve) => {
        execFile(
          process.execPath,
          args,
          { env: { AIRLOCK_PORT: new URL(airlock.url).port, ...env } },
          (error) => resolve(error?.code ?? 0),
        );
      });
    expect(await exitOf(tls)).toBe(0);
    expect(await exitOf({})).toBe(1);
  });
});

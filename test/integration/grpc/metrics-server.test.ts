import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Counter, Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { createProcessRegistry, serveMetrics } from "#common/service/metrics-server.ts";
import { freePort } from "../../support/free-port.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");

describe("the metrics of a service's own process", () => {
  it("the metrics of a service's own process are at GET /metrics, with those of the process, and nothing else is there", async () => {
    const own = new Registry();
    new Counter({ name: "airlock_test_total", help: "One.", registers: [own] }).inc();
    const server = await serveMetrics("127.0.0.0/8:0", createProcessRegistry([own]));
    try {
      const page = await fetch(`http://${server.address}/metrics`);
      expect(page.headers.get("content-type")).toContain("text/plain");
      const text = await page.text();
      expect(text).toMatch(/^airlock_test_total 1$/m);
      expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
      expect((await fetch(`http://${server.address}/`)).status).toBe(404);
      expect((await fetch(`http://${server.address}/metrics`, { method: "POST" })).status).toBe(404);
    } finally {
      server.close();
    }
  });

  it("the metrics of a service's own process are served at AIRLOCK_METRICS_LISTEN", async () => {
    const directory = await mkdtemp(join(tmpdir(), "airlock-metrics-"));
    const port = await freePort();
    const child = spawn(process.execPath, ["services/sanitizer/main.ts"], {
      cwd: ROOT,
      env: {
        AIRLOCK_LISTEN: `unix:${join(directory, "sanitizer.sock")}`,
        AIRLOCK_SECRETS_ADDRESS: `unix:${join(directory, "secrets.sock")}`,
        AIRLOCK_METRICS_LISTEN: `127.0.0.1:${port}`,
      },
      stdio: "ignore",
    });
    try {
      const page = async () => await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      await expect.poll(page).toContain("# TYPE airlock_sanitizer_bytes_total counter");
      child.kill("SIGTERM");
      expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(0);
    } finally {
      child.kill("SIGKILL");
      await rm(directory, { recursive: true });
    }
  });
});

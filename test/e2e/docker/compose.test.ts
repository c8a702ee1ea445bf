import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithEngine } from "../../harness/docker/classes.ts";
import { type Deployment, prepareDeployment } from "../../harness/docker/compose.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const docker = async (...args: string[]) => (await promisify(execFile)("docker", args)).stdout.trim();

const SECRET = "value-of-a-secret-file-4711";
const DEMO = `replicas: 2
secrets: {KEY: "\${file:/run/airlock-secrets/key}"}
`;
const SPREAD_WITHIN_MS = 30_000;

await describeWithEngine("a deployment with docker compose", "runc", () => {
  let deployment: Deployment;
  let rest: RestClient;

  beforeAll(async () => {
    deployment = await prepareDeployment({ demo: DEMO }, { key: SECRET });
    await deployment.compose("up", "--build", "--wait", "--detach");
    rest = restClient(await deployment.url(), deployment.adminKey);
  }, 600_000);
  afterAll(async () => {
    await deployment.compose("stop", "pool-manager");
    const left = await docker("ps", "-aq", "--filter", `label=airlock.deployment=${deployment.name}`);
    await deployment.remove();
    expect(left, "workers that outlive their pool-manager's stop").toBe("");
  }, 120_000);

  /** How many of the executions after `id` each router has accepted. */
  const acceptedByRouter = async (id: string): Promise<number[]> => {
    const query = `SELECT count(*) FROM executions WHERE execution_id > '${id}' GROUP BY owner`;
    const psql = ["psql", "--username", "airlock", "--tuples-only", "--no-align", "--command", query];
    const rows = await deployment.compose("exec", "-T", "postgres", ...psql);
    return rows.split("\n").filter(Boolean).map(Number);
  };

  /** Submits one script after the other until `stop` says so, and counts how each ended. */
  const load = async (clients: number, stop: () => boolean): Promise<Record<string, number>> => {
    const endings: Record<string, number> = {};
    const client = async () => {
      while (!stop()) {
        const { end_reason } = await rest.settled(
          await rest.submit({ code: "import time; time.sleep(0.05)" }),
        );
        endings[`${end_reason}`] = (endings[`${end_reason}`] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: clients }, client));
    return endings;
  };

  it("a deployment with docker compose is what ./airlock init names as the next step", () => {
    expect(deployment.initSaid).toMatch(/^Next: docker compose up --build --wait$/m);
  });

  it("a deployment with docker compose is ready, and runs a script with a secret that pauses for an answer", async () => {
    const ready = await fetch(`${rest.url}/ready`);
    expect([ready.status, await ready.text()]).toEqual([200, expect.stringContaining("ready")]);
    const id = await rest.submit({
      code: 'print(settings.get("KEY")); set_result({"said": llm.complete("?")})',
    });
    const paused = await rest.settled(id);
    expect(paused).toMatchObject({ status: "awaiting_llm", llm_request: { prompt: "?" } });
    await rest.post(`/executions/${id}/respond`, { response: "yes" });
    expect(await rest.settled(id)).toMatchObject({
      status: "completed",
      result: { said: "yes" },
      stdout: "[REDACTED...4711]\n",
    });
  }, 120_000);

  it("a deployment with docker compose demands an API key of every client, and knows the first admin's", async () => {
    const asks = ["/projects", "/executions", "/me", "/skill.md"].map((path) => `${rest.url}${path}`);
    const statuses = async (headers: Record<string, string>) =>
      await Promise.all(asks.map(async (url) => (await fetch(url, { headers })).status));
    expect(await statuses({})).toEqual([401, 401, 401, 401]);
    expect(await statuses({ authorization: `Bearer ${deployment.adminKey}` })).toEqual([200, 200, 200, 200]);
    expect(await docker("inspect", ...(await deployment.containers()))).not.toContain(deployment.adminKey);
  });

  it("a deployment with docker compose shows no secret in docker inspect, of services or workers", async () => {
    const inspected = await docker("inspect", ...(await deployment.containers()));
    expect(inspected).toContain(`airlock-${deployment.name}-`);
    expect(inspected).not.toContain(SECRET);
    expect(inspected).not.toContain("PRIVATE KEY");
    expect(inspected).not.toMatch(/postgres:\/\/[^"@]*:[^"@]+@/);
  });

  it("a deployment with docker compose lets no service but the gateway itself reach the REST API", async () => {
    const call = (address: string) =>
      `fetch("http://${address}:8000/projects").then(() => console.log("reached"), () => console.log("closed"))`;
    for (const service of ["router", "pool-manager", "secrets", "sanitizer", "egress", "authority"]) {
      expect(await deployment.compose("exec", "-T", service, "node", "-e", call("gateway"))).toBe("closed");
    }
    expect(await deployment.compose("exec", "-T", "gateway", "node", "-e", call("127.0.0.1"))).toBe(
      "reached",
    );
  });

  it("a worker's container with docker compose reaches no service's port, name, socket or the metadata address", async () => {
    const worker = await docker(
      "ps",
      "-q",
      "--filter",
      `label=airlock.worker`,
      "--filter",
      `label=airlock.deployment=${deployment.name}`,
    );
    const services = await docker(
      "ps",
      "-q",
      "--filter",
      `label=com.docker.compose.project=${deployment.name}`,
    );
    const template = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
    const addresses = (await docker("inspect", "--format", template, ...services.split("\n")))
      .split(/\s+/)
      .filter(Boolean);
    expect(addresses.length).toBeGreaterThan(7);
    const probe = `
import os, socket, sys
open_ = []
for address in sys.argv[1:] + ["169.254.169.254", "172.17.0.1"]:
    for port in (80, 2375, 5432, 7000, 8000, 9100):
        with socket.socket() as s:
            s.settimeout(0.2)
            if s.connect_ex((address, port)) == 0: open_.append(f"{address}:{port}")
for name in ("router", "gateway", "secrets", "postgres", "pool-manager", "example.com"):
    try: open_.append(f"{name}={socket.gethostbyname(name)}")
    except OSError: pass
open_ += [path for path in ("/var/run/docker.sock", "/run/docker.sock") if os.path.exists(path)]
print(open_)
`;
    const python = "/opt/airlock/worker/bin/python";
    const reached = await docker("exec", worker.split("\n")[0] as string, python, "-c", probe, ...addresses);
    expect(reached).toBe("[]");
  }, 120_000);

  it("a deployment with docker compose spreads executions over routers that are added under load, and loses none", async () => {
    let stopped = false;
    const running = load(6, () => stopped);
    await deployment.compose("up", "--detach", "--wait", "--no-recreate", "--scale", "router=3");
    const since = await rest.submit({ code: "pass" });
    const started = Date.now();
    await expect
      .poll(async () => (await acceptedByRouter(since)).filter((count) => count >= 5).length, {
        timeout: SPREAD_WITHIN_MS,
      })
      .toBe(3);
    process.stdout.write(`three routers shared the load after ${Date.now() - started} ms\n`);
    await deployment.compose("up", "--detach", "--wait", "--no-recreate", "--scale", "router=1");
    await sleep(3_000);
    stopped = true;
    const endings = await running;
    expect(Object.keys(endings)).toEqual(["completed"]);
    const unended = "SELECT count(*) FROM executions WHERE end_reason IS NULL";
    const psql = ["psql", "--username", "airlock", "--tuples-only", "--no-align", "--command", unended];
    await expect.poll(() => deployment.compose("exec", "-T", "postgres", ...psql)).toBe("0");
  }, 240_000);

  it("a deployment with docker compose ends every execution once though the pool-manager is killed, and adopts its workers", async () => {
    const own = async () =>
      await docker(
        "ps",
        "-q",
        "--filter",
        "label=airlock.worker",
        "--filter",
        `label=airlock.deployment=${deployment.name}`,
      );
    for (let kill = 0; kill < 3; kill++) {
      const before = (await own()).split("\n").sort();
      const id = await rest.submit({ code: "import time; time.sleep(0.5)" });
      await deployment.compose("kill", "--signal", "KILL", "pool-manager");
      await deployment.compose("up", "--detach", "--wait", "--no-recreate", "pool-manager");
      expect(["completed", "worker_lost"]).toContain((await rest.settled(id)).end_reason);
      expect(await rest.run({ code: "set_result(1)" })).toMatchObject({ status: "completed" });
      expect((await own()).split("\n").sort()).toEqual(before);
    }
  }, 240_000);

  it("a deployment with docker compose refuses a second pool-manager with the reason", async () => {
    const second = deployment.compose("run", "--rm", "--no-deps", "-T", "pool-manager");
    await expect(second).rejects.toThrow(
      /Another pool-manager \(container [0-9a-f]{12}\) manages the deployment/,
    );
    expect(await rest.run({ code: "set_result(1)" })).toMatchObject({ status: "completed" });
  }, 120_000);

  it("a deployment with docker compose serves through several gateways, sanitizers and authorities, and each gateway has a port", async () => {
    await deployment.compose(
      ...["up", "--detach", "--wait", "--no-recreate"],
      ...["--scale", "gateway=2", "--scale", "sanitizer=2", "--scale", "authority=2"],
    );
    const second = await deployment.compose("port", "--index", "2", "gateway", "8000");
    const other = restClient(`http://${second}`, deployment.adminKey);
    const id = await rest.submit({ code: "print('over both')" });
    expect(await other.settled(id)).toMatchObject({ status: "completed", stdout: "over both\n" });
  }, 120_000);
});

import { createServer } from "node:net";
import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  type DockerAirlock,
  describeWithEngine,
  docker,
  execIn,
  RUNTIMES,
  startDockerAirlock,
} from "../harness/docker/classes.ts";
import { type RestClient, restClient } from "../harness/rest.ts";

const SECRET = "erp-token-41c7d2-zzzz";
const READY = { timeout: 20_000 };

for (const { runtime, line } of RUNTIMES) {
  await describeWithEngine(`a worker's container of ${runtime}`, runtime, () => {
    let airlock: DockerAirlock;
    let rest: RestClient;
    let containers: Docker.ContainerInspectInfo[];

    beforeAll(async () => {
      airlock = await startDockerAirlock({
        projects: {
          demo: `${line}replicas: 2\nsecrets: {ERP_TOKEN: "\${env:ERP}"}\n`,
          other: line,
        },
        env: { ERP: SECRET },
      });
      rest = restClient(airlock.url);
      await Promise.all([rest.run({ code: "pass" }), rest.run({ project: "other", code: "pass" })]);
      await vi.waitUntil(async () => (await rest.project("demo")).idle_workers === 2, READY);
      containers = await Promise.all(
        (await airlock.traces()).containers.map(({ Id }) => docker.getContainer(Id).inspect()),
      );
    });
    afterAll(() => airlock?.remove());

    const ofProject = (name: string) =>
      containers.filter(({ Config }) => Config.Labels["airlock.project"] === name);
    const first = () => ofProject("demo")[0] as Docker.ContainerInspectInfo;
    const addressOf = ({ NetworkSettings }: Docker.ContainerInspectInfo) =>
      Object.values(NetworkSettings.Networks)[0]?.IPAddress as string;

    /** Runs Python in the worker's container outside the sandbox, as a script that broke out of it could. */
    const inside = (code: string, container = first()): Promise<string> =>
      execIn(container.Id, ["/opt/airlock/project/bin/python", "-c", code]);
    const tries = (expression: string) =>
      inside(`
import os, socket
try:
    ${expression}
    print("worked")
except OSError as error:
    print("refused")
`);

    it(`a worker's container of ${runtime} runs as an unprivileged user, without capabilities, read-only, bounded`, () => {
      for (const { Config, HostConfig } of containers) {
        expect(Config.User).toMatch(/^\d{5}:\d{5}$/);
        expect(HostConfig).toMatchObject({
          Privileged: false,
          ReadonlyRootfs: true,
          CapDrop: ["ALL"],
          CapAdd: null,
          Binds: null,
          PortBindings: {},
          PublishAllPorts: false,
          RestartPolicy: { Name: "no" },
          Init: true,
          LogConfig: { Type: "json-file", Config: { "max-size": "1m", "max-file": "2" } },
        });
        expect(HostConfig.SecurityOpt).toContain("no-new-privileges");
        expect(HostConfig.Memory).toBeGreaterThan(0);
        expect(HostConfig.MemorySwap).toBe(HostConfig.Memory);
        expect(HostConfig.PidsLimit).toBeGreaterThan(0);
        expect(HostConfig.NanoCpus).toBeGreaterThan(0);
      }
    });

    it(`a worker's container of ${runtime} shows no secret and no key to a user of the engine`, async () => {
      expect((await rest.run({ code: "set_result(len(settings.get('ERP_TOKEN')))" })).result).toBe(
        SECRET.length,
      );
      for (const container of containers) {
        const image = docker.getImage(container.Image);
        const log = await docker.getContainer(container.Id).logs({ stdout: true, stderr: true });
        const shown = [
          JSON.stringify(container),
          JSON.stringify(await docker.getContainer(container.Id).top()),
          JSON.stringify(await image.inspect()),
          JSON.stringify(await image.history()),
          log.toString("latin1"),
        ].join("\n");
        expect(shown).not.toContain(SECRET);
        expect(shown).not.toContain("PRIVATE KEY");
        expect(shown).toContain("airlock_worker");
      }
      // Nor to a process in the container: no file and no environment has them.
      const files = await inside(`
import os
found = []
for top in ("/tmp", "/run", "/dev/shm", "/opt/airlock", "/etc"):
    for directory, _, names in os.walk(top):
        for name in names:
            try:
                data = open(os.path.join(directory, name), "rb").read()
            except OSError:
                continue
            if ${JSON.stringify(SECRET)}.encode() in data or b"PRIVATE KEY-----\\nM" in data: found.append(name)
print(found, ${JSON.stringify(SECRET)} in str(os.environ))`);
      expect(files).toBe("[] False");
    });

    it(`a worker's container of ${runtime} cannot write into its system, or become another user`, async () => {
      for (const place of ["/", "/opt/airlock/lib/x", "/etc/x", "/usr/bin/x"]) {
        expect(await tries(`open(${JSON.stringify(place)} + "x", "w")`), place).toBe("refused");
      }
      expect(await tries("open('/tmp/x', 'w')")).toBe("worked");
      expect(await tries("os.setuid(0)")).toBe("refused");
      expect(await tries("open('/proc/sys/kernel/core_pattern', 'w')")).toBe("refused");
      expect(await tries("open('/proc/sysrq-trigger', 'w')")).toBe("refused");
      expect(await inside("print(open('/proc/self/status').read().split('CapBnd:')[1].split()[0])")).toBe(
        "0000000000000000",
      );
    });

    describe("the network of a worker's container", () => {
      const reaches = (address: string, port: number) =>
        tries(`socket.create_connection((${JSON.stringify(address)}, ${port}), 1.5)`);

      it(`a worker's container of ${runtime} reaches itself, so that its other attempts mean something`, async () => {
        expect(await reaches(addressOf(first()), 50051)).toBe("worked");
      });

      it(`a worker's container of ${runtime} reaches no other worker, of its own project or another`, async () => {
        expect(await reaches(addressOf(ofProject("demo")[1] as never), 50051)).toBe("refused");
        expect(await reaches(addressOf(ofProject("other")[0] as never), 50051)).toBe("refused");
      });

      it(`a worker's container of ${runtime} reaches no service of Airlock on this machine`, async () => {
        const gateway = Object.values(first().NetworkSettings.Networks)[0]?.Gateway as string;
        const port = Number(new URL(airlock.url).port);
        for (const address of [gateway, "127.0.0.1", "host.docker.internal", "172.17.0.1"].filter(Boolean)) {
          expect(await reaches(address, port), address).toBe("refused");
        }
      });

      it(`a worker's container of ${runtime} reaches no socket of the engine, no metadata service and no outside host`, async () => {
        for (const path of ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"]) {
          expect(await tries(`os.stat(${JSON.stringify(path)})`), path).toBe("refused");
        }
        for (const address of ["169.254.169.254", "1.1.1.1", "10.0.0.1"]) {
          expect(await reaches(address, 80), address).toBe("refused");
        }
      });

      it(`a worker's container of ${runtime} reaches no server on another address of this machine`, async () => {
        const server = createServer((socket) => socket.end());
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        const { port } = server.address() as { port: number };
        const gateway = Object.values(first().NetworkSettings.Networks)[0]?.Gateway as string;
        expect(await reaches(gateway || "172.17.0.1", port)).toBe("refused");
        await new Promise((resolve) => server.close(resolve));
      });

      it(`a worker's container of ${runtime} resolves no name`, async () => {
        const other = ofProject("demo")[1]?.Name.slice(1) as string;
        const names = ["example.com", "localhost.localdomain.example", "pool-manager", "router", "gateway"];
        for (const name of [...names, "docker.for.mac.localhost", `x${other}`]) {
          expect(await tries(`socket.getaddrinfo(${JSON.stringify(name)}, 80)`), name).toBe("refused");
        }
      });
    });
  });
}

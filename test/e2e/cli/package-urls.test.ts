import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import { readEmbeddedConfig } from "../../../cli/embedded/config.ts";
import { runAirlock, startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";
import { wheel } from "../../support/wheel.ts";

const PASSWORD = "pa55w0rd-of-a-package-url";
const SIGNATURE = "s1gnature-of-a-package-url";
const NAME = "atinypackage";

let server: Server;
let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  const content = wheel(NAME, "VALUE = 42\n");
  const expected = `Basic ${Buffer.from(`user:${PASSWORD}`).toString("base64")}`;
  server = createServer((request, response) => {
    if (request.headers.authorization !== expected) {
      response.writeHead(401, { "www-authenticate": "Basic" }).end();
    } else if (request.url?.startsWith("/missing")) {
      response.writeHead(404).end();
    } else response.writeHead(200, { "content-type": "application/zip" }).end(content);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const file = `${NAME}-1.0-py3-none-any.whl`;
  const hash = createHash("sha256").update(content).digest("hex");
  const urlOf = (path: string) =>
    `${NAME} @ http://user:${PASSWORD}@127.0.0.1:${port}/${path}${file}?sig=${SIGNATURE}#sha256=${hash}`;
  airlock = await startAirlock({
    projects: {
      good: `packages: ["${urlOf("")}"]\n`,
      bad: `packages: ["${urlOf("missing/")}"]\n`,
    },
    env: { NO_PROXY: "127.0.0.1", AIRLOCK_LOG_LEVEL: "debug" },
  });
  rest = restClient(airlock.url);
});
afterAll(async () => {
  await airlock.remove();
  server.close();
});

function expectNoPassword(text: string): void {
  expect(text).not.toContain(PASSWORD);
  expect(text).not.toContain(SIGNATURE);
}

describe("the password and the signature of a package's URL", () => {
  it("the password and the signature of a package's URL are not shown to clients that ask for the project", async () => {
    for (const path of ["/projects", "/projects/good", "/skill.md"]) {
      const text = await (await fetch(airlock.url + path)).text();
      expect(text).toContain(`${NAME} @ http://****@127.0.0.1:`);
      expectNoPassword(text);
    }
    const { runDirectory } = readEmbeddedConfig(["--data", airlock.dataDirectory], process.env);
    const pool = connectTo(PoolManagerServiceClient, `unix:${runDirectory}/pool-manager.sock`);
    const answer = await callUnary(pool, pool.getProject, { name: "good" }, "pool-manager", {
      timeoutMs: 5_000,
    });
    pool.close();
    expect(answer.project?.packages[0]).toMatch(/^atinypackage @ http:\/\/\*{4}@127.* ?\?\*{4}#sha256=/);
    expectNoPassword(JSON.stringify(answer));
  });

  it("the password and the signature of a package's URL are in no file that a script of the project can read", async () => {
    const code = `
import ${NAME}, os, sys
found = []
for directory, _, files in os.walk(sys.prefix):
    for path in (os.path.join(directory, name) for name in files):
        if os.path.isfile(path) and b"of-a-package" + b"-url" in open(path, "rb").read():
            found.append(path)
set_result([${NAME}.VALUE, found])
`;
    const execution = await rest.run({ project: "good", code, timeout: 120 });
    expect(execution).toMatchObject({ status: "completed", result: [42, []] });
    // Nor in the environments that an earlier Airlock made.
    const [key = ""] = await readdir(join(airlock.dataDirectory, "environments"));
    const environment = join(airlock.dataDirectory, "environments", key);
    const info = join(environment, "lib", "python3", "atinypackage.dist-info");
    await mkdir(info, { recursive: true });
    for (const path of [join(info, "direct_url.json"), join(environment, "requirements.lock")]) {
      await writeFile(path, `http://user:${PASSWORD}@host/`);
    }
    await airlock.stop();
    airlock = await airlock.restart();
    rest = restClient(airlock.url);
    expect(await rest.run({ project: "good", code })).toMatchObject({ result: [42, []] });
  });

  it("the password and the signature of a package's URL are in no error, log or command's output", async () => {
    const execution = await rest.run({ project: "bad", code: "1" });
    expect(execution).toMatchObject({ end_reason: "start_failed", error: expect.stringContaining(NAME) });
    expectNoPassword(JSON.stringify(execution));
    const locked = await runAirlock(["lock", "good", "--projects", airlock.projectsDirectory], {
      env: { NO_PROXY: "127.0.0.1" },
    });
    expect([locked.status, locked.stdout]).toEqual([0, expect.stringContaining("http://****@127.0.0.1")]);
    expectNoPassword(locked.stdout + locked.stderr + airlock.output());
    expectNoPassword(await readFile(join(airlock.dataDirectory, "logs", "airlock.log"), "utf8"));
  });
});

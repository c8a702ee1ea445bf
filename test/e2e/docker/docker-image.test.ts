import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  type DockerAirlock,
  describeWithEngine,
  docker,
  startDockerAirlock,
} from "../../harness/docker/classes.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

// Any text of the operator's environment that only installers may see.
const PASSWORD = "index-password-77a1";
const BUILD_TIMEOUT = { timeout: 180_000 };
const SIX = "packages: [six]\n";

await describeWithEngine("the image of a project's workers", "runc", () => {
  let airlock: DockerAirlock;
  let rest: RestClient;
  const env = { UV_INDEX_PRIVATE_PASSWORD: PASSWORD };

  beforeAll(async () => {
    airlock = await startDockerAirlock({ projects: { demo: "" }, env });
    rest = restClient(airlock.url);
  });
  afterAll(() => airlock?.remove());

  const imageInUse = async (project = "demo") => {
    const container = (await airlock.traces()).containers.find(
      ({ Labels }) => Labels["airlock.project"] === project,
    );
    return container?.ImageID as string;
  };
  const write = (name: string, text: string) =>
    writeFile(join(airlock.projectsDirectory, `${name}.yaml`), `name: ${name}\n${text}`);
  const six = "import six\nset_result(six.__version__)";
  const afterRestart = async () => {
    airlock = await airlock.restart();
    rest = restClient(airlock.url);
  };

  it("the image of a project's workers has the project's packages", BUILD_TIMEOUT, async () => {
    await write("demo", SIX);
    await afterRestart();
    expect((await rest.run({ code: six })).result).toMatch(/^1\./);
  });

  it(
    "the image of a project's workers is made once, and anew when the project's packages change",
    BUILD_TIMEOUT,
    async () => {
      const before = await imageInUse();
      await afterRestart();
      await rest.run({ code: six });
      expect(await imageInUse()).toBe(before);
      await write("demo", "packages: [six<1.17]\n");
      await expect.poll(async () => (await rest.run({ code: six })).result, BUILD_TIMEOUT).toBe("1.16.0");
      await expect.poll(() => imageInUse(), BUILD_TIMEOUT).not.toBe(before);
    },
  );

  it(
    "the image of a project's workers is kept with the one before it, and older ones are removed",
    BUILD_TIMEOUT,
    async () => {
      await write("demo", "packages: [six<1.16]\n");
      await expect.poll(async () => (await rest.run({ code: six })).result, BUILD_TIMEOUT).toBe("1.15.0");
      await write("demo", "packages: [six<1.15]\n");
      await expect.poll(async () => (await rest.run({ code: six })).result, BUILD_TIMEOUT).toBe("1.14.0");
      expect((await airlock.images()).length).toBe(2);
    },
  );

  it("the image of a project's workers keeps nothing of the installers' settings", async () => {
    for (const { Id } of await airlock.images()) {
      const image = docker.getImage(Id);
      expect(JSON.stringify([await image.inspect(), await image.history()])).not.toContain(PASSWORD);
      const layers = await image.get();
      let tail = "";
      let found = false;
      layers.on("data", (chunk: Buffer) => {
        const text = tail + chunk.toString("latin1");
        found ||= text.includes(PASSWORD);
        tail = text.slice(-PASSWORD.length);
      });
      await once(layers, "end");
      expect(found).toBe(false);
    }
  });

  it(
    "an image of a project's workers that cannot be built says why in the package's own words, without credentials",
    BUILD_TIMEOUT,
    async () => {
      await write("absent", "packages: [airlock-has-no-such-package]\n");
      const absent = await rest.run({ project: "absent", code: "pass" });
      expect(absent.end_reason).toBe("start_failed");
      expect(absent.error).toContain("airlock-has-no-such-package was not found");
      await airlock.stop();
      const url = `https://reader:${PASSWORD}@127.0.0.1:9/simple`;
      airlock = await startDockerAirlock({
        projects: { private: "packages: [airlock-private]\n" },
        directory: airlock.directory,
        env: {
          PIP_INDEX_URL: process.env.PIP_INDEX_URL ?? "https://pypi.org/simple",
          UV_DEFAULT_INDEX: url,
          UV_HTTP_TIMEOUT: "2",
        },
      });
      rest = restClient(airlock.url);
      const refused = await rest.run({ project: "private", code: "pass" });
      expect(refused.end_reason).toBe("start_failed");
      expect(refused.error).toContain("127.0.0.1:9");
      expect(refused.error + airlock.output()).not.toContain(PASSWORD);
    },
  );
});

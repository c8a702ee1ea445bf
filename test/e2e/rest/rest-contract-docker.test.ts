import { describeWithEngine, RUNTIMES, startDockerAirlock } from "../../harness/docker/classes.ts";
import { restClient } from "../../harness/rest.ts";
import { describeRestContract } from "./rest-contract.ts";

for (const { runtime, line } of RUNTIMES) {
  await describeWithEngine(runtime, runtime, () =>
    describeRestContract(`containers of ${runtime}`, async () => {
      const airlock = await startDockerAirlock({ projects: { demo: line } });
      // The project's image is built for its first script.
      await restClient(airlock.url).run({ code: "pass" });
      return { url: airlock.url, project: "demo", stop: airlock.remove };
    }),
  );
}

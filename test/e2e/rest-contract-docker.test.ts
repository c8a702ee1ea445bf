import { describeWithEngine, RUNTIMES, startDockerAirlock } from "../support/docker.ts";
import { describeRestContract } from "./rest-contract.ts";

for (const { runtime, line } of RUNTIMES) {
  await describeWithEngine(runtime, runtime, () =>
    describeRestContract(`containers of ${runtime}`, async () => {
      const airlock = await startDockerAirlock({ projects: { demo: line } });
      return { url: airlock.url, project: "demo", stop: airlock.remove };
    }),
  );
}

import { startAirlock } from "../../harness/airlock.ts";
import { describeRestContract } from "./rest-contract.ts";

describeRestContract("the service", async () => {
  const airlock = await startAirlock();
  return { url: airlock.url, project: "demo", stop: airlock.remove };
});

describeRestContract("up --mock", async () => {
  const airlock = await startAirlock({ mock: true, env: { AIRLOCK_PYTHON: "/no/python" } });
  return { url: airlock.url, project: "mock-project", stop: airlock.remove };
});

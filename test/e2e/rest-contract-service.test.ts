import { startAirlock } from "../support/airlock.ts";
import { describeRestContract } from "./rest-contract.ts";

describeRestContract("the service", async () => {
  const airlock = await startAirlock();
  return { url: airlock.url, project: "demo", stop: airlock.remove };
});

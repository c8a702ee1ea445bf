import { pino } from "pino";
import { afterAll, beforeAll, describe } from "vitest";
import { systemClock } from "../../services/common/clock.ts";
import { openPostgresStore } from "../../services/router/store/postgres.ts";
import { postgresMissing, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { describeStoreContract } from "../support/store-contract.ts";

const missing = postgresMissing();
const log = pino({ level: "silent" });

describe.skipIf(missing)(`a real PostgreSQL${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(async () => {
    await postgres.remove();
  });

  describeStoreContract("PostgreSQL", async () => {
    const { config } = await postgres.newDatabase();
    return await openPostgresStore(config, "router-1", systemClock, log);
  });
});

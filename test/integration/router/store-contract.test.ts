import { pino } from "pino";
import { beforeEach } from "vitest";
import { createCircuits } from "#common/resilience/circuits.ts";
import { systemClock as clock } from "#common/resilience/clock.ts";
import { openStore } from "../../../services/router/store/open.ts";
import { itAdmits } from "../../support/router-store/admission.ts";
import { itKeepsClaims } from "../../support/router-store/claims.ts";
import { itKeepsDeadLetters } from "../../support/router-store/dead-letters.ts";
import { itKeepsExecutions } from "../../support/router-store/executions.ts";
import { itReadsInPieces } from "../../support/router-store/reading.ts";
import { itCountsBytes } from "../../support/router-store/stored-bytes.ts";
import { itKeepsSubmitters } from "../../support/router-store/submitters.ts";
import { running, store, useStore } from "../../support/router-store/test-store.ts";
import { describeStore } from "../../support/store-contract.ts";

const log = pino({ level: "silent" });

describeStore(
  "the router's store",
  (config) => openStore(config, "router-1", clock, log, createCircuits("airlock_router", clock, log)),
  (test) => {
    beforeEach(() => useStore(test.store));

    itKeepsExecutions();
    itReadsInPieces(() => store, running);
    itKeepsClaims();
    itAdmits();
    itKeepsDeadLetters();
    itCountsBytes();
    itKeepsSubmitters(test);
  },
);

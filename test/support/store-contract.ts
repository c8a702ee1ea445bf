import { describe } from "vitest";
import type { ExecutionStore } from "../../services/router/store/store.ts";
import { itAdmits } from "./store-contract/admission.ts";
import { itKeepsClaims } from "./store-contract/claims.ts";
import { itKeepsDeadLetters } from "./store-contract/dead-letters.ts";
import { itKeepsExecutions } from "./store-contract/executions.ts";
import { itCountsBytes } from "./store-contract/stored-bytes.ts";
import { running, store, storeForEachTest } from "./store-contract/test-store.ts";
import { itReadsInPieces } from "./store-reading-contract.ts";

/** Defines the tests that every adapter of the store port must pass; `open` gives a fresh, empty store. */
export function describeStoreContract(name: string, open: () => Promise<ExecutionStore>): void {
  describe(`${name} keeps the store contract`, () => {
    storeForEachTest(open);

    itKeepsExecutions();
    itReadsInPieces(() => store, running);
    itKeepsClaims();
    itAdmits();
    itKeepsDeadLetters();
    itCountsBytes();
  });
}

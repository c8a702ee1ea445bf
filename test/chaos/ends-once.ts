import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { startEchoServer } from "../harness/echo-server.ts";
import { changedLater, logsOf, nothingIsLeft, ranTwice } from "./aftermath.ts";
import { createClient } from "./client.ts";
import { deckOf, type FaultName } from "./faults.ts";
import { AS_WRITTEN, endingOf, judge, tableOf } from "./judgement.ts";
import { play } from "./run-schedule.ts";
import { openStage } from "./stage.ts";
import { holdsToken, MARKER, rowsWithToken, TOKEN } from "./token.ts";
import type { OpenPlace } from "./worker-host.ts";

const SEED = Number(process.env.AIRLOCK_CHAOS_SEED ?? randomBytes(4).readUInt32BE());
const REPLICAS = { demo: 4, listed: 2 };
const MINUTE_MS = 60_000;

export type Whatever = {
  readonly openPlace: () => OpenPlace;
  /** As many unless AIRLOCK_CHAOS_EXECUTIONS says. */
  readonly executions: number;
  /** All that there is to be struck, unless only these. */
  readonly faults?: readonly FaultName[];
  /** From one fault to the next. */
  readonly faultEveryMs: readonly [number, number];
};

/** The test that every accepted execution ends exactly once, and that nothing is left. */
export function itEndsOnce({ openPlace, executions, faults: only, faultEveryMs }: Whatever): void {
  it(
    `every accepted execution ends exactly once (AIRLOCK_CHAOS_SEED=${SEED})`,
    async () => {
      const ledger = await startEchoServer();
      const base = 'secrets: {TOKEN: "${env:CHAOS_TOKEN}"}\nlimits: {max_output_mb: 1}\n';
      const listed = `network_allowlist: ["127.0.0.1:${ledger.port}"]\nallow_private: [127.0.0.1]\n`;
      const stage = await openStage(
        openPlace(),
        {
          demo: `${base}replicas: ${REPLICAS.demo}\n`,
          listed: `${base}replicas: ${REPLICAS.listed}\n${listed}`,
        },
        { CHAOS_TOKEN: TOKEN },
      );
      const leaks: string[] = [];
      const captured = (text: string) => {
        if (holdsToken(text)) leaks.push(text.slice(0, 1_000));
      };
      const client = createClient(stage.urls, captured);
      try {
        const score = {
          seed: SEED,
          executions: Number(process.env.AIRLOCK_CHAOS_EXECUTIONS ?? executions),
          deck: deckOf(stage.place).filter(({ deed, target }) => !only || only.includes(`${deed} ${target}`)),
          faultEveryMs,
          world: { marker: MARKER, ledgerPort: ledger.port },
        };
        const { witnesses, faults } = await play(score, stage, client);
        process.stdout.write(`\n${tableOf(faults, witnesses)}\n${client.retries()} calls were repeated\n`);
        for (const witness of process.env.AIRLOCK_CHAOS_VERBOSE ? witnesses : []) {
          const { script, id, view } = witness;
          if (endingOf(witness) === AS_WRITTEN) continue;
          process.stdout.write(`${script.kind} ${id} ${view.end_reason}: ${view.error}\n`);
        }

        const problems = witnesses.flatMap((witness) =>
          judge(witness, faults, stage.place.causes).map(
            (problem) => `${witness.script.kind} ${witness.n} ${witness.id}: ${problem}`,
          ),
        );
        problems.push(...client.violations);
        for (const service of stage.services.values()) problems.push(...service.crashes);
        const paths = ledger.seen.map(({ path }) => path);
        problems.push(...ranTwice(witnesses, paths), ...(await changedLater(witnesses, client)));
        if (problems.length > 0) process.stdout.write(`${logsOf(stage, problems)}\n`);
        expect(problems).toEqual([]);

        await nothingIsLeft(stage, witnesses, REPLICAS);
        expect(await rowsWithToken(stage.database)).toEqual([]);
        await stage.stop();
        await expect.poll(stage.place.census, { timeout: MINUTE_MS }).toEqual(stage.place.expected({}));
        for (const service of stage.services.values()) captured(service.output());
        expect(leaks).toEqual([]);
        const asWritten = witnesses.filter((witness) => endingOf(witness) === AS_WRITTEN).length;
        expect(asWritten).toBeGreaterThan(witnesses.length / 2);
      } finally {
        client.stop();
        await stage.remove();
        await ledger.close();
      }
    },
    60 * MINUTE_MS,
  );
}

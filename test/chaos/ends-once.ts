import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { startEchoServer } from "../harness/echo-server.ts";
import { changedLater, logsOf, nothingIsLeft, ranTwice } from "./aftermath.ts";
import { openChaosHarness } from "./chaos-harness.ts";
import { createClient } from "./client.ts";
import { type FaultName, faultsToInject } from "./faults.ts";
import { AS_WRITTEN, endingOf, judge, tableOf } from "./judgement.ts";
import { runSchedule } from "./run-schedule.ts";
import { holdsToken, MARKER, rowsWithToken, TOKEN } from "./token.ts";
import type { OpenWorkerHost } from "./worker-host.ts";

const SEED = Number(process.env.AIRLOCK_CHAOS_SEED ?? randomBytes(4).readUInt32BE());
const REPLICAS = { demo: 4, listed: 2 };
const MINUTE_MS = 60_000;

export type EndsOnceOptions = {
  readonly openWorkerHost: () => OpenWorkerHost;
  /** Number of executions; AIRLOCK_CHAOS_EXECUTIONS overrides it. */
  readonly executions: number;
  /** The faults to inject; undefined means all of them. */
  readonly faults?: readonly FaultName[];
  /** Least and most milliseconds between two faults. */
  readonly faultEveryMs: readonly [number, number];
};

/** Defines the test that every accepted execution ends exactly once, and that nothing is left behind. */
export function itEndsOnce({
  openWorkerHost,
  executions,
  faults: only,
  faultEveryMs,
}: EndsOnceOptions): void {
  it(
    `every accepted execution ends exactly once (AIRLOCK_CHAOS_SEED=${SEED})`,
    async () => {
      const callLog = await startEchoServer();
      const base = 'secrets: {TOKEN: "${env:CHAOS_TOKEN}"}\nlimits: {max_output_mb: 1}\n';
      const listed = `network_allowlist: ["127.0.0.1:${callLog.port}"]\nallow_private: [127.0.0.1]\n`;
      const harness = await openChaosHarness(
        openWorkerHost(),
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
      const client = createClient(harness.urls, captured);
      try {
        const schedule = {
          seed: SEED,
          executions: Number(process.env.AIRLOCK_CHAOS_EXECUTIONS ?? executions),
          faults: faultsToInject(harness.workerHost).filter(
            ({ action, target }) => !only || only.includes(`${action} ${target}`),
          ),
          faultEveryMs,
          world: { marker: MARKER, callLogPort: callLog.port },
        };
        const { witnesses, faults } = await runSchedule(schedule, harness, client);
        process.stdout.write(`\n${tableOf(faults, witnesses)}\n${client.retries()} calls were repeated\n`);
        for (const witness of process.env.AIRLOCK_CHAOS_VERBOSE ? witnesses : []) {
          const { script, id, view } = witness;
          if (endingOf(witness) === AS_WRITTEN) continue;
          process.stdout.write(`${script.kind} ${id} ${view.end_reason}: ${view.error}\n`);
        }

        const problems = witnesses.flatMap((witness) =>
          judge(witness, faults, harness.workerHost.causes).map(
            (problem) => `${witness.script.kind} ${witness.n} ${witness.id}: ${problem}`,
          ),
        );
        problems.push(...client.violations);
        for (const service of harness.services.values()) problems.push(...service.crashes);
        const paths = callLog.seen.map(({ path }) => path);
        problems.push(...ranTwice(witnesses, paths), ...(await changedLater(witnesses, client)));
        if (problems.length > 0) process.stdout.write(`${logsOf(harness, problems)}\n`);
        expect(problems).toEqual([]);

        await nothingIsLeft(harness, witnesses, REPLICAS);
        expect(await rowsWithToken(harness.database)).toEqual([]);
        await harness.stop();
        await expect
          .poll(harness.workerHost.counts, { timeout: MINUTE_MS })
          .toEqual(harness.workerHost.expected({}));
        for (const service of harness.services.values()) captured(service.output());
        expect(leaks).toEqual([]);
        const asWritten = witnesses.filter((witness) => endingOf(witness) === AS_WRITTEN).length;
        expect(asWritten).toBeGreaterThan(witnesses.length / 2);
      } finally {
        client.stop();
        await harness.remove();
        await callLog.close();
      }
    },
    60 * MINUTE_MS,
  );
}

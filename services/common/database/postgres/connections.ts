import { Client, type ClientConfig, Pool, type PoolClient, type QueryConfig, type QueryResult } from "pg";
import { afterAwake } from "../../resilience/awake-timer.ts";
import type { Clock } from "../../resilience/clock.ts";
import type { Log } from "../../service/log.ts";
import { describe, isGone } from "./errors.ts";

// Milliseconds for a new connection: less than a caller waits for its answer, so that the caller learns that
// the database does not answer.
const CONNECT_TIMEOUT_MS = 3_000;
// Milliseconds for the answer to a statement: longer than the server's own limit, because the server normally
// ends a slow statement first. This limit is for a server whose answers no longer arrive.
const ANSWER_TIMEOUT_MS = 12_000;

/** A statement with its values, and the functions that get its outcome. */
export type Sent = {
  readonly query: QueryConfig;
  resolve(result: QueryResult): void;
  reject(error: unknown): void;
};

/** The connections of one service to PostgreSQL. */
export type Connections = {
  /** Resolves to an idle connection, or to a new one. */
  open(): Promise<Connection>;
  close(): Promise<void>;
};

/** An open connection, which one caller uses until it releases it. */
export type Connection = {
  /**
   * Sends statements together, in one round trip, and gives each its outcome. Each is a transaction of its
   * own, unless a transaction is open. Resolves to the milliseconds between the first and the last answer.
   * Rejects when the connection is lost; the statements without an answer are then rejected, too.
   */
  send(statements: readonly Sent[]): Promise<number>;
  query(query: QueryConfig): Promise<QueryResult>;
  /** Gives the connection back for others. It is closed when it was lost, or when `isUsable` is false. */
  release(isUsable?: boolean): void;
};

/** Opens at most `max` connections, when they are needed. */
export function openConnections(client: ClientConfig, max: number, clock: Clock, log: Log): Connections {
  /** A client that gives a connection up which does not open in time. */
  class TimedClient extends Client {
    override connect(): Promise<Client>;
    override connect(callback: (error: Error | null) => void): void;
    override connect(callback?: (error: Error | null) => void): Promise<Client> | undefined {
      if (!callback) return super.connect() as unknown as Promise<Client>;
      const error = new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`);
      const stopTimer = afterAwake(CONNECT_TIMEOUT_MS, clock, () => this.connection.stream.destroy(error));
      super.connect((failure: Error | null) => {
        stopTimer();
        callback(failure);
      });
      return undefined;
    }
  }
  const pool = new Pool({
    ...client,
    max,
    idleTimeoutMillis: 60_000,
    pipeline: true,
    Client: TimedClient as unknown as new () => Client,
    // Both limits are kept here instead, because the driver's also count the time in which this process stood
    // still.
    connectionTimeoutMillis: 0,
    query_timeout: 0,
  });
  pool.on("error", (error) => log.warn({ reason: describe(error) }, "idle database connection lost"));
  // The names of the statements that each connection has prepared.
  const prepared = new WeakMap<PoolClient, Set<string>>();

  const send = async (connection: PoolClient, statements: readonly Sent[]) => {
    const names = prepared.get(connection) ?? new Set();
    prepared.set(connection, names);
    let lost: Error | undefined;
    let firstAtMs: number | undefined;
    let stopTimer: () => void = () => undefined;
    const awaitAnswer = () => {
      stopTimer();
      stopTimer = afterAwake(ANSWER_TIMEOUT_MS, clock, () => {
        lost = new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`);
        connection.connection.stream.destroy();
      });
    };
    const ask = async ({ query, resolve, reject }: Sent) => {
      try {
        const result = await connection.query(query);
        if (query.name !== undefined) names.add(query.name);
        resolve(result);
      } catch (error) {
        if (isGone(error)) lost ??= error as Error;
        reject(isGone(error) ? lost : error);
      }
      firstAtMs ??= clock.monotonicMs();
      awaitAnswer();
    };
    try {
      for (let left = statements; left.length > 0; ) {
        const [now, later] = withoutRepeats(left, names);
        left = later;
        awaitAnswer();
        await Promise.all(now.map(ask));
      }
    } finally {
      stopTimer();
    }
    if (lost) throw lost;
    return firstAtMs === undefined ? 0 : clock.monotonicMs() - firstAtMs;
  };

  return {
    async open() {
      const connection = await pool.connect();
      // Without a listener, the loss of a connection between two statements would end the process.
      const onError = (error: Error) => log.debug({ reason: describe(error) }, "database connection lost");
      connection.on("error", onError);
      let isLost = false;
      const sendAll = async (statements: readonly Sent[]) => {
        try {
          return await send(connection, statements);
        } catch (error) {
          isLost = true;
          throw error;
        }
      };
      return {
        send: sendAll,
        async query(query) {
          const { promise, resolve, reject } = Promise.withResolvers<QueryResult>();
          // The outcome of the statement says whether the connection was lost.
          await Promise.all([promise, sendAll([{ query, resolve, reject }])]);
          return await promise;
        },
        release(isUsable = true) {
          connection.off("error", onError);
          connection.release(isLost || !isUsable);
        },
      };
    },
    close: () => pool.end(),
  };
}

/**
 * Splits statements into those that can be sent now and those that have to wait for them: when several have
 * the same name and the connection has not prepared it, only the first prepares it, and the others would all
 * fail with it.
 */
function withoutRepeats(
  statements: readonly Sent[],
  prepared: ReadonlySet<string>,
): readonly [Sent[], Sent[]] {
  const fresh = new Set<string>();
  const [now, later]: [Sent[], Sent[]] = [[], []];
  for (const statement of statements) {
    const { name } = statement.query;
    const isRepeat = name !== undefined && !prepared.has(name) && fresh.has(name);
    if (name !== undefined) fresh.add(name);
    (isRepeat ? later : now).push(statement);
  }
  return [now, later];
}

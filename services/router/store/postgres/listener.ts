import { Client, type ClientConfig, type Notification } from "pg";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import { describe } from "./errors.ts";

const CHANGES = "airlock_changes";
const CLAIMABLE = "airlock_claimable";
const RECONNECT_AFTER_MS = 500;
const CHECK_EVERY_MS = 10_000;
// Execution ids in one notice, because the payload of a notice has less than 8,000 bytes.
const MAX_IDS = 200;
// Execution ids kept while there is no connection. Other routers find changes beyond it with their periodic
// look.
const MAX_WAITING = 10_000;

/** The notices that a router receives from other routers. */
export type Hearing = {
  changed(executionId: string): void;
  claimable(): void;
  /** The connection is new, so notices may have been missed. */
  missed(): void;
};

/** One database connection that receives the notices of other routers and sends those of this router. */
export type Listener = {
  /**
   * Sends a notice soon, together with others that wait. The notice is not a part of the change's
   * transaction, because a commit with a NOTIFY holds a lock while the disk is written, and every other such
   * commit waits for it.
   */
  tellChanged(executionId: string): void;
  tellClaimable(): void;
  /** Sends the notices that wait, if there is a connection, and closes it. */
  close(): Promise<void>;
};

/** Opens the connection, and opens it again whenever it is lost. Rejects when the first attempt fails. */
export async function openListener(
  config: ClientConfig,
  self: string,
  hearing: Hearing,
  clock: Clock,
  log: Log,
): Promise<Listener> {
  const changes = new Set<string>();
  let claimable = false;
  let checkIsDue = false;
  let connected: Client | undefined;
  let sending: Promise<void> | undefined;
  let closed = false;
  let stopTimer: () => void = () => undefined;
  let stopCheck: () => void = () => undefined;

  const hear = ({ channel, payload = "" }: Notification) => {
    const [sender, ids = ""] = payload.split(" ");
    if (sender === self) return;
    if (channel === CLAIMABLE) hearing.claimable();
    else ids.split(",").forEach(hearing.changed);
  };
  const connect = async () => {
    const client = new Client({ ...config, application_name: "airlock-router-notices" });
    client.on("error", (error) => log.debug({ reason: describe(error) }, "listening broke off"));
    client.on("notification", hear);
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANGES}; LISTEN ${CLAIMABLE}`);
    } catch (error) {
      await client.end();
      throw error;
    }
    if (closed) return await client.end();
    client.once("end", () => {
      connected = undefined;
      if (closed) return;
      log.warn("the database's notices are not heard; looking for changes instead");
      reconnectSoon();
    });
    connected = client;
    hearing.missed();
    send();
  };
  const reconnectSoon = () => {
    stopTimer = clock.after(RECONNECT_AFTER_MS, () => {
      connect().then(() => log.info("the database's notices are heard again"), reconnectSoon);
    });
  };
  const tell = async (client: Client, channel: string, payload: string) => {
    await client.query({ name: "notify", text: "SELECT pg_notify($1, $2)", values: [channel, payload] });
  };
  const sendAll = async (client: Client) => {
    const ids = [...changes].slice(0, MAX_IDS);
    const due = { claimable, check: checkIsDue };
    for (const id of ids) changes.delete(id);
    claimable = false;
    checkIsDue = false;
    try {
      if (ids.length > 0) await tell(client, CHANGES, `${self} ${ids.join(",")}`);
      if (due.claimable) await tell(client, CLAIMABLE, self);
      if (due.check) await client.query("SELECT 1");
    } catch {
      for (const id of ids) changes.add(id);
      claimable ||= due.claimable;
      // A connection that does not answer is treated as lost, even when the driver has not reported an error.
      await client.end();
    }
  };
  /** Sends one statement at a time. Notices that are added meanwhile are sent together. */
  const send = () => {
    if (!connected || sending || (changes.size === 0 && !claimable && !checkIsDue)) return;
    sending = sendAll(connected).finally(() => {
      sending = undefined;
      send();
    });
  };
  const check = () => {
    checkIsDue = true;
    send();
    stopCheck = clock.after(CHECK_EVERY_MS, check);
  };

  await connect();
  check();
  return {
    tellChanged(executionId) {
      if (changes.size < MAX_WAITING) changes.add(executionId);
      send();
    },
    tellClaimable() {
      claimable = true;
      send();
    },
    async close() {
      closed = true;
      stopTimer();
      stopCheck();
      while (sending) await sending;
      await connected?.end();
    },
  };
}

import { Client, type ClientConfig, type Notification } from "pg";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import { describe } from "./errors.ts";

const CHANGES = "airlock_changes";
const CLAIMABLE = "airlock_claimable";
const RECONNECT_AFTER_MS = 500;
const CHECK_EVERY_MS = 10_000;
// A payload has less than 8,000 bytes.
const MAX_IDS = 200;
// While there is no connection; what is beyond is found by those who look.
const MAX_WAITING = 10_000;

/** What a router hears of the others. */
export type Hearing = {
  changed(executionId: string): void;
  claimable(): void;
  /** Something may have been missed: the connection is new. */
  missed(): void;
};

/** One connection on which a router hears of the others' changes and tells them of its own. */
export type Listener = {
  /**
   * Tells the others soon, in one message with what else there is. Apart from the change's own transaction: a
   * commit with a NOTIFY holds a lock that every other one waits for, while the disk is written.
   */
  tellChanged(executionId: string): void;
  tellClaimable(): void;
  /** Sends what there is, if it can, and closes. */
  close(): Promise<void>;
};

/** Opens the connection and, from then on, opens it again whenever it is lost. Rejects when the first one fails. */
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
      // A connection that does not answer is lost, though nobody said so.
      await client.end();
    }
  };
  /** One statement at a time; what comes meanwhile goes out together. */
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

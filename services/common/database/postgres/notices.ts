import { Client, type ClientConfig, type Notification } from "pg";
import type { Clock } from "../../resilience/clock.ts";
import type { Log } from "../../service/log.ts";
import { describe } from "./errors.ts";

const RECONNECT_AFTER_MS = 500;
const CHECK_EVERY_MS = 10_000;
// The most ids in one notice, because PostgreSQL limits the payload of a notice to less than 8,000 bytes.
const MAX_IDS = 200;
// The most ids of one channel that wait while there is no connection. Further ids are dropped: receivers look
// for changes by themselves from time to time.
const MAX_WAITING = 10_000;

/** The functions that handle the notices (PostgreSQL's NOTIFY) from other processes of the same service. */
export type Hearing = {
  /**
   * The handler of each channel, by the channel's name. A handler is called for each id of a notice, and once
   * without an id for a notice that names none. Channels belong to the whole database, so their names begin
   * with `airlock_` and the service.
   */
  readonly channels: Readonly<Record<string, (id?: string) => void>>;
  /**
   * Called after each connect, also the first, because notices that were sent while there was no connection
   * are lost. The service must then look for changes itself.
   */
  missed(): void;
};

/**
 * One database connection that receives the notices of other processes and sends those of this process. A
 * notice can be lost: the service must look for changes by itself from time to time.
 */
export type Notices = {
  /**
   * Sends a notice as soon as the connection is free, together with other waiting notices. The notice is not
   * sent in the transaction of the change that it announces, because a commit with a NOTIFY holds a lock
   * while the disk is written, and every other such commit waits for that lock. An id has no space and no
   * comma, and at most 36 characters.
   */
  tell(channel: string, id?: string): void;
  /** Sends the notices that wait, if there is a connection, and closes it. */
  close(): Promise<void>;
};

/**
 * Opens the connection for notices. A lost connection is opened again, 500 ms after each failure. `self`
 * names this process, whose own notices are ignored. Rejects when the first attempt fails.
 */
export async function openNotices(
  config: ClientConfig,
  self: string,
  hearing: Hearing,
  clock: Clock,
  log: Log,
): Promise<Notices> {
  // The ids that wait to be sent, by channel; an empty set stands for a notice without an id.
  const waiting = new Map<string, Set<string>>();
  let checkIsDue = false;
  let connected: Client | undefined;
  let sending: Promise<void> | undefined;
  let closed = false;
  let stopTimer: () => void = () => undefined;
  let stopCheck: () => void = () => undefined;

  const hear = ({ channel, payload = "" }: Notification) => {
    const [sender, ids] = payload.split(" ");
    const heard = hearing.channels[channel];
    if (sender === self || !heard) return;
    if (ids === undefined) heard();
    else for (const id of ids.split(",")) heard(id);
  };
  const connect = async () => {
    const client = new Client({ ...config, application_name: `${config.application_name}-notices` });
    client.on("error", (error) => log.debug({ reason: describe(error) }, "listening broke off"));
    client.on("notification", hear);
    try {
      await client.connect();
      await client.query(
        Object.keys(hearing.channels)
          .map((channel) => `LISTEN ${channel}`)
          .join("; "),
      );
    } catch (error) {
      await client.end();
      throw error;
    }
    if (closed) return await client.end();
    client.once("end", () => {
      connected = undefined;
      if (closed) return;
      log.warn("the database's notices do not arrive; looking for changes instead");
      reconnectSoon();
    });
    connected = client;
    hearing.missed();
    send();
  };
  const reconnectSoon = () => {
    stopTimer = clock.after(RECONNECT_AFTER_MS, () => {
      connect().then(() => log.info("the database's notices arrive again"), reconnectSoon);
    });
  };
  const add = (channel: string, ids: Iterable<string>) => {
    const added = waiting.get(channel) ?? new Set();
    waiting.set(channel, added);
    for (const id of ids) if (added.size < MAX_WAITING) added.add(id);
  };
  /** Removes one notice for each channel, with at most MAX_IDS ids, from the waiting ones. */
  const takeNotices = () =>
    [...waiting].map(([channel, all]) => {
      const ids = [...all].slice(0, MAX_IDS);
      for (const id of ids) all.delete(id);
      if (all.size === 0) waiting.delete(channel);
      return { channel, ids };
    });
  const sendAll = async (client: Client) => {
    const notices = takeNotices();
    const isCheck = checkIsDue;
    checkIsDue = false;
    try {
      for (const { channel, ids } of notices) {
        const payload = [self, ...(ids.length > 0 ? [ids.join(",")] : [])].join(" ");
        const values = [channel, payload];
        await client.query({ name: "notify", text: "SELECT pg_notify($1, $2)", values });
      }
      if (isCheck) await client.query("SELECT 1");
    } catch {
      for (const { channel, ids } of notices) add(channel, ids);
      // A connection that fails to send is closed, so that a new one is opened, even when the driver has not
      // reported a loss.
      await client.end();
    }
  };
  /**
   * Sends the waiting notices, one SQL statement at a time. Notices that are added meanwhile are sent
   * together afterwards.
   */
  const send = () => {
    if (!connected || sending || (waiting.size === 0 && !checkIsDue)) return;
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
    tell(channel, id) {
      add(channel, id === undefined ? [] : [id]);
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

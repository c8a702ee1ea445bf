import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";

/** The records of a host name. `alias` is the target of its CNAME; a name without an entry does not exist. */
export type DnsEntry = {
  readonly ipv4?: readonly string[];
  readonly ipv6?: readonly string[];
  readonly alias?: string;
  /** Kinds of questions that are never answered. */
  readonly silent?: readonly ("A" | "AAAA")[];
};

/** A DNS server on a port of the loopback interface. */
export type DnsServer = {
  readonly address: string;
  /** The questions so far, such as `A api.example`. */
  readonly asked: string[];
  /** The records of a name; undefined when the name does not exist. */
  entryOf: (name: string) => DnsEntry | undefined;
  close(): void;
};

export const SILENT: DnsEntry = { silent: ["A", "AAAA"] };
const KINDS = new Map([
  [1, "A"],
  [28, "AAAA"],
] as const);
const CNAME = 5;
const NO_SUCH_NAME = 3;

export async function startDnsServer(entryOf: DnsServer["entryOf"] = () => undefined): Promise<DnsServer> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const server: DnsServer = {
    address: `127.0.0.1:${socket.address().port}`,
    asked: [],
    entryOf,
    close: () => socket.close(),
  };
  socket.on("message", (query: Buffer, { port, address }: RemoteInfo) => {
    const { name, type, end } = questionIn(query);
    const kind = KINDS.get(type as 1 | 28);
    server.asked.push(`${kind} ${name}`);
    const entry = server.entryOf(name);
    if (kind && entry?.silent?.includes(kind)) return;
    socket.send(answerTo(query, end, type, entry, server.entryOf), port, address);
  });
  return server;
}

function questionIn(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function answerTo(
  query: Buffer,
  questionEnd: number,
  type: number,
  entry: DnsEntry | undefined,
  entryOf: DnsServer["entryOf"],
): Buffer {
  const target = entry?.alias === undefined ? entry : entryOf(entry.alias);
  const addresses = (type === 1 ? target?.ipv4 : type === 28 ? target?.ipv6 : undefined) ?? [];
  const records = [
    ...(entry?.alias === undefined ? [] : [record(CNAME, nameBytes(entry.alias))]),
    ...addresses.map((address) => record(type, addressBytes(address), entry?.alias)),
  ];
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8180 | (entry ? 0 : NO_SUCH_NAME), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt32BE(0, 8);
  return Buffer.concat([header, query.subarray(12, questionEnd), ...records]);
}

/** A resource record of `owner`; undefined means the name in the question. */
function record(type: number, data: Buffer, owner?: string): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(60, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner === undefined ? Buffer.from([0xc0, 12]) : nameBytes(owner), fixed, data]);
}

function nameBytes(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail = ""] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const missing = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array(address.includes("::") ? missing : 0).fill("0"), ...groups(tail)];
  return Buffer.from(
    all.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  );
}

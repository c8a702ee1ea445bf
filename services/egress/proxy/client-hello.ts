import { isIP } from "node:net";

export const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ENCRYPTED_CLIENT_HELLO = 0xfe0d;
export const RECORD_HEADER_BYTES = 5;
const MAX_RECORD_BYTES = 16_384;

/**
 * The ClientHello, the first message of a TLS connection, as far as its bytes have arrived. It is not
 * encrypted.
 */
export type ClientHello =
  | { readonly state: "incomplete" }
  /**
   * `serverName` is in lower case; undefined when there is none, or when the real name is encrypted
   * (Encrypted Client Hello). In the latter case `hidesName` is true.
   */
  | { readonly state: "complete"; readonly serverName: string | undefined; readonly hidesName: boolean }
  | { readonly state: "invalid"; readonly reason: string };

/** Parses the first TLS record of `bytes`, which must contain the whole ClientHello and nothing else. */
export function readClientHello(bytes: Buffer): ClientHello {
  if (bytes.length >= 1 && bytes[0] !== HANDSHAKE_RECORD) return invalid("this is not TLS");
  if (bytes.length < RECORD_HEADER_BYTES) return { state: "incomplete" };
  const size = bytes.readUInt16BE(3);
  if (bytes[1] !== 3 || size === 0 || size > MAX_RECORD_BYTES) return invalid("this is not TLS");
  if (bytes.length < RECORD_HEADER_BYTES + size) return { state: "incomplete" };
  const cursor = new Cursor(bytes.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + size));
  try {
    return { state: "complete", ...serverNameOf(cursor) };
  } catch (error) {
    if (error instanceof Malformed) return invalid(error.message);
    throw error;
  }
}

/**
 * Whether a ClientHello may be sent to `host`. It may lack a name when `host` is an IP address, because TLS
 * has no server names that are addresses (RFC 6066). Some clients send the address as a name all the same.
 */
export function namesHost(
  { serverName, hidesName }: Extract<ClientHello, { readonly state: "complete" }>,
  host: string,
): boolean {
  return serverName === host || (isIP(host) !== 0 && serverName === undefined && !hidesName);
}

type ServerName = { readonly serverName: string | undefined; readonly hidesName: boolean };

function serverNameOf(record: Cursor): ServerName {
  if (record.number(1) !== CLIENT_HELLO) throw new Malformed("the first message is not a ClientHello");
  const hello = record.vector(3);
  if (!record.isEmpty) throw new Malformed("the ClientHello shares its record with another message");
  hello.skip(2 + 32);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  if (hello.isEmpty) return { serverName: undefined, hidesName: false };
  const extensions = hello.vector(2);
  let serverName: string | undefined;
  let isEncrypted = false;
  const seen = new Set<number>();
  while (!extensions.isEmpty) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (seen.has(type)) throw new Malformed("an extension is given twice");
    seen.add(type);
    if (type === ENCRYPTED_CLIENT_HELLO) isEncrypted = true;
    if (type === SERVER_NAME) serverName = hostNameOf(content.vector(2));
  }
  return { serverName: isEncrypted ? undefined : serverName, hidesName: isEncrypted };
}

function hostNameOf(names: Cursor): string {
  if (names.number(1) !== 0) throw new Malformed("the server name is not a host name");
  const name = names.vector(2).text();
  if (!names.isEmpty) throw new Malformed("there is more than one server name");
  return name.toLowerCase().replace(/\.$/, "");
}

function invalid(reason: string): ClientHello {
  return { state: "invalid", reason };
}

class Malformed extends Error {}

/**
 * Reads the numbers and length-prefixed vectors of a TLS message. Throws Malformed instead of reading past
 * the end.
 */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isEmpty(): boolean {
    return this.#at === this.#bytes.length;
  }

  skip(length: number): void {
    this.#take(length);
  }

  number(size: number): number {
    return this.#take(size).readUIntBE(0, size);
  }

  vector(lengthSize: number): Cursor {
    return new Cursor(this.#take(this.number(lengthSize)));
  }

  text(): string {
    return this.#bytes.subarray(this.#at).toString("latin1");
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new Malformed("the ClientHello is cut off");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

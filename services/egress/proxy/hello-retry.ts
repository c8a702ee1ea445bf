import { Transform } from "node:stream";
import { ByteCollector } from "#common/byte-collector.ts";
import { ONE_PIECE } from "../short-pieces.ts";
import { HANDSHAKE_RECORD, namesHost, RECORD_HEADER_BYTES, readClientHello } from "./client-hello.ts";
import { refuseServerName } from "./tls-refusal.ts";

const ALERT_RECORD = 21;
const SERVER_HELLO = 2;
/** The random of a ServerHello that is a HelloRetryRequest (RFC 8446, section 4.1.3). */
const RETRY_RANDOM = Buffer.from("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c", "hex");
const RANDOM_AT = 6;
/** Bytes of a server's beginning, such as alerts, after which no ServerHello is expected any more. */
const MAX_BEGINNING_BYTES = 1_024;

/** What a server answers to the first ClientHello: `retry` requests a second one; `other` is all else. */
type Answer = "retry" | "other";

/**
 * Two streams for the two directions of a TLS connection, which begins with a ClientHello that names `host`.
 * A server may ask for a second ClientHello (HelloRetryRequest of TLS 1.3), and many servers obey the name in
 * that one. The stream from the client therefore holds everything behind the first ClientHello back until the
 * server has answered, and fails with a Refusal when the second ClientHello is not for `host`.
 */
export function checkSecondHello(host: string): {
  readonly fromClient: Transform;
  readonly fromServer: Transform;
} {
  const answer = Promise.withResolvers<Answer>();
  return { fromClient: clientSide(host, answer.promise), fromServer: serverSide(answer.resolve) };
}

function serverSide(answered: (answer: Answer) => void): Transform {
  let beginning: ByteCollector | undefined = new ByteCollector();
  return new Transform({
    highWaterMark: ONE_PIECE,
    transform(chunk: Buffer, _encoding, done) {
      if (beginning) {
        beginning.append(chunk);
        const answer = readAnswer(beginning.bytes);
        if (answer !== undefined) {
          beginning = undefined;
          answered(answer);
        }
      }
      done(null, chunk);
    },
    flush(done) {
      answered("other");
      done();
    },
  });
}

function clientSide(host: string, answer: Promise<Answer>): Transform {
  let held = new ByteCollector();
  let stage: "first hello" | "answer" | "second hello" | "passed" = "first hello";

  /** The first `length` held bytes, which are then held no longer. */
  const take = (length: number): Buffer => {
    const { bytes } = held;
    held = new ByteCollector();
    held.append(bytes.subarray(length));
    return bytes.subarray(0, length);
  };

  /** Passes on what may pass. Throws a Refusal when the second ClientHello names another server. */
  const pass = async (stream: Transform): Promise<void> => {
    if (stage === "first hello") {
      const length = recordLength(held.bytes);
      if (length === undefined) return;
      stream.push(take(length));
      stage = "answer";
    }
    if (held.length === 0) return;
    if (stage === "answer") stage = (await answer) === "retry" ? "second hello" : "passed";
    const passing = stage === "passed" ? held.length : beforeSecondHello(held.bytes);
    if (stage === "second hello" && held.bytes[passing] === HANDSHAKE_RECORD) {
      const hello = readClientHello(held.bytes.subarray(passing));
      if (hello.state === "invalid") throw refuseServerName(hello.reason);
      if (hello.state === "complete") {
        if (!namesHost(hello, host))
          throw refuseServerName("the second ClientHello names another server than CONNECT does");
        stage = "passed";
      }
    }
    stream.push(take(stage === "passed" ? held.length : passing));
  };

  return new Transform({
    highWaterMark: ONE_PIECE,
    transform(chunk: Buffer, _encoding, done) {
      if (stage === "passed") return done(null, chunk);
      held.append(chunk);
      pass(this).then(() => done(), done);
    },
  });
}

/**
 * Bytes of the whole records before the second ClientHello: a change of ciphers, and early data, which the
 * server drops.
 */
function beforeSecondHello(bytes: Buffer): number {
  for (let at = 0; ; ) {
    const length = bytes[at] === HANDSHAKE_RECORD ? undefined : recordLength(bytes.subarray(at));
    if (length === undefined) return at;
    at += length;
  }
}

/** Bytes of the first record, with its header; undefined until they have all arrived. */
function recordLength(bytes: Buffer): number | undefined {
  if (bytes.length < RECORD_HEADER_BYTES) return undefined;
  const length = RECORD_HEADER_BYTES + bytes.readUInt16BE(3);
  return bytes.length < length ? undefined : length;
}

/** The answer with which a server begins; undefined until enough of it has arrived. */
function readAnswer(bytes: Buffer): Answer | undefined {
  let message = Buffer.alloc(0);
  for (let at = 0; at + RECORD_HEADER_BYTES <= bytes.length; ) {
    const type = bytes[at];
    const from = at + RECORD_HEADER_BYTES;
    const size = bytes.readUInt16BE(at + 3);
    at = from + size;
    // Some servers warn that they do not know the name before they answer.
    if (type === ALERT_RECORD) continue;
    if (type !== HANDSHAKE_RECORD || size === 0) return "other";
    message = Buffer.concat([message, bytes.subarray(from, at)]);
    const random = message.subarray(RANDOM_AT, RANDOM_AT + RETRY_RANDOM.length);
    if (random.length === RETRY_RANDOM.length)
      return message[0] === SERVER_HELLO && random.equals(RETRY_RANDOM) ? "retry" : "other";
  }
  return bytes.length > MAX_BEGINNING_BYTES ? "other" : undefined;
}

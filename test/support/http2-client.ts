import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";

export type Http2Answer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
};

/** Opens an HTTP/2 connection to a server whose certificate the authority `ca` has issued. */
export async function openHttp2(url: string, ca: string): Promise<ClientHttp2Session> {
  const session = connect(url, { ca });
  session.on("error", () => undefined);
  await once(session, "connect");
  return session;
}

/** Sends a request over HTTP/2 and reads its answer. Rejects when the stream ends without one. */
export async function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: string | Buffer,
): Promise<Http2Answer> {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return await answerOf(stream);
}

export async function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  return await new Promise((resolve, reject) => {
    let headers: IncomingHttpHeaders | undefined;
    let text = "";
    stream.setEncoding("utf8");
    stream.on("response", (received) => {
      headers = received;
    });
    stream.on("data", (piece: string) => {
      text += piece;
    });
    stream.once("error", reject);
    const finish = () => {
      if (!headers) reject(new Error(`the stream ended with code ${stream.rstCode} and no answer`));
      else resolve({ status: Number(headers[":status"]), headers, text });
    };
    // The answer may be complete long before the request is.
    stream.once("end", finish);
    stream.once("close", finish);
  });
}

/**
 * The bytes with which a client opens an HTTP/2 connection and asks for `path`. It allows as many bytes of an
 * answer as there are, so that nothing but its socket holds them back.
 */
export function rawHttp2Request(authority: string, path: string): Buffer {
  const window = 2 ** 31 - 1;
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(4, 0);
  settings.writeUInt32BE(window, 2);
  const update = Buffer.alloc(4);
  update.writeUInt32BE(window - 65_535);
  const fields = [":method", "GET", ":scheme", "https", ":authority", authority, ":path", path];
  const literal = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
  const block = fields.map((text, n) =>
    n % 2 === 0 ? Buffer.concat([Buffer.from([0]), literal(text)]) : literal(text),
  );
  const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  return Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    frame(4, 0, 0, settings),
    frame(8, 0, 0, update),
    frame(1, 5, 1, Buffer.concat(block)),
  ]);
}

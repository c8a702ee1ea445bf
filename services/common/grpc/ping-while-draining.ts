import { connect, type Http2Session } from "node:http2";
import { Duplex } from "node:stream";

type Ping = (this: Http2Session, ...args: unknown[]) => boolean;

let isDone = false;

/**
 * Lets grpc-js ping an HTTP/2 session that takes no new calls, because its server drains or its connection is
 * too old. Node refuses to ping such a session. grpc-js takes the refusal for a dead connection and fails the
 * calls that are still open there (grpc-node #3068). Without any pings, calls to a machine that vanished
 * would stay open forever.
 */
export function allowPingsWhileDraining(): void {
  if (isDone) return;
  isDone = true;
  const prototype = sessionPrototype();
  const { ping } = prototype;
  prototype.ping = function (...args) {
    if (this.destroyed || !this.closed) return ping.apply(this, args);
    // During the ping, an own property `closed` hides the prototype's getter, so that Node sends the ping.
    Object.defineProperty(this, "closed", { value: false, configurable: true });
    try {
      return ping.apply(this, args);
    } finally {
      Reflect.deleteProperty(this, "closed");
    }
  };
}

/**
 * The prototype of Node's HTTP/2 sessions, of clients and servers. Node does not export the prototype, so it
 * is taken from a session that is made only for this purpose.
 */
function sessionPrototype(): { ping: Ping } {
  const nowhere = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const session = connect("http://nowhere", { createConnection: () => nowhere });
  session.on("error", () => undefined);
  session.destroy();
  for (let at: unknown = session; at; at = Object.getPrototypeOf(at)) {
    if (Object.hasOwn(at as object, "ping")) return at as { ping: Ping };
  }
  throw new Error("Node's HTTP/2 sessions have no ping");
}

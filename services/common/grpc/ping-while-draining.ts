import { connect, type Http2Session } from "node:http2";
import { Duplex } from "node:stream";

type Ping = (this: Http2Session, ...args: unknown[]) => boolean;

let isDone = false;

/**
 * Lets sessions that take no new calls be pinged. Node refuses that to them, and grpc-js takes the refusal for a dead
 * connection, with all calls that still go on there (grpc-node #3068): those on a connection whose age is over, or whose
 * server drains. To do without pings instead would leave calls to a machine that vanished open for good.
 */
export function allowPingsWhileDraining(): void {
  if (isDone) return;
  isDone = true;
  const prototype = sessionPrototype();
  const { ping } = prototype;
  prototype.ping = function (...args) {
    if (this.destroyed || !this.closed) return ping.apply(this, args);
    // An own property goes before the getter that says that the session is closed.
    Object.defineProperty(this, "closed", { value: false, configurable: true });
    try {
      return ping.apply(this, args);
    } finally {
      Reflect.deleteProperty(this, "closed");
    }
  };
}

/** What client and server sessions have in common; Node exports it nowhere. */
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

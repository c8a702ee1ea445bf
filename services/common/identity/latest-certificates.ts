import type { experimental } from "@grpc/grpc-js";

export type Files = { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };

type CaListener = Parameters<experimental.CertificateProvider["addCaCertificateListener"]>[0];
type IdentityListener = Parameters<experimental.CertificateProvider["addIdentityCertificateListener"]>[0];

/**
 * Tells gRPC the certificates in use. Unlike the library's own provider it never passes on a certificate and a key that
 * do not belong together, as they stand on disk while they are being replaced.
 */
export class LatestCertificates implements experimental.CertificateProvider {
  #files: Files;
  readonly #caListeners = new Set<CaListener>();
  readonly #identityListeners = new Set<IdentityListener>();

  constructor(files: Files) {
    this.#files = files;
  }

  /** Takes these into use; false when they are the same. */
  change(files: Files): boolean {
    const { ca, cert, key } = this.#files;
    if (ca.equals(files.ca) && cert.equals(files.cert) && key.equals(files.key)) return false;
    this.#files = files;
    for (const listener of this.#identityListeners) listener(this.#identity());
    for (const listener of this.#caListeners) listener({ caCertificate: files.ca });
    return true;
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener);
    // Not at once: gRPC is not ready to hear it before it has come back from here.
    process.nextTick(() => listener({ caCertificate: this.#files.ca }));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    process.nextTick(() => listener(this.#identity()));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
  }

  #identity() {
    return { certificate: this.#files.cert, privateKey: this.#files.key };
  }
}

/** Authorities and certificates for tests, made by openssl in a folder of their own. */
import { strict as assert } from "node:assert";

/** Why tests that need it are left out; null if it is here. */
export const NO_OPENSSL: string | null = isHere() ? null : "openssl is not installed (apt-get install openssl)";

function isHere(): boolean {
  try {
    return new Deno.Command("openssl", { args: ["version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

export class Certificates implements Disposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "certificates" });

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }

  certFile(name: string): string {
    return `${this.folder}/${name}.pem`;
  }

  keyFile(name: string): string {
    return `${this.folder}/${name}.key`;
  }

  /** One that signs itself. */
  authority(name: string): void {
    openssl("req", "-x509", ...NEW_KEY, ...this.#files(name), "-subj", `/CN=${name}`, "-days", "2");
  }

  /** @param names As `IP:127.0.0.1,DNS:localhost`. */
  issue(name: string, authority: string, names: string): void {
    const [request, extensions] = [`${this.folder}/${name}.csr`, `${this.folder}/${name}.ext`];
    openssl("req", ...NEW_KEY, "-keyout", this.keyFile(name), "-out", request, "-subj", `/CN=${name}`);
    Deno.writeTextFileSync(extensions, `subjectAltName=${names}\n`);
    const signer = ["-CA", this.certFile(authority), "-CAkey", this.keyFile(authority), "-CAcreateserial"];
    openssl(
      "x509",
      "-req",
      "-in",
      request,
      ...signer,
      "-out",
      this.certFile(name),
      "-days",
      "2",
      "-extfile",
      extensions,
    );
  }

  #files(name: string): readonly string[] {
    return ["-keyout", this.keyFile(name), "-out", this.certFile(name)];
  }
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

function openssl(...args: string[]): void {
  const { success, stderr } = new Deno.Command("openssl", { args, stdout: "null", stderr: "piped" }).outputSync();
  assert.ok(success, new TextDecoder().decode(stderr));
}
